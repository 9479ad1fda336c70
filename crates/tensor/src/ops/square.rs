//! The square.
//!
//! ```text
//! y  = x²
//! dx = dy · 2x                       keeps its input
//! ```

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("square")
    .formula("y = x²")
    .gradient("dx = dy · 2x")
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .sampled_by(samples);

#[derive(Clone, Copy)]
pub(super) struct Square;

impl Elementwise for Square {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    fn value<T: Float>(self, x: T) -> T {
        x * x
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy * (x + x)
    }
}

impl Tensor {
    /// The square of each element.
    #[must_use]
    #[track_caller]
    pub fn square(&self) -> Self {
        self.elementwise(Square)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.square(a)", Tensor::square);
}
