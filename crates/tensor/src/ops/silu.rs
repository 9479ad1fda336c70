//! The sigmoid linear unit, also known as swish.
//!
//! ```text
//! y  = x σ(x)
//! dx = dy · σ (1 + x (1 − σ))        keeps its input
//! ```
//!
//! Source: Elfwing et al., "Sigmoid-weighted linear units for neural network function approximation in reinforcement
//! learning", 2017. At ±∞ the derivative is NaN, and so is the value at −∞, as in PyTorch.

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "silu",
    formula: "y = x σ(x)",
    gradient: "dx = dy · σ (1 + x (1 − σ))",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Silu;

impl Elementwise for Silu {
    const NAME: &'static str = "silu";
    const KEEP: Keep = Keep::Inputs;

    fn value<T: Float>(self, x: T) -> T {
        x * x.sigmoid()
    }

    fn pull<T: Float>(self, dy: T, x: T) -> T {
        let s = x.sigmoid();
        dy * (s * (T::ONE + x * (T::ONE - s)))
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        let s = x.sigmoid();
        dy * (&s * (x * (1.0 - &s) + 1.0))
    }
}

impl Tensor {
    /// x σ(x) of each element, with σ the [`sigmoid`](Self::sigmoid).
    #[must_use]
    #[track_caller]
    pub fn silu(&self) -> Self {
        self.elementwise(Silu)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.nn.functional.silu(a)", Tensor::silu);
}
