//! The smooth rectifier.
//!
//! ```text
//! y  = ln(1 + eˣ)
//! dx = dy · σ(x)                     keeps its input
//! ```
//!
//! Exact everywhere; PyTorch returns x itself above 20, where the two differ by at most 2.1e-9.

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "softplus",
    formula: "y = ln(1 + eˣ)",
    gradient: "dx = dy · σ(x)",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Softplus;

impl Elementwise for Softplus {
    const NAME: &'static str = "softplus";
    const KEEP: Keep = Keep::Inputs;

    fn value<T: Float>(self, x: T) -> T {
        x.softplus()
    }

    fn pull<T: Float>(self, dy: T, x: T) -> T {
        dy * x.sigmoid()
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        dy * x.sigmoid()
    }
}

impl Tensor {
    /// ln(1 + eˣ) of each element, without overflow.
    #[must_use]
    #[track_caller]
    pub fn softplus(&self) -> Self {
        self.elementwise(Softplus)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.nn.functional.softplus(a)", Tensor::softplus);
}
