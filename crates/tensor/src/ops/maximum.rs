//! The larger of two tensors, element by element.
//!
//! ```text
//! y  = max(a, b)
//! da = dy where a > b, db = dy where b > a          keeps its inputs
//! ```
//!
//! Ties give each operand half of the gradient, as in PyTorch. A NaN on either side makes the result NaN;
//! both operands then get all of the gradient.

use super::binary::pairwise;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("maximum")
    .formula("y = max(a, b)")
    .gradient("da = dy where a > b, db = dy where b > a, half each where a = b")
    .operands(&["left", "right"])
    .keep(Keep::Inputs)
    .zeros(Zeros::Selection)
    .sampled_by(samples);

impl Tensor {
    /// The larger of two, element by element; NaN where either is. Where they are equal, each gets half of
    /// the gradient.
    ///
    /// # Panics
    /// If the shapes do not broadcast or the element types differ.
    #[must_use]
    #[track_caller]
    pub fn maximum(&self, other: &Self) -> Self {
        pairwise!(OP, self, other, Float::maximum).record(&OP, &[self, other], |g| {
            g.give(0, |g| shared(g.dy(), &g.x(0).eq(g.x(1)), &g.x(0).lt(g.x(1))));
            g.give(1, |g| shared(g.dy(), &g.x(0).eq(g.x(1)), &g.x(0).gt(g.x(1))));
        })
    }
}

/// Half of `dy` where there is a tie, nothing where this operand was not chosen.
#[track_caller]
pub(super) fn shared(dy: &Tensor, tie: &Tensor, passed_over: &Tensor) -> Tensor {
    Tensor::select_where(tie, &(dy * 0.5), dy).masked_fill(passed_over, 0.0)
}

/// Operands that come nowhere near each other, in broadcasts and layouts.
pub(super) fn rivals(s: &mut Samples) -> Vec<[Tensor; 2]> {
    let shapes: [(&[usize], &[usize]); 6] =
        [(&[], &[]), (&[5], &[5]), (&[0], &[0]), (&[3, 4], &[4]), (&[3, 1], &[1, 4]), (&[4, 3], &[4, 3])];
    let mut pairs: Vec<_> = shapes.iter().map(|(a, b)| [s.draw_apart(a), s.draw_apart(b) + 0.05]).collect();
    pairs.push([s.draw_apart(&[4, 3]).t(), s.draw_apart(&[3, 8]).step_by(1, 2) + 0.05]);
    pairs
}

fn samples(s: &mut Samples) {
    for inputs in rivals(s) {
        s.case("", &inputs, "torch.maximum(a, b)", |x| x[0].maximum(&x[1]));
    }
}
