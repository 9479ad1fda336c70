//! The natural logarithm.
//!
//! ```text
//! y  = ln x
//! dx = dy / x                        keeps its input
//! ```
//!
//! At 0 it is −∞ with derivative +∞; below 0 it is NaN.

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "ln",
    formula: "y = ln x",
    gradient: "dx = dy / x",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Ln;

impl Elementwise for Ln {
    const NAME: &'static str = "ln";
    const KEEP: Keep = Keep::Inputs;

    fn value<T: Float>(self, x: T) -> T {
        x.ln()
    }

    fn pull<T: Float>(self, dy: T, x: T) -> T {
        dy / x
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        dy / x
    }
}

impl Tensor {
    /// The natural logarithm of each element: −∞ at 0, NaN below.
    #[must_use]
    #[track_caller]
    pub fn ln(&self) -> Self {
        self.elementwise(Ln)
    }
}

fn samples(s: &mut Samples) {
    s.unary(0.3..3.0, "torch.log(a)", Tensor::ln);
}
