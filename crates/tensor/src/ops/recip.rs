//! The reciprocal.
//!
//! ```text
//! y  = 1 / x
//! dx = −dy · y²                      keeps its output
//! ```
//!
//! At 0 it is ±∞ by the sign of the zero, with derivative −∞.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::Pitfall;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("recip")
    .formula("y = 1 / x")
    .gradient("dx = −dy · y²")
    .operands(&["divisor"])
    .keep(Keep::Output)
    .zeros(Zeros::Product)
    .pitfalls(Pitfall::DIVISION)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Recip;

impl Elementwise for Recip {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    fn value<T: Float>(self, x: T) -> T {
        T::ONE / x
    }

    fn pull<N: Number>(self, dy: N, y: N) -> N {
        -(dy * (y * y))
    }
}

impl Tensor {
    /// 1 / x of each element.
    #[must_use]
    #[track_caller]
    pub fn recip(&self) -> Self {
        self.elementwise(Recip)
    }
}

fn samples(s: &mut Samples) {
    s.unary(0.5..3.0, "torch.reciprocal(a)", Tensor::recip);
    s.unary(-3.0..-0.5, "1 / a", Tensor::recip);
}
