//! Division, element by element.
//!
//! ```text
//! y  = a / b
//! da = dy / b,  db = −dy (a / b) / b    keeps its inputs
//! ```
//!
//! Not −dy · a / b²: the square leaves the range of `f32` where the gradient does not.

use super::binary::Pairwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "div",
    formula: "y = a / b",
    gradient: "da = dy / b, db = −dy (a / b) / b",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Div;

impl Pairwise for Div {
    const NAME: &'static str = "div";

    fn value<T: Float>(self, a: T, b: T) -> T {
        a / b
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn div_tensor(&self, other: &Self) -> Self {
        Self::pairwise(self, other, Div).record("div", &[self, other], Keep::Inputs, |g| {
            g.give(0, |g| g.dy() / g.x(1));
            g.give(1, |g| -(g.dy() * (g.x(0) / g.x(1))) / g.x(1));
        })
    }
}

fn samples(s: &mut Samples) {
    s.binary(-3.0..3.0, 0.5..3.0, "a / b", |a, b| a / b);
}
