//! Multiplication, element by element.
//!
//! ```text
//! y  = a · b
//! da = dy · b,  db = dy · a          keeps its inputs
//! ```

use super::binary::pairwise;
use super::zero_gradient::times;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::Pitfall;
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("mul")
    .formula("y = a · b")
    .gradient("da = dy · b, db = dy · a")
    .operands(&["left", "right"])
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .pitfalls(&[Pitfall::ZERO_TIMES_INFINITY])
    .sampled_by(samples);

impl Tensor {
    #[track_caller]
    pub(crate) fn mul_tensor(&self, other: &Self) -> Self {
        pairwise!(OP, self, other, |a, b| a * b).record(&OP, &[self, other], |g| {
            g.give(0, |g| times(g.dy(), g.x(1)));
            g.give(1, |g| times(g.dy(), g.x(0)));
        })
    }
}

fn samples(s: &mut Samples) {
    s.binary(-3.0..3.0, -3.0..3.0, "a * b", |a, b| a * b);
}
