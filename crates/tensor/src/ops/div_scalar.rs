//! Division by a number.
//!
//! ```text
//! y  = x / c
//! dx = dy / c                        keeps nothing
//! ```
//!
//! A division, not a multiplication by 1/c, which rounds differently.
use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "div_scalar",
    formula: "y = x / c",
    gradient: "dx = dy / c",
    keep: Keep::Nothing,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct DivScalar(f64);

impl Elementwise for DivScalar {
    const NAME: &'static str = "div_scalar";
    const KEEP: Keep = Keep::Nothing;

    fn value<T: Float>(self, x: T) -> T {
        x / T::from_f64(self.0)
    }

    fn pull<T: Float>(self, dy: T, _: T) -> T {
        dy / T::from_f64(self.0)
    }

    fn pull_tensor(self, dy: &Tensor, _: &Tensor) -> Tensor {
        dy / self.0
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn div_scalar(&self, c: f64) -> Self {
        self.elementwise(DivScalar(c))
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "a / 3.0", |a| a / 3.0);
}
