//! The logarithm of 1 + x, accurate near 0.
//!
//! ```text
//! y  = ln(1 + x)
//! dx = dy / (1 + x)                  keeps its input
//! ```
//!
//! At −1 it is −∞ with derivative +∞; below it is NaN.

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "ln_1p",
    formula: "y = ln(1 + x)",
    gradient: "dx = dy / (1 + x)",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Ln1p;

impl Elementwise for Ln1p {
    const NAME: &'static str = "ln_1p";
    const KEEP: Keep = Keep::Inputs;

    fn value<T: Float>(self, x: T) -> T {
        x.ln_1p()
    }

    fn pull<T: Float>(self, dy: T, x: T) -> T {
        dy / (x + T::ONE)
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        dy / (x + 1.0)
    }
}

impl Tensor {
    /// ln(1 + x) of each element, accurate near 0.
    #[must_use]
    #[track_caller]
    pub fn ln_1p(&self) -> Self {
        self.elementwise(Ln1p)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-0.7..3.0, "torch.log1p(a)", Tensor::ln_1p);
}
