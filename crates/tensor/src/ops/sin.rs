//! The sine.
//!
//! ```text
//! y  = sin x
//! dx = dy · cos x                    keeps its input
//! ```

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "sin",
    formula: "y = sin x",
    gradient: "dx = dy · cos x",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Sin;

impl Elementwise for Sin {
    const NAME: &'static str = "sin";
    const KEEP: Keep = Keep::Inputs;

    fn value<T: Float>(self, x: T) -> T {
        x.sin()
    }

    fn pull<T: Float>(self, dy: T, x: T) -> T {
        dy * x.cos()
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        dy * x.cos()
    }
}

impl Tensor {
    /// The sine of each element, in radians.
    #[must_use]
    #[track_caller]
    pub fn sin(&self) -> Self {
        self.elementwise(Sin)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.sin(a)", Tensor::sin);
}
