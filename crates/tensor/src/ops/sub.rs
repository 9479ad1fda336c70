//! Subtraction.
//!
//! ```text
//! y  = a − b
//! da = dy,  db = −dy                 keeps nothing
//! ```

use super::binary::Pairwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "sub",
    formula: "y = a − b",
    gradient: "da = dy, db = −dy",
    keep: Keep::Nothing,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Sub;

impl Pairwise for Sub {
    const NAME: &'static str = "sub";

    fn value<T: Float>(self, a: T, b: T) -> T {
        a - b
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn sub_tensor(&self, other: &Self) -> Self {
        Self::pairwise(self, other, Sub).record("sub", &[self, other], Keep::Nothing, |g| {
            g.give(0, |g| g.dy().clone());
            g.give(1, |g| -g.dy());
        })
    }
}

fn samples(s: &mut Samples) {
    s.binary(-3.0..3.0, -3.0..3.0, "a - b", |a, b| a - b);
}
