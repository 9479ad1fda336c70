//! The Gaussian error linear unit.
//!
//! ```text
//! y  = x Φ(x),  Φ(x) = ½ erfc(−x/√2)
//! dx = dy · (Φ(x) + x φ(x)),  φ(x) = exp(−x²/2) / √(2π)          keeps its input
//! ```
//!
//! Exact, also far on the left, where ½ (1 + erf(x/√2)) has no digits left; the tanh approximation is
//! [`gelu_tanh`](super::gelu_tanh). At ±∞ the derivative is NaN, and so is the value at −∞, as in PyTorch.
//! Source: Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016.

use super::elementwise::Elementwise;
use super::formula::Number;
use super::normal_cdf::density;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::role::Side;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("gelu")
    .formula("y = x Φ(x)")
    .gradient("dx = dy · (Φ(x) + x φ(x))")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .activation(Side::Asymptote(0.0), Side::Open)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Gelu;

impl Elementwise for Gelu {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        x * x.normal_cdf()
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy * (x.normal_cdf() + x * density(x))
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
