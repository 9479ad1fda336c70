//! The exponential function.
//!
//! ```text
//! y  = eˣ
//! dx = dy · y                        keeps its output
//! ```

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::{Makes, Of, Pitfall};
use crate::tensor::Tensor;
use backflow_kernels::Float;

/// Of this op and its like.
pub(super) const OVERFLOW: Pitfall = Pitfall::forward(
    Makes::Either,
    Of::Numbers,
    "eˣ overflows for x above 88.7 in f32, above 709.7 in f64: subtract the largest first, or use softmax, log_softmax or \
     logsumexp",
);

pub(super) static OP: Op = Op::new("exp")
    .formula("y = eˣ")
    .gradient("dx = dy · y")
    .keep(Keep::Output)
    .zeros(Zeros::Saturation)
    .pitfalls(&[OVERFLOW])
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Exp;

impl Elementwise for Exp {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        x.exp()
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, y: N) -> N {
        dy * y
    }
}

impl Tensor {
    /// eˣ of each element.
    #[must_use]
    #[track_caller]
    pub fn exp(&self) -> Self {
        self.elementwise(Exp)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.exp(a)", Tensor::exp);
}
