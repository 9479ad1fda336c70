//! Multiplication by a number.
//!
//! ```text
//! y  = c x
//! dx = c dy                          keeps nothing
//! ```

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "mul_scalar",
    formula: "y = c x",
    gradient: "dx = c dy",
    keep: Keep::Nothing,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct MulScalar(f64);

impl Elementwise for MulScalar {
    const NAME: &'static str = "mul_scalar";
    const KEEP: Keep = Keep::Nothing;

    fn value<T: Float>(self, x: T) -> T {
        x * T::from_f64(self.0)
    }

    fn pull<T: Float>(self, dy: T, _: T) -> T {
        dy * T::from_f64(self.0)
    }

    fn pull_tensor(self, dy: &Tensor, _: &Tensor) -> Tensor {
        dy * self.0
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn mul_scalar(&self, c: f64) -> Self {
        self.elementwise(MulScalar(c))
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "a * 2.5", |a| 2.5 * a);
}
