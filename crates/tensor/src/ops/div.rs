//! Division, element by element.
//!
//! ```text
//! y  = a / b
//! da = dy / b,  db = −dy (a / b) / b    keeps its inputs
//! ```
//!
//! Not −dy · a / b²: the square leaves the range of `f32` where the gradient does not.

use super::binary::pairwise;
use super::zero_gradient::{over, times, zero_where_zero};
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::Pitfall;
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("div")
    .formula("y = a / b")
    .gradient("da = dy / b, db = −dy (a / b) / b")
    .operands(&["dividend", "divisor"])
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .pitfalls(Pitfall::DIVISION)
    .sampled_by(samples);

impl Tensor {
    #[track_caller]
    pub(crate) fn div_tensor(&self, other: &Self) -> Self {
        pairwise!(OP, self, other, |a, b| a / b).record(&OP, &[self, other], |g| {
            g.give(0, |g| over(g.dy(), g.x(1)));
            g.give(1, |g| {
                if g.is_recorded() {
                    zero_where_zero(g.dy(), &[g.x(0), g.x(1)], &|dy, x| -(dy * (x[0] / x[1])) / x[1])
                } else {
                    over(&-times(g.dy(), &(g.x(0) / g.x(1))), g.x(1))
                }
            });
        })
    }
}

fn samples(s: &mut Samples) {
    s.binary(-3.0..3.0, 0.5..3.0, "a / b", |a, b| a / b);
}
