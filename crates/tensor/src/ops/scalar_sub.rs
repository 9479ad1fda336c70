//! A number minus a tensor.
//!
//! ```text
//! y  = c − x
//! dx = −dy                           keeps nothing
//! ```

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "scalar_sub",
    formula: "y = c − x",
    gradient: "dx = −dy",
    keep: Keep::Nothing,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct ScalarSub(f64);

impl Elementwise for ScalarSub {
    const NAME: &'static str = "scalar_sub";
    const KEEP: Keep = Keep::Nothing;

    fn value<T: Float>(self, x: T) -> T {
        T::from_f64(self.0) - x
    }

    fn pull<T: Float>(self, dy: T, _: T) -> T {
        -dy
    }

    fn pull_tensor(self, dy: &Tensor, _: &Tensor) -> Tensor {
        -dy
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn scalar_sub(&self, c: f64) -> Self {
        self.elementwise(ScalarSub(c))
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "1.5 - a", |a| 1.5 - a);
}
