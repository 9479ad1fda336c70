//! The absolute value.
//!
//! ```text
//! y  = |x|
//! dx = dy · sign x                   keeps its input
//! ```
//!
//! At the kink the derivative is 0, as in PyTorch.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("abs")
    .formula("y = |x|")
    .gradient("dx = dy · sign x")
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Abs;

impl Elementwise for Abs {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        x.abs()
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy * x.sign()
    }
}

impl Tensor {
    /// |x| of each element. The gradient at 0 is 0.
    #[must_use]
    #[track_caller]
    pub fn abs(&self) -> Self {
        self.elementwise(Abs)
    }
}

fn samples(s: &mut Samples) {
    s.avoid(&[0.0]);
    s.unary(-3.0..3.0, "torch.abs(a)", Tensor::abs);
}
