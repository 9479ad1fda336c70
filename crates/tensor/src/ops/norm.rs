//! The Euclidean norm over axes.
//!
//! ```text
//! y  = √Σ x²                         over the given axes
//! dx = dy · x / y, and 0 where y = 0
//! ```
//!
//! At 0 the norm has a kink; its gradient there is 0, as in PyTorch. Neither the squares nor the gradient
//! leave the range of the type where the result does not: a sum of squares that is not to be trusted is added
//! up once more, of numbers that are divided by a power of two.

use super::elementwise::{pull_in_place, values};
use super::square::Square;
use super::zero_gradient::zero_where_zero;
use crate::catalogue::Samples;
use crate::cotangent::Cotangent;
use crate::dtype::{FloatElement, with_float};
use crate::op::{Keep, Op, Zeros};
use crate::shape::{Axes, Reduction, Shape, keep};
use crate::tensor::Tensor;
use backflow_kernels::reduce;

pub(super) static OP: Op = Op::new("norm")
    .formula("y = √Σ x² over axes")
    .gradient("dx = dy · x / y")
    .keep(Keep::InputsAndOutput)
    .zeros(Zeros::Product)
    .sampled_by(samples);

impl Tensor {
    /// The Euclidean norm √Σ x² over `axes`. Its gradient is 0 where it is 0.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from([3.0, 4.0]).norm(..).item(), 5.0);
    /// let beyond_squares = Tensor::from([3e200, 4e200]).norm(..).item();
    /// assert!((beyond_squares / 5e200 - 1.0).abs() < 1e-15);
    /// let zero = Tensor::from([0.0, 0.0]).requires_grad();
    /// assert_eq!(zero.norm(..).backward().of(&zero).to_vec::<f64>(), [0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn norm(&self, axes: impl Into<Axes>) -> Self {
        self.root_of_squares(axes.into(), 1.0)
    }

    /// √(Σ x² / divisor): the norm, or a standard deviation.
    #[track_caller]
    pub(super) fn root_of_squares(&self, axes: Axes, divisor: f64) -> Self {
        let reduction = axes.resolve("norm", &self.shape());
        let kept = reduction.kept;
        let y = with_float!("norm", self.dtype(), T => self.roots::<T>(axes, reduction, divisor));
        y.record(&OP, &[self], move |g| g.give(0, |g| gradient(g, kept, divisor)))
    }

    #[track_caller]
    fn roots<T: FloatElement>(&self, axes: Axes, reduction: Reduction, divisor: f64) -> Self {
        let x = self.contiguous();
        let mut y = if reduction.is_of_last_axes(self.rank()) {
            self.reduce::<T>(&reduction, |x, rows, len, _, out| reduce::sum_of_squares(x, rows, len, out))
        } else {
            let squares = Self::build_like::<T>(self, |squares| {
                values(Square, x.as_slice::<T>().expect("made contiguous above"), squares);
            });
            squares.reduce::<T>(&reduction, reduce::sum)
        };
        let (count, by) = (reduction.count, T::from_f64(divisor));
        // What is lost of squares below the range does not count beside such a mean. Sums above it are
        // infinite.
        let least = T::from_f64(count as f64) * (T::MIN_POSITIVE / T::EPSILON);
        let (mut trusted, mut zero) = (true, true);
        for y in y.as_mut_slice::<T>() {
            trusted &= *y >= least && *y < T::INFINITY;
            zero &= *y == T::ZERO;
            *y = (*y / by).sqrt();
        }
        let is_zero = |x: &[T]| x.iter().all(|&x| x == T::ZERO);
        let is_known = trusted || (zero && is_zero(x.as_slice().expect("made contiguous above")));
        if !is_known {
            let careful = self.untracked().careful_roots::<T>(&axes, divisor);
            let careful = careful.as_slice::<T>().expect("a result of ops");
            for (y, &careful) in y.as_mut_slice::<T>().iter_mut().zip(careful) {
                let square = *y * *y * by;
                if !(square >= least && square < T::INFINITY) {
                    *y = careful;
                }
            }
        }
        y.flush_if_asked();
        y
    }

    /// The same by way of x/s, where s is a power of two near the largest |x|.
    #[track_caller]
    fn careful_roots<T: FloatElement>(&self, axes: &Axes, divisor: f64) -> Self {
        let mut scale = self.abs().max(keep(axes.clone()));
        for scale in scale.as_mut_slice::<T>() {
            *scale = T::from_f64(power_of_two_below(scale.to_f64()).max(T::MIN_POSITIVE.to_f64()));
        }
        let roots = ((self / &scale).square().sum(keep(axes.clone())) / divisor).sqrt();
        (roots * scale).contiguous().into_owned()
    }
}

/// The largest power of two that is not above `x`; 1 for 0 and what is not finite.
fn power_of_two_below(x: f64) -> f64 {
    // All of the number but its fraction.
    if x > 0.0 && x < f64::INFINITY { f64::from_bits(x.to_bits() & (0x7ff << 52)) } else { 1.0 }
}

/// dx, as (dy / y)·x where the quotient fits into the type and else as dy·(x / y).
#[track_caller]
fn gradient(g: &Cotangent<'_>, kept: Shape, divisor: f64) -> Tensor {
    if !g.is_recorded() {
        let quick = with_float!("norm", g.dy().dtype(), T => quick_gradient::<T>(g, kept, divisor));
        if let Some(dx) = quick {
            return dx;
        }
    }
    let (x, dy, mut y) = (g.x(0), g.dy().reshape(kept), g.y().reshape(kept));
    let zero = y.eq(0.0);
    let at_kink = zero.as_slice::<bool>().is_some_and(|zero| zero.contains(&true));
    if at_kink {
        // Not 1/0 first and the mask then, for a derivative would bring the ∞ back.
        y = y.masked_fill(&zero, 1.0);
    }
    let mut dx = zero_where_zero(&dy, &[x], &|dy, x| {
        let by = |x: Tensor| if divisor == 1.0 { x } else { x / divisor };
        let quotient = dy / &y;
        if fits(&quotient, dy) { by(quotient) * x[0] } else { by(dy.clone()) * (x[0] / &y) }
    });
    if at_kink {
        dx = dx.masked_fill(&zero, 0.0);
    }
    dx
}

/// The former as one loop over x, unless a quotient does not fit.
fn quick_gradient<T: FloatElement>(g: &Cotangent<'_>, kept: Shape, divisor: f64) -> Option<Tensor> {
    let (dy, y, x) = (g.dy().contiguous(), g.y(), g.x(0).contiguous());
    let (dy, y, by) = (dy.as_slice::<T>()?, y.as_slice::<T>()?, T::from_f64(divisor));
    let least = T::MIN_POSITIVE * T::from_f64(16.0);
    let mut fits = true;
    // Halves, for the slope of a square is 2x.
    let halves = Tensor::build::<T>(kept, |halves| {
        for ((half, &dy), &y) in halves.iter_mut().zip(dy).zip(y) {
            *half = if y == T::ZERO || dy == T::ZERO { T::ZERO } else { dy / (y + y) / by };
            fits &= (half.abs() >= least && half.is_finite()) || dy == T::ZERO || y == T::ZERO;
        }
    });
    fits.then(|| {
        let mut dx = halves.broadcast_to(x.shape()).contiguous_copy();
        pull_in_place(Square, dx.as_mut_slice::<T>(), x.as_slice().expect("made contiguous above"));
        dx.flush_if_asked();
        dx
    })
}

/// Whether quotients by which gradients are multiplied have all their digits: none is infinite or nearly
/// subnormal, but for those of 0.
fn fits(quotient: &Tensor, dy: &Tensor) -> bool {
    let least = if quotient.dtype() == crate::DType::F32 { 1e-36 } else { 1e-305 };
    let (quotient, dy) = (quotient.to_f64_vec(), dy.to_f64_vec());
    quotient.iter().zip(dy).all(|(q, dy)| dy == 0.0 || (q.is_finite() && q.abs() > least))
}

fn samples(s: &mut Samples) {
    for (axis, torch) in [(0, "a.norm(dim=0)"), (1, "a.norm(dim=1)"), (-1, "a.norm(dim=-1)")] {
        let x = s.draw(&[2, 3, 4], 0.5..3.0);
        s.case("", &[x], torch, move |x| x[0].norm(axis));
    }
    let x = s.draw(&[4, 3], -3.0..3.0).t();
    s.case("of all, transposed", &[x], "a.norm()", |x| x[0].norm(..));
    let x = s.draw(&[2, 3], -3.0..3.0);
    s.case("kept", &[x], "a.norm(dim=(0, 1), keepdim=True)", |x| x[0].norm(keep([0, 1])));
}
