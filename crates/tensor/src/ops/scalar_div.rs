//! A number divided by a tensor.
//!
//! ```text
//! y  = c / x
//! dx = −dy (c / x) / x                  keeps its input
//! ```

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "scalar_div",
    formula: "y = c / x",
    gradient: "dx = −dy (c / x) / x",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct ScalarDiv(f64);

impl Elementwise for ScalarDiv {
    const NAME: &'static str = "scalar_div";
    const KEEP: Keep = Keep::Inputs;

    fn value<T: Float>(self, x: T) -> T {
        T::from_f64(self.0) / x
    }

    fn pull<T: Float>(self, dy: T, x: T) -> T {
        -dy * (T::from_f64(self.0) / x) / x
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        -dy * (self.0 / x) / x
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn scalar_div(&self, c: f64) -> Self {
        self.elementwise(ScalarDiv(c))
    }
}

fn samples(s: &mut Samples) {
    s.unary(0.5..3.0, "1.5 / a", |a| 1.5 / a);
    s.unary(-3.0..-0.5, "1.0 / a", |a| 1.0 / a);
}
