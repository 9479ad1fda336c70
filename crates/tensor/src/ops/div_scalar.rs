//! Division by a number.
//!
//! ```text
//! y  = x / c
//! dx = dy / c                        keeps nothing
//! ```
//!
//! A division, not a multiplication by 1/c, which rounds differently.
use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Op, Zeros};
use crate::pitfall::{Makes, Of, Pitfall};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("div_scalar")
    .formula("y = x / c")
    .gradient("dx = dy / c")
    .zeros(Zeros::Product)
    .why_zeros("the divisor is infinite, or the quotient underflows")
    .pitfalls(&[
        Pitfall::forward(Makes::Nan, Of::Zeros, "It divides 0 by 0, as a mean over nothing does"),
        Pitfall::forward(Makes::Infinity, Of::Numbers, "It divides by 0, or by a number close to it"),
    ])
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct DivScalar(f64);

impl Elementwise for DivScalar {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        x / T::from_f64(self.0)
    }

    fn pull<N: Number>(self, dy: N, _: N) -> N {
        dy / N::from_f64(self.0)
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn div_scalar(&self, c: f64) -> Self {
        self.elementwise(DivScalar(c))
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "a / 3.0", |a| a / 3.0);
}
