//! The square root, and the square root of sums of squares.
//!
//! ```text
//! y  = √x
//! dx = dy / 2y                       keeps its output
//! ```
//!
//! At 0 the derivative is +∞, as in PyTorch (and 0/0 = NaN where dy is 0). Norms and standard deviations have a kink at 0
//! instead, where their gradient is 0; they are made of [`root`](Tensor::root), whose derivative at 0 is 0.

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "sqrt",
    formula: "y = √x",
    gradient: "dx = dy / 2y",
    keep: Keep::Output,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Sqrt {
    flat_at_zero: bool,
}

impl Elementwise for Sqrt {
    const NAME: &'static str = "sqrt";
    const KEEP: Keep = Keep::Output;

    fn value<T: Float>(self, x: T) -> T {
        x.sqrt()
    }

    fn pull<T: Float>(self, dy: T, y: T) -> T {
        if self.flat_at_zero && y == T::ZERO { T::ZERO } else { dy / (y + y) }
    }

    fn pull_tensor(self, dy: &Tensor, y: &Tensor) -> Tensor {
        if !self.flat_at_zero {
            return dy / (y * 2.0);
        }
        // Nowhere is 0 divided by, or the derivative of the quotient would bring the ∞ back.
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
