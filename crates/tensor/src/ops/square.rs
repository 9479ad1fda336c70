//! The square.
//!
//! ```text
//! y  = x²
//! dx = dy · 2x                       keeps its input
//! ```

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "square",
    formula: "y = x²",
    gradient: "dx = dy · 2x",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Square;

impl Elementwise for Square {
    const NAME: &'static str = "square";
    const KEEP: Keep = Keep::Inputs;

    fn value<T: Float>(self, x: T) -> T {
        x * x
    }

    fn pull<T: Float>(self, dy: T, x: T) -> T {
        dy * (x + x)
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        dy * (x * 2.0)
    }
}

impl Tensor {
    /// The square of each element.
    #[must_use]
    #[track_caller]
    pub fn square(&self) -> Self {
        self.elementwise(Square)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.square(a)", Tensor::square);
}
