//! Variance and standard deviation over axes.
//!
//! ```text
//! y  = Σ (x − mean)² / (n − c)                over the given axes, n elements each
//! dx = dy · 2 (x − mean) / (n − c)
//! ```
//!
//! Made of other ops, in two passes: no digits cancel as they do in mean x² − (mean x)². Where nothing varies
//! the standard deviation has a kink; its gradient there is 0, as in PyTorch. With n ≤ c the result is NaN or
//! ∞, also as there. The standard deviation is the [`norm`](super::norm) of the distances, and so as
//! far-reaching as x; the variance of `f32` beyond 1.8e19 is ∞, and of numbers below 1e-23 it is 0.

use crate::catalogue::Samples;
use crate::op::{Op, Zeros};
use crate::shape::{Axes, keep};
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("var")
    .formula("y = Σ (x − mean)² / (n − c) over axes")
    .gradient("dx = dy · 2 (x − mean) / (n − c)")
    .saves("the distances from the mean")
    .zeros(Zeros::Product)
    .sampled_by(samples);

impl Tensor {
    /// The variance over `axes`: squared distances from the mean, added up and divided by n − `correction`. A
    /// `correction` of 1 (PyTorch's default) makes it unbiased for samples, 0 makes it that of the elements
    /// themselves.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([1.0, 3.0]);
    /// assert_eq!((x.var(.., 1).item(), x.var(.., 0).item()), (2.0, 1.0));
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn var(&self, axes: impl Into<Axes>, correction: usize) -> Self {
        let axes = axes.into();
        let divisor = self.divisor(&axes, correction);
        let distances = self.distances(&axes);
        let y = distances.square().sum(axes.clone()) / divisor;
        // A square or the sum may be infinite where the mean square is not.
        y.where_infinite(|| distances.root_of_squares(axes, divisor).square())
    }

    /// The standard deviation over `axes`: the square root of the [`var`](Self::var). Its gradient is 0 where
    /// it is 0.
    ///
    /// # Panics
    /// As [`var`](Self::var).
    #[must_use]
    #[track_caller]
    pub fn std(&self, axes: impl Into<Axes>, correction: usize) -> Self {
        let axes = axes.into();
        let divisor = self.divisor(&axes, correction);
        let of = |x: &Self| x.distances(&axes).root_of_squares(axes.clone(), divisor);
        // Of the largest numbers of both signs, the distances may be infinite.
        of(self).where_infinite(|| of(&(self * 0.25)) * 4.0)
    }

    /// x less its mean. A mean that is rounded is corrected by what is left of it in the distances (Chan and
    /// others 1983), a constant to the gradient, which is 0 in that direction.
    #[track_caller]
    fn distances(&self, axes: &Axes) -> Self {
        let distances = self - self.mean(keep(axes.clone()));
        let mut rest = distances.untracked().mean(keep(axes.clone()));
        if !rest.is_all_finite() {
            // Of the largest numbers, distances may be infinite, and there is nothing to correct.
            rest = Self::select_where(&rest.abs().lt(f64::INFINITY), &rest, &rest.zeros_like());
        }
        distances - rest
    }

    /// n − `correction`.
    #[track_caller]
    fn divisor(&self, axes: &Axes, correction: usize) -> f64 {
        axes.resolve("var", &self.shape()).count.saturating_sub(correction) as f64
    }
}

fn samples(s: &mut Samples) {
    for (axis, correction) in [(0, 0), (1, 1), (-1, 2)] {
        let x = s.draw(&[2, 3, 4], -3.0..3.0);
        let torch = format!("a.var({axis}, correction={correction})");
        s.case("", &[x], &torch, move |x| x[0].var(axis, correction));
    }
    let x = s.draw(&[4, 3], -3.0..3.0).t();
    s.case("of all, transposed", &[x], "a.var()", |x| x[0].var(.., 1));
    let x = s.draw(&[2, 3, 4], -3.0..3.0);
    s.case("std", &[x], "a.std((0, 2), keepdim=True)", |x| x[0].std(keep([0, 2]), 1));
}
