//! Multiplication, element by element.
//!
//! ```text
//! y  = a · b
//! da = dy · b,  db = dy · a          keeps its inputs
//! ```

use super::binary::Pairwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "mul",
    formula: "y = a · b",
    gradient: "da = dy · b, db = dy · a",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Mul;

impl Pairwise for Mul {
    const NAME: &'static str = "mul";

    fn value<T: Float>(self, a: T, b: T) -> T {
        a * b
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn mul_tensor(&self, other: &Self) -> Self {
        Self::pairwise(self, other, Mul).record("mul", &[self, other], Keep::Inputs, |g| {
            g.give(0, |g| g.dy() * g.x(1));
            g.give(1, |g| g.dy() * g.x(0));
        })
    }
}

fn samples(s: &mut Samples) {
    s.binary(-3.0..3.0, -3.0..3.0, "a * b", |a, b| a * b);
}
