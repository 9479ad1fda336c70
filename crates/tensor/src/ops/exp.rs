//! The exponential function.
//!
//! ```text
//! y  = eˣ
//! dx = dy · y                        keeps its output
//! ```

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "exp",
    formula: "y = eˣ",
    gradient: "dx = dy · y",
    keep: Keep::Output,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Exp;

impl Elementwise for Exp {
    const NAME: &'static str = "exp";
    const KEEP: Keep = Keep::Output;

    fn value<T: Float>(self, x: T) -> T {
        x.exp()
    }

    fn pull<T: Float>(self, dy: T, y: T) -> T {
        dy * y
    }

    fn pull_tensor(self, dy: &Tensor, y: &Tensor) -> Tensor {
        dy * y
    }
}

impl Tensor {
    /// eˣ of each element.
    #[must_use]
    #[track_caller]
    pub fn exp(&self) -> Self {
        self.elementwise(Exp)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.exp(a)", Tensor::exp);
}
