//! Addition.
//!
//! ```text
//! y  = a + b
//! da = dy,  db = dy                  keeps nothing
//! ```

use super::binary::pairwise;
use crate::catalogue::Samples;
use crate::onlooker;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("add")
    .formula("y = a + b")
    .gradient("da = dy, db = dy")
    .operands(&["left", "right"])
    .zeros(Zeros::Cancellation)
    .sampled_by(samples);

impl Tensor {
    #[track_caller]
    pub(crate) fn add_tensor(&self, other: &Self) -> Self {
        let y = pairwise!(OP, self, other, |a, b| a + b).record(&OP, &[self, other], |g| {
            g.give(0, |g| g.dy().clone());
            g.give(1, |g| g.dy().clone());
        });
        onlooker::summed(self, other, &y);
        y
    }
}

fn samples(s: &mut Samples) {
    s.binary(-3.0..3.0, -3.0..3.0, "a + b", |a, b| a + b);
}
