//! Addition of a number.
//!
//! ```text
//! y  = x + c
//! dx = dy                            keeps nothing
//! ```

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "add_scalar",
    formula: "y = x + c",
    gradient: "dx = dy",
    keep: Keep::Nothing,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct AddScalar(f64);

impl Elementwise for AddScalar {
    const NAME: &'static str = "add_scalar";
    const KEEP: Keep = Keep::Nothing;

    fn value<T: Float>(self, x: T) -> T {
        x + T::from_f64(self.0)
    }

    fn pull<T: Float>(self, dy: T, _: T) -> T {
        dy
    }

    fn pull_tensor(self, dy: &Tensor, _: &Tensor) -> Tensor {
        dy.clone()
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn add_scalar(&self, c: f64) -> Self {
        self.elementwise(AddScalar(c))
    }

    #[track_caller]
    pub(crate) fn sub_scalar(&self, c: f64) -> Self {
        self.elementwise(AddScalar(-c))
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "a + 1.5", |a| a + 1.5);
    s.unary(-3.0..3.0, "a - 1.5", |a| a - 1.5);
}
