//! The sigmoid linear unit, also known as swish.
//!
//! ```text
//! y  = x σ(x)
//! dx = dy · σ (1 + x σ(−x))          keeps its input
//! ```
//!
//! Source: Elfwing et al., "Sigmoid-weighted linear units for neural network function approximation in
//! reinforcement learning", 2017. At ±∞ the derivative is NaN, and so is the value at −∞, as in PyTorch.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::role::Side;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("silu")
    .formula("y = x σ(x)")
    .gradient("dx = dy · σ (1 + x σ(−x))")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .activation(Side::Asymptote(0.0), Side::Open)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Silu;

impl Elementwise for Silu {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        x * x.sigmoid()
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        let (s, rest) = x.sigmoid_and_rest();
        dy * (s * (N::ONE + x * rest))
    }
}

impl Tensor {
    /// x σ(x) of each element, with σ the [`sigmoid`](Self::sigmoid).
    #[must_use]
    #[track_caller]
    pub fn silu(&self) -> Self {
        self.elementwise(Silu)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.nn.functional.silu(a)", Tensor::silu);
}
