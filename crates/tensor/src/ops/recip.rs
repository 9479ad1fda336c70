//! The reciprocal.
//!
//! ```text
//! y  = 1 / x
//! dx = −dy · y²                      keeps its output
//! ```
//!
//! At 0 it is ±∞ by the sign of the zero, with derivative −∞.

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "recip",
    formula: "y = 1 / x",
    gradient: "dx = −dy · y²",
    keep: Keep::Output,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Recip;

impl Elementwise for Recip {
    const NAME: &'static str = "recip";
    const KEEP: Keep = Keep::Output;

    fn value<T: Float>(self, x: T) -> T {
        T::ONE / x
    }

    fn pull<T: Float>(self, dy: T, y: T) -> T {
        -(dy * (y * y))
    }

    fn pull_tensor(self, dy: &Tensor, y: &Tensor) -> Tensor {
        -(dy * (y * y))
    }
}

impl Tensor {
    /// 1 / x of each element.
    #[must_use]
    #[track_caller]
    pub fn recip(&self) -> Self {
        self.elementwise(Recip)
    }
}

fn samples(s: &mut Samples) {
    s.unary(0.5..3.0, "torch.reciprocal(a)", Tensor::recip);
    s.unary(-3.0..-0.5, "1 / a", Tensor::recip);
}
