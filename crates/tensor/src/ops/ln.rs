//! The natural logarithm.
//!
//! ```text
//! y  = ln x
//! dx = dy / x                        keeps its input
//! ```
//!
//! At 0 it is −∞ with derivative +∞; below 0 it is NaN.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::{Makes, Of, Pitfall};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("ln")
    .formula("y = ln x")
    .gradient("dx = dy / x")
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .pitfalls(&[
        Pitfall::forward(
            Makes::Infinity,
            Of::Zeros,
            "ln 0 is −∞: clamp first, or compute from logits with log_softmax or cross_entropy",
        ),
        Pitfall::forward(
            Makes::Nan,
            Of::Negative,
            "The logarithm of a number below 0 is NaN: look at what made it negative",
        ),
        Pitfall::STEEP_AT_ZERO,
    ])
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Ln;

impl Elementwise for Ln {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        x.ln()
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy / x
    }
}

impl Tensor {
    /// The natural logarithm of each element: −∞ at 0, NaN below.
    #[must_use]
    #[track_caller]
    pub fn ln(&self) -> Self {
        self.elementwise(Ln)
    }
}

fn samples(s: &mut Samples) {
    s.unary(0.3..3.0, "torch.log(a)", Tensor::ln);
}
