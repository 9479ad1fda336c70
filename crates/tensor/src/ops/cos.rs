//! The cosine.
//!
//! ```text
//! y  = cos x
//! dx = −dy · sin x                   keeps its input
//! ```

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("cos")
    .formula("y = cos x")
    .gradient("dx = −dy · sin x")
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Cos;

impl Elementwise for Cos {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    fn value<T: Float>(self, x: T) -> T {
        x.cos()
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        -(dy * x.sin())
    }
}

impl Tensor {
    /// The cosine of each element, in radians.
    #[must_use]
    #[track_caller]
    pub fn cos(&self) -> Self {
        self.elementwise(Cos)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.cos(a)", Tensor::cos);
}
