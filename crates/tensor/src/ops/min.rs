//! The smallest element along axes.
//!
//! ```text
//! y  = min x                                  over the given axes
//! dx = dy where x = y, else 0; k equal ones get dy / k each          keeps its input, and y
//! ```
//!
//! Ties and NaN as in [`max`](super::max).

use super::max::{End, extremes};
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::shape::Axes;
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("min")
    .formula("y = min x over axes")
    .gradient("dx = dy where x = y, shared among equals")
    .keep(Keep::InputsAndOutput)
    .zeros(Zeros::Selection)
    .sampled_by(samples);

impl Tensor {
    /// The smallest element over `axes`; NaN if there is one. Equal ones share the gradient.
    ///
    /// # Panics
    /// As [`max`](Self::max).
    #[must_use]
    #[track_caller]
    pub fn min(&self, axes: impl Into<Axes>) -> Self {
        self.extreme(&OP, axes.into(), End::Smallest)
    }
}

fn samples(s: &mut Samples) {
    extremes(s, "amin", |x, axes| x.min(axes));
}
