//! The Gaussian error linear unit.
//!
//! ```text
//! y  = x Φ(x),  Φ(x) = ½ (1 + erf(x/√2))
//! dx = dy · (Φ(x) + x φ(x)),  φ(x) = exp(−x²/2) / √(2π)          keeps its input
//! ```
//!
//! Exact; the tanh approximation is [`gelu_tanh`](super::gelu_tanh). At ±∞ the derivative is NaN, and so is
//! the value at −∞, as in PyTorch. Source: Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;
use std::f64::consts::FRAC_1_SQRT_2;

pub(super) static OP: Op = Op::new("gelu")
    .formula("y = x Φ(x)")
    .gradient("dx = dy · (Φ(x) + x φ(x))")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .sampled_by(samples);

/// 1/√(2π).
const FRAC_1_SQRT_2_PI: f64 = 0.398_942_280_401_432_7;

/// Φ(x), the chance that a standard normal number is below x.
#[inline(always)]
fn below<N: Number>(x: N) -> N {
    ((x * N::from_f64(FRAC_1_SQRT_2)).erf() + N::ONE) * N::from_f64(0.5)
}

#[derive(Clone, Copy)]
struct Gelu;

impl Elementwise for Gelu {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        x * below(x)
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        let density = (x * x * N::from_f64(-0.5)).exp() * N::from_f64(FRAC_1_SQRT_2_PI);
        dy * (below(x) + x * density)
    }
}

impl Tensor {
    /// x Φ(x) of each element: x times the chance that a standard normal number is below x.
    #[must_use]
    #[track_caller]
    pub fn gelu(&self) -> Self {
        self.elementwise(Gelu)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.nn.functional.gelu(a)", Tensor::gelu);
}
