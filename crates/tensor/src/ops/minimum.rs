//! The smaller of two tensors, element by element.
//!
//! ```text
//! y  = min(a, b)
//! da = dy where a < b, db = dy where b < a          keeps its inputs
//! ```
//!
//! Ties give each operand half of the gradient, as in PyTorch. A NaN on either side makes the result NaN;
//! both operands then get all of the gradient.

use super::binary::pairwise;
use super::maximum::{rivals, shared};
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("minimum")
    .formula("y = min(a, b)")
    .gradient("da = dy where a < b, db = dy where b < a, half each where a = b")
    .operands(&["left", "right"])
    .keep(Keep::Inputs)
    .zeros(Zeros::Selection)
    .sampled_by(samples);

impl Tensor {
    /// The smaller of two, element by element; NaN where either is. Where they are equal, each gets half of
    /// the gradient.
    ///
    /// # Panics
    /// If the shapes do not broadcast or the element types differ.
    #[must_use]
    #[track_caller]
    pub fn minimum(&self, other: &Self) -> Self {
        pairwise!(OP, self, other, Float::minimum).record(&OP, &[self, other], |g| {
            g.give(0, |g| shared(g.dy(), &g.x(0).eq(g.x(1)), &g.x(0).gt(g.x(1))));
            g.give(1, |g| shared(g.dy(), &g.x(0).eq(g.x(1)), &g.x(0).lt(g.x(1))));
        })
    }
}

fn samples(s: &mut Samples) {
    for inputs in rivals(s) {
        s.case("", &inputs, "torch.minimum(a, b)", |x| x[0].minimum(&x[1]));
    }
}
