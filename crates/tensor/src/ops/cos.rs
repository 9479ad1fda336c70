//! The cosine.
//!
//! ```text
//! y  = cos x
//! dx = −dy · sin x                   keeps its input
//! ```

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "cos",
    formula: "y = cos x",
    gradient: "dx = −dy · sin x",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Cos;

impl Elementwise for Cos {
    const NAME: &'static str = "cos";
    const KEEP: Keep = Keep::Inputs;

    fn value<T: Float>(self, x: T) -> T {
        x.cos()
    }

    fn pull<T: Float>(self, dy: T, x: T) -> T {
        -(dy * x.sin())
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        -(dy * x.sin())
    }
}

impl Tensor {
    /// The cosine of each element, in radians.
    #[must_use]
    #[track_caller]
    pub fn cos(&self) -> Self {
        self.elementwise(Cos)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.cos(a)", Tensor::cos);
}
