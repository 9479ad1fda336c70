//! The square root.
//!
//! ```text
//! y  = √x
//! dx = dy / 2y                       keeps its output
//! ```
//!
//! At 0 the derivative is +∞, as in PyTorch. Norms and standard deviations have a kink at 0 instead, where
//! their gradient is 0; see [`norm`](super::norm).

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::{Makes, Of, Pitfall};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("sqrt")
    .formula("y = √x")
    .gradient("dx = dy / 2y")
    .keep(Keep::Output)
    .zeros(Zeros::Product)
    .pitfalls(&[
        Pitfall::forward(
            Makes::Nan,
            Of::Negative,
            "The square root of a number below 0 is NaN: look at what made it negative",
        ),
        Pitfall::backward(
            Of::Zeros,
            "The derivative of √x is infinite at 0: add a small number under the root, or take norm or std, whose gradient \
             at 0 is 0",
        ),
    ])
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Sqrt;

impl Elementwise for Sqrt {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    fn value<T: Float>(self, x: T) -> T {
        x.sqrt()
    }

    fn pull<N: Number>(self, dy: N, y: N) -> N {
        dy / (y + y)
    }
}

impl Tensor {
    /// The square root of each element; NaN below 0. The gradient at 0 is infinite.
    #[must_use]
    #[track_caller]
    pub fn sqrt(&self) -> Self {
        self.elementwise(Sqrt)
    }
}

fn samples(s: &mut Samples) {
    s.unary(0.3..3.0, "torch.sqrt(a)", Tensor::sqrt);
}
