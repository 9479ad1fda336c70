//! eˣ − 1, accurate near 0.
//!
//! ```text
//! y  = eˣ − 1
//! dx = dy · (y + 1)                  keeps its output
//! ```

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "exp_m1",
    formula: "y = eˣ − 1",
    gradient: "dx = dy · (y + 1)",
    keep: Keep::Output,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct ExpM1;

impl Elementwise for ExpM1 {
    const NAME: &'static str = "exp_m1";
    const KEEP: Keep = Keep::Output;

    fn value<T: Float>(self, x: T) -> T {
        x.exp_m1()
    }

    fn pull<T: Float>(self, dy: T, y: T) -> T {
        dy * (y + T::ONE)
    }

    fn pull_tensor(self, dy: &Tensor, y: &Tensor) -> Tensor {
        dy * (y + 1.0)
    }
}

impl Tensor {
    /// eˣ − 1 of each element, accurate near 0.
    #[must_use]
    #[track_caller]
    pub fn exp_m1(&self) -> Self {
        self.elementwise(ExpM1)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.expm1(a)", Tensor::exp_m1);
}
