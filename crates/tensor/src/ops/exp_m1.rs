//! eˣ − 1, accurate near 0.
//!
//! ```text
//! y  = eˣ − 1
//! dx = dy · eˣ                       keeps its input
//! ```
//!
//! Not y + 1, of which nothing is left where y rounds to −1.

use super::elementwise::Elementwise;
use super::exp::OVERFLOW;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("exp_m1")
    .formula("y = eˣ − 1")
    .gradient("dx = dy · eˣ")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .pitfalls(&[OVERFLOW])
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct ExpM1;

impl Elementwise for ExpM1 {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        x.exp_m1()
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy * x.exp()
    }
}

impl Tensor {
    /// eˣ − 1 of each element, accurate near 0.
    #[must_use]
    #[track_caller]
    pub fn exp_m1(&self) -> Self {
        self.elementwise(ExpM1)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.expm1(a)", Tensor::exp_m1);
}
