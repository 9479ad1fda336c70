//! The logarithm of 1 + x, accurate near 0.
//!
//! ```text
//! y  = ln(1 + x)
//! dx = dy / (1 + x)                  keeps its input
//! ```
//!
//! At −1 it is −∞ with derivative +∞; below it is NaN.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::{Makes, Of, Pitfall};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("ln_1p")
    .formula("y = ln(1 + x)")
    .gradient("dx = dy / (1 + x)")
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .pitfalls(&[
        Pitfall::forward(Makes::Infinity, Of::Negative, "ln_1p of −1 is −∞: clamp first"),
        Pitfall::forward(
            Makes::Nan,
            Of::Negative,
            "ln_1p of a number below −1 is NaN: look at what made it so small",
        ),
        Pitfall::backward(
            Of::Negative,
            "Its derivative is infinite at −1: replace what \
             is −1 before this op",
        ),
    ])
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Ln1p;

impl Elementwise for Ln1p {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        x.ln_1p()
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy / (x + N::ONE)
    }
}

impl Tensor {
    /// ln(1 + x) of each element, accurate near 0.
    #[must_use]
    #[track_caller]
    pub fn ln_1p(&self) -> Self {
        self.elementwise(Ln1p)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-0.7..3.0, "torch.log1p(a)", Tensor::ln_1p);
}
