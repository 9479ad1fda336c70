//! Multiplication by a number.
//!
//! ```text
//! y  = c x
//! dx = c dy                          keeps nothing
//! ```

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Op, Zeros};
use crate::pitfall::Pitfall;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("mul_scalar")
    .formula("y = c x")
    .gradient("dx = c dy")
    .zeros(Zeros::Product)
    .why_zeros("the factor is 0, or the product underflows")
    .pitfalls(&[Pitfall::ZERO_TIMES_INFINITY])
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct MulScalar(f64);

impl Elementwise for MulScalar {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        x * T::from_f64(self.0)
    }

    fn pull<N: Number>(self, dy: N, _: N) -> N {
        dy * N::from_f64(self.0)
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn mul_scalar(&self, c: f64) -> Self {
        self.elementwise(MulScalar(c))
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "a * 2.5", |a| 2.5 * a);
}
