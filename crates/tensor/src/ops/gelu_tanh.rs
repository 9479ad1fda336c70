//! The Gaussian error linear unit by its tanh approximation, as GPT-2 uses it.
//!
//! ```text
//! y  = ½ x (1 + t),  t = tanh u,  u = √(2/π) (x + 0.044715 x³)
//! dx = dy · (½ (1 + t) + ½ x (1 − t²) u′),  u′ = √(2/π) (1 + 3 · 0.044715 x²)          keeps its input
//! ```
//!
//! PyTorch's `gelu(approximate="tanh")`, infinities included. Source: Hendrycks and Gimpel, "Gaussian error
//! linear units (GELUs)", 2016, section 2.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("gelu_tanh")
    .formula("y = ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))")
    .gradient("dx = dy · (½ (1 + t) + ½ x (1 − t²) u′)")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .sampled_by(samples);

/// √(2/π).
const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
/// The weight of the cubic term, fitted by the paper's authors.
const CUBIC: f64 = 0.044_715;

#[inline(always)]
fn inner<N: Number>(x: N) -> N {
    x * (x * x * N::from_f64(CUBIC) + N::ONE) * N::from_f64(SQRT_2_OVER_PI)
}

#[derive(Clone, Copy)]
struct GeluTanh;

impl Elementwise for GeluTanh {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        x * T::from_f64(0.5) * (T::ONE + inner(x).tanh())
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        let t = inner(x).tanh();
        let slope = (x * x * N::from_f64(3.0 * CUBIC) + N::ONE) * N::from_f64(SQRT_2_OVER_PI);
        dy * ((N::ONE + t + x * (N::ONE - t * t) * slope) * N::from_f64(0.5))
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
