//! The Gaussian error linear unit by its tanh approximation, as GPT-2 uses it.
//!
//! ```text
//! y  = ½ x (1 + t),  t = tanh u,  u = √(2/π) (x + 0.044715 x³)
//! dx = dy · (½ (1 + t) + ½ x (1 − t²) u′),  u′ = √(2/π) (1 + 3 · 0.044715 x²)          keeps its input
//! ```
//!
//! PyTorch's `gelu(approximate="tanh")`, infinities included. Source: Hendrycks and Gimpel, "Gaussian error linear units
//! (GELUs)", 2016, section 2.

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "gelu_tanh",
    formula: "y = ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))",
    gradient: "dx = dy · (½ (1 + t) + ½ x (1 − t²) u′)",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

/// √(2/π).
const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
/// The weight of the cubic term, fitted by the paper's authors.
const CUBIC: f64 = 0.044_715;

#[inline(always)]
fn inner<T: Float>(x: T) -> T {
    x * (x * x * T::from_f64(CUBIC) + T::ONE) * T::from_f64(SQRT_2_OVER_PI)
}

#[derive(Clone, Copy)]
struct GeluTanh;

impl Elementwise for GeluTanh {
    const NAME: &'static str = "gelu_tanh";
    const KEEP: Keep = Keep::Inputs;

    fn value<T: Float>(self, x: T) -> T {
        x * T::from_f64(0.5) * (T::ONE + inner(x).tanh())
    }

    fn pull<T: Float>(self, dy: T, x: T) -> T {
        let t = inner(x).tanh();
        let slope = (x * x * T::from_f64(3.0 * CUBIC) + T::ONE) * T::from_f64(SQRT_2_OVER_PI);
        dy * ((T::ONE + t + x * (T::ONE - t * t) * slope) * T::from_f64(0.5))
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        let square = x * x;
        let t = (x * (&square * CUBIC + 1.0) * SQRT_2_OVER_PI).tanh();
        let slope = (square * (3.0 * CUBIC) + 1.0) * SQRT_2_OVER_PI;
        dy * ((&t + 1.0 + x * (1.0 - &t * &t) * slope) * 0.5)
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
