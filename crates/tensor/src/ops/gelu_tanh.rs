//! The Gaussian error linear unit by its tanh approximation, as GPT-2 uses it.
//!
//! ```text
//! y  = x σ(2u) = ½ x (1 + tanh u),  u = √(2/π) (x + 0.044715 x³)
//! dx = dy · (σ(2u) + x σ(2u) σ(−2u) 2u′),  2u′ = 2√(2/π) (1 + 3 · 0.044715 x²)          keeps its input
//! ```
//!
//! By the sigmoid, for far on the left 1 + tanh u has no digits left.
//! PyTorch's `gelu(approximate="tanh")`, infinities included. Source: Hendrycks and Gimpel, "Gaussian error
//! linear units (GELUs)", 2016, section 2.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::role::Side;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("gelu_tanh")
    .formula("y = ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))")
    .gradient("dx = dy · (σ(2u) + x σ(2u) σ(−2u) 2u′)")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .activation(Side::Asymptote(0.0), Side::Open)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct GeluTanh;

impl Elementwise for GeluTanh {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        x * x.normal_cdf_tanh()
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        let (below, slope) = x.normal_cdf_tanh_and_slope();
        dy * (below + x * slope)
    }
}

impl Tensor {
    /// The [`gelu`](Self::gelu) of each element by its tanh approximation, off by at most 5e-4.
    #[must_use]
    #[track_caller]
    pub fn gelu_tanh(&self) -> Self {
        self.elementwise(GeluTanh)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.nn.functional.gelu(a, approximate='tanh')", Tensor::gelu_tanh);
}
