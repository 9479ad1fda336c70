//! The negative.
//!
//! ```text
//! y  = −x
//! dx = −dy                           keeps nothing
//! ```

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op =
    Op::new("neg").formula("y = −x").gradient("dx = −dy").zeros(Zeros::Never).sampled_by(samples);

#[derive(Clone, Copy)]
struct Neg;

impl Elementwise for Neg {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        -x
    }

    fn pull<N: Number>(self, dy: N, _: N) -> N {
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
