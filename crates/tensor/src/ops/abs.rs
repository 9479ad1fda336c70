//! The absolute value.
//!
//! ```text
//! y  = |x|
//! dx = dy · sign x                   keeps its input
//! ```
//!
//! At the kink the derivative is 0, as in PyTorch.

use super::elementwise::Elementwise;
use super::sign::sign_of;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "abs",
    formula: "y = |x|",
    gradient: "dx = dy · sign x",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Abs;

impl Elementwise for Abs {
    const NAME: &'static str = "abs";
    const KEEP: Keep = Keep::Inputs;

    fn value<T: Float>(self, x: T) -> T {
        x.abs()
    }

    fn pull<T: Float>(self, dy: T, x: T) -> T {
        dy * sign_of(x)
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        dy * x.sign()
    }
}

impl Tensor {
    /// |x| of each element. The gradient at 0 is 0.
    #[must_use]
    #[track_caller]
    pub fn abs(&self) -> Self {
        self.elementwise(Abs)
    }
}

fn samples(s: &mut Samples) {
    s.avoid(&[0.0]);
    s.unary(-3.0..3.0, "torch.abs(a)", Tensor::abs);
}
