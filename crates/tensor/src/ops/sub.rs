//! Subtraction.
//!
//! ```text
//! y  = a − b
//! da = dy,  db = −dy                 keeps nothing
//! ```

use super::binary::Pairwise;
use crate::catalogue::Samples;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("sub")
    .formula("y = a − b")
    .gradient("da = dy, db = −dy")
    .operands(&["left", "right"])
    .zeros(Zeros::Cancellation)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Sub;

impl Pairwise for Sub {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, a: T, b: T) -> T {
        a - b
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn sub_tensor(&self, other: &Self) -> Self {
        Self::pairwise(self, other, Sub).record(&OP, &[self, other], |g| {
            g.give(0, |g| g.dy().clone());
            g.give(1, |g| -g.dy());
        })
    }
}

fn samples(s: &mut Samples) {
    s.binary(-3.0..3.0, -3.0..3.0, "a - b", |a, b| a - b);
}
