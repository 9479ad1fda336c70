//! The square root, and the square root of sums of squares.
//!
//! ```text
//! y  = √x
//! dx = dy / 2y                       keeps its output
//! ```
//!
//! At 0 the derivative is +∞, as in PyTorch (and 0/0 = NaN where dy is 0). Norms and standard deviations have
//! a kink at 0 instead, where their gradient is 0; they are made of [`root`](Tensor::root), whose derivative
//! at 0 is 0.

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
            "The derivative of √x is infinite at 0, and 0 · ∞ is NaN: add a small number under the root, or take norm or std, \
             whose gradient at 0 is 0",
        ),
    ])
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Sqrt {
    flat_at_zero: bool,
}

impl Elementwise for Sqrt {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    fn value<T: Float>(self, x: T) -> T {
        x.sqrt()
    }

    fn pull<N: Number>(self, dy: N, y: N) -> N {
        let slope = dy / (y + y);
        // A root is never below 0, and NaN stays.
        if self.flat_at_zero { N::select(y.le(0.0), N::ZERO, slope) } else { slope }
    }

    // Not the formula above: where 0 is divided by, the derivative of the quotient would bring the ∞ back.
    fn pull_tensor(self, dy: &Tensor, y: &Tensor) -> Tensor {
        if !self.flat_at_zero {
            return dy / (y * 2.0);
        }
        let zero = y.eq(0.0);
        (dy / (y.masked_fill(&zero, 1.0) * 2.0)).masked_fill(&zero, 0.0)
    }
}

impl Tensor {
    /// The square root of each element; NaN below 0. The gradient at 0 is infinite.
    #[must_use]
    #[track_caller]
    pub fn sqrt(&self) -> Self {
        self.elementwise(Sqrt { flat_at_zero: false })
    }

    /// The square root of a sum of squares: the gradient at 0 is 0.
    #[track_caller]
    pub(super) fn root(&self) -> Self {
        self.elementwise(Sqrt { flat_at_zero: true })
    }
}

fn samples(s: &mut Samples) {
    s.unary(0.3..3.0, "torch.sqrt(a)", Tensor::sqrt);
    s.unary(0.3..3.0, "torch.sqrt(a)", Tensor::root);
}
