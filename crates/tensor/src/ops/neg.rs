//! The negative.
//!
//! ```text
//! y  = −x
//! dx = −dy                           keeps nothing
//! ```

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo =
    OpInfo {
        name: "neg", formula: "y = −x", gradient: "dx = −dy", keep: Keep::Nothing, orders: 2, samples
    };

#[derive(Clone, Copy)]
struct Neg;

impl Elementwise for Neg {
    const NAME: &'static str = "neg";
    const KEEP: Keep = Keep::Nothing;

    fn value<T: Float>(self, x: T) -> T {
        -x
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
    pub(crate) fn negate(&self) -> Self {
        self.elementwise(Neg)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "-a", |a| -a);
}
