//! The smallest element along axes.
//!
//! ```text
//! y  = min x                                  over the given axes
//! dx = dy where x = y, else 0; k equal ones get dy / k each          keeps its input, and y
//! ```
//!
//! Ties and NaN as in [`max`](super::max).

use super::max::{End, extremes};
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::shape::Axes;
use crate::tensor::Tensor;

pub(super) const INFO: OpInfo = OpInfo {
    name: "min",
    formula: "y = min x over axes",
    gradient: "dx = dy where x = y, shared among equals",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

impl Tensor {
    /// The smallest element over `axes`; NaN if there is one. Equal ones share the gradient.
    ///
    /// # Panics
    /// As [`max`](Self::max).
    #[must_use]
    #[track_caller]
    pub fn min(&self, axes: impl Into<Axes>) -> Self {
        self.extreme("min", axes.into(), End::Smallest)
    }
}

fn samples(s: &mut Samples) {
    extremes(s, "amin", |x, axes| x.min(axes));
}
