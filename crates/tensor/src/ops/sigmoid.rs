//! The logistic function.
//!
//! ```text
//! y  = 1 / (1 + e⁻ˣ)
//! dx = dy · y (1 − y)                keeps its output
//! ```
//!
//! On the far right, where y rounds to 1, the derivative is 0; on the left it keeps its relative accuracy.

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "sigmoid",
    formula: "y = 1 / (1 + e⁻ˣ)",
    gradient: "dx = dy · y (1 − y)",
    keep: Keep::Output,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl Elementwise for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const KEEP: Keep = Keep::Output;

    fn value<T: Float>(self, x: T) -> T {
        x.sigmoid()
    }

    fn pull<T: Float>(self, dy: T, y: T) -> T {
        dy * (y * (T::ONE - y))
    }

    fn pull_tensor(self, dy: &Tensor, y: &Tensor) -> Tensor {
        dy * (y * (1.0 - y))
    }
}

impl Tensor {
    /// The logistic function 1 / (1 + e⁻ˣ) of each element.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from(0.0).sigmoid().item(), 0.5);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn sigmoid(&self) -> Self {
        self.elementwise(Sigmoid)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.sigmoid(a)", Tensor::sigmoid);
}
