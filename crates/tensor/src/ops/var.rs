//! Variance and standard deviation over axes.
//!
//! ```text
//! y  = Σ (x − mean)² / (n − c)                over the given axes, n elements each
//! dx = dy · 2 (x − mean) / (n − c)
//! ```
//!
//! Made of other ops, in two passes: no digits cancel as they do in mean x² − (mean x)². Where nothing varies
//! the standard deviation has a kink; its gradient there is 0, as in PyTorch. With n ≤ c the result is NaN or
//! ∞, also as there.

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
        let count = axes.resolve("var", &self.shape()).count;
        let distances = self - self.mean(keep(axes.clone()));
        distances.square().sum(axes) / count.saturating_sub(correction) as f64
    }

    /// The standard deviation over `axes`: the square root of the [`var`](Self::var). Its gradient is 0 where
    /// it is 0.
    ///
    /// # Panics
    /// As [`var`](Self::var).
    #[must_use]
    #[track_caller]
    pub fn std(&self, axes: impl Into<Axes>, correction: usize) -> Self {
        self.var(axes, correction).root()
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
