//! The rectifier.
//!
//! ```text
//! y  = max(x, 0)
//! dx = dy where y > 0, else 0        keeps its output
//! ```
//!
//! At the kink the derivative is 0, as in PyTorch. NaN passes through, forward and back.

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "relu",
    formula: "y = max(x, 0)",
    gradient: "dx = dy where y > 0",
    keep: Keep::Output,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
pub(super) struct Relu;

impl Elementwise for Relu {
    const NAME: &'static str = "relu";
    const KEEP: Keep = Keep::Output;

    fn value<T: Float>(self, x: T) -> T {
        x.maximum(T::ZERO)
    }

    fn pull<T: Float>(self, dy: T, y: T) -> T {
        if y <= T::ZERO { T::ZERO } else { dy }
    }

    fn pull_tensor(self, dy: &Tensor, y: &Tensor) -> Tensor {
        dy.masked_fill(&y.le(0.0), 0.0)
    }
}

impl Tensor {
    /// The larger of 0 and each element. The gradient at 0 is 0.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from([-1.0, 2.0]).relu().to_vec::<f64>(), [0.0, 2.0]);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn relu(&self) -> Self {
        self.elementwise(Relu)
    }
}

fn samples(s: &mut Samples) {
    s.avoid(&[0.0]);
    s.unary(-3.0..3.0, "torch.relu(a)", Tensor::relu);
}
