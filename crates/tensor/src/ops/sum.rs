//! The sum over axes, and its use by every op that broadcasts.
//!
//! ```text
//! y  = Σ x                           over the given axes
//! dx = dy, broadcast back            keeps nothing
//! ```
//!
//! Sums run in a fixed tree that depends on the shape alone, so that results do not depend on threads and the
//! rounding error grows like the logarithm of the count. Where one is not finite, it is added up once more,
//! of scaled numbers: parts of a sum, or the sum of a mean, may overflow where the result does not.

use crate::catalogue::Samples;
use crate::dtype::{DType, FloatElement, with_float};
use crate::error::misuse;
use crate::op::{Op, Zeros};
use crate::shape::{Axes, MAX_RANK, Reduction, Shape, keep};
use crate::tensor::Tensor;
use backflow_kernels::reduce;

pub(super) static OP: Op = Op::new("sum")
    .formula("y = Σ x over axes")
    .gradient("dx = dy, broadcast")
    .zeros(Zeros::Never)
    .sampled_by(samples);

impl Tensor {
    /// The sum over `axes`; over no element it is 0. Integers are summed as integers, and of booleans those that are true
    /// are counted.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[must_use]
    #[track_caller]
    pub fn sum(&self, axes: impl Into<Axes>) -> Self {
        self.sum_over(axes.into().resolve("sum", &self.layout.shape))
    }

    #[track_caller]
    fn sum_over(&self, reduction: Reduction) -> Self {
        match self.dtype() {
            DType::I64 => return self.reduce::<i64>(&reduction, reduce::sum_i64),
            DType::Bool => return self.to_dtype(DType::I64).sum_over(reduction),
            DType::F32 | DType::F64 => {}
        }
        let mut y = with_float!("sum", self.dtype(), T => self.reduce::<T>(&reduction, reduce::sum));
        if !y.is_all_finite() && reduction.count > 1 {
            y = with_float!("sum", self.dtype(), T => self.sum_of_scaled::<T>(&reduction, y));
        }
        let (shape, kept) = (self.shape(), reduction.kept);
        y.record(&OP, &[self], move |g| {
            g.give(0, |g| g.dy().reshape(kept).broadcast_to(shape));
        })
    }

    /// The mean over `axes`: the sum divided by the count. Over no element it is NaN.
    ///
    /// # Panics
    /// As [`sum`](Self::sum), and if the elements are integers.
    #[must_use]
    #[track_caller]
    pub fn mean(&self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        let count = axes.resolve("mean", &self.shape()).count;
        if !self.dtype().is_float() {
            let rows = [("dtype", self.dtype().to_string())];
            misuse("mean", "needs floating-point elements", &rows, "convert with to_dtype(DType::F32)");
        }
        let y = self.sum(axes.clone()) / count as f64;
        let scale = power_of_two_over(count);
        y.where_infinite(|| (self * scale).sum(axes) / (count as f64 * scale))
    }

    /// This result, and `careful` where it is infinite or NaN.
    #[track_caller]
    pub(super) fn where_infinite(self, careful: impl FnOnce() -> Self) -> Self {
        if self.is_all_finite() {
            return self;
        }
        // 0 · ∞ and NaN differ from 0.
        let lost = (self.untracked() * 0.0).ne(0.0);
        Self::select_where(&lost, &careful(), &self)
    }

    /// The sums once more where they were not finite, of numbers so small that no part of a sum overflows.
    #[cold]
    fn sum_of_scaled<T: FloatElement>(&self, reduction: &Reduction, mut y: Self) -> Self {
        let scale = power_of_two_over(reduction.count);
        let scaled = (self.untracked() * scale).reduce::<T>(reduction, reduce::sum);
        let scaled = scaled.as_slice::<T>().expect("just built");
        let scale = T::from_f64(scale);
        for (y, &scaled) in y.as_mut_slice::<T>().iter_mut().zip(scaled) {
            if !y.is_finite() {
                *y = scaled / scale;
            }
        }
        y
    }

    /// Sums away the axes along which `shape` was broadcast to become this tensor's shape.
    #[track_caller]
    pub(crate) fn sum_to(self, shape: Shape) -> Self {
        if self.shape() == shape {
            return self;
        }
        let new_axes = self.rank() - shape.rank();
        let mut reduction =
            Reduction { reduced: [false; MAX_RANK], kept: self.shape(), result: shape, count: 1 };
        for (axis, &size) in self.layout.shape.iter().enumerate() {
            if axis < new_axes || (shape[axis - new_axes] == 1 && size != 1) {
                reduction.reduced[axis] = true;
                reduction.kept = reduction.kept.with_size(axis, 1);
                reduction.count *= size;
            }
        }
        self.sum_over(reduction)
    }
}

/// A power of two so small that `count` of the largest numbers, multiplied by it, add up to a number.
fn power_of_two_over(count: usize) -> f64 {
    0.5 / count.next_power_of_two() as f64
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "a.sum()", |a| a.sum(..));
    for axis in [0, 1, 2] {
        let x = s.draw(&[2, 3, 4], -3.0..3.0);
        s.case(&format!("axis {axis}"), &[x], &format!("a.sum({axis})"), move |x| x[0].sum(axis));
    }
    let x = s.draw(&[2, 3, 4], -3.0..3.0);
    s.case("outer axes, kept", &[x], "a.sum((0, 2), keepdim=True)", |x| x[0].sum(keep([0, -1])));
    let x = s.draw(&[3, 2, 4], -3.0..3.0).permute([1, 2, 0]);
    s.case("permuted", &[x], "a.sum((0, 1))", |x| x[0].sum([0, 1]));
    let x = s.draw(&[3, 0], -3.0..3.0);
    s.case("of nothing", &[x], "a.sum(1)", |x| x[0].sum(1));
    let x = s.draw(&[17, 33], -3.0..3.0);
    s.case("mean", &[x], "a.mean(0)", |x| x[0].mean(0));
}
