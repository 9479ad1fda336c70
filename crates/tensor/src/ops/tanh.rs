//! Hyperbolic tangent.
//!
//! ```text
//! y  = tanh x
//! dx = dy · (1 − y²)                 keeps its output
//! ```
//!
//! Near saturation `1 − y²` keeps absolute accuracy (one rounding of 1) but not relative accuracy: at x = 20 it is 0
//! instead of 1.7e-17.

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "tanh",
    formula: "y = tanh x",
    gradient: "dx = dy · (1 − y²)",
    keep: Keep::Output,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl Elementwise for Tanh {
    const NAME: &'static str = "tanh";
    const KEEP: Keep = Keep::Output;

    fn value<T: Float>(self, x: T) -> T {
        x.tanh()
    }

    fn pull<T: Float>(self, dy: T, y: T) -> T {
        dy * (T::ONE - y * y)
    }

    fn pull_tensor(self, dy: &Tensor, y: &Tensor) -> Tensor {
        dy * (1.0 - y * y)
    }
}

impl Tensor {
    /// The hyperbolic tangent of each element.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from(0.0).tanh().item(), 0.0);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn tanh(&self) -> Self {
        self.elementwise(Tanh)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.tanh(a)", Tensor::tanh);
}
