//! The sine.
//!
//! ```text
//! y  = sin x
//! dx = dy · cos x                    keeps its input
//! ```

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("sin")
    .formula("y = sin x")
    .gradient("dx = dy · cos x")
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Sin;

impl Elementwise for Sin {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    fn value<T: Float>(self, x: T) -> T {
        x.sin()
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy * x.cos()
    }
}

impl Tensor {
    /// The sine of each element, in radians.
    #[must_use]
    #[track_caller]
    pub fn sin(&self) -> Self {
        self.elementwise(Sin)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.sin(a)", Tensor::sin);
}
