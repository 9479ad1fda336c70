//! A power with a fixed real exponent.
//!
//! ```text
//! y  = xᵉ
//! dx = dy · e·xᵉ⁻¹                   keeps its input
//! ```
//!
//! As in PyTorch: x⁰ is 1 with derivative 0 everywhere, also at 0 and NaN. At x = 0 the derivative of x¹ is
//! 1, that of xᵉ is ∞ for 0 < e < 1 and 0 for e > 1. A negative x has no real power with a fractional
//! exponent: NaN. Unlike there, the exponent is not rounded to the type of x: for 2.1, an `f32` power of 1e31
//! would be off by 57 units in the last place.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::Pitfall;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("powf")
    .formula("y = xᵉ")
    .gradient("dx = dy · e·xᵉ⁻¹")
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .pitfalls(Pitfall::POWER)
    .sampled_by(samples);

/// xᵉ, and squares rounded correctly. A choice and no branch, so that loops vectorise.
#[inline(always)]
pub(super) fn power<T: Float>(x: T, exponent: f64) -> T {
    let y = x.powf_wide(exponent);
    if exponent == 2.0 { x * x } else { y }
}

/// `CORRECTED` where e − 1 is no number.
#[derive(Clone, Copy)]
struct Powf<const CORRECTED: bool>(f64);

impl<const CORRECTED: bool> Elementwise for Powf<CORRECTED> {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        power(x, self.0)
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        let less = self.0 - 1.0;
        let mut slope = x.powf(less) * N::from_f64(self.0);
        if CORRECTED {
            slope = slope * (N::ONE + x.logarithm() * N::from_f64(rounding_of_less(self.0)));
        }
        let dx = dy * slope;
        if self.0 == 0.0 { N::ZERO } else { dx }
    }
}

/// What rounding e − 1 lost, which is exact; for most exponents nothing.
fn rounding_of_less(exponent: f64) -> f64 {
    (exponent - (exponent - 1.0)) - 1.0
}

/// The squares that most losses are made of are worth more than a call of `pow`.
#[derive(Clone, Copy)]
struct SecondPower;

impl Elementwise for SecondPower {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    fn value<T: Float>(self, x: T) -> T {
        x * x
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy * (x * N::from_f64(2.0))
    }
}

impl Tensor {
    /// Each element to the power of `exponent`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from([0.0, 4.0]).powf(0.5).to_vec::<f64>(), [0.0, 2.0]);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn powf(&self, exponent: f64) -> Self {
        match exponent {
            2.0 => self.elementwise(SecondPower),
            _ if rounding_of_less(exponent) == 0.0 => self.elementwise(Powf::<false>(exponent)),
            _ => self.elementwise(Powf::<true>(exponent)),
        }
    }
}

fn samples(s: &mut Samples) {
    s.unary(0.3..3.0, "a ** 2.5", |a| a.powf(2.5));
    s.unary(0.3..3.0, "a ** -1.5", |a| a.powf(-1.5));
    s.avoid(&[0.0]);
    s.unary(-3.0..3.0, "a ** 2.0", |a| a.powf(2.0));
    s.unary(-3.0..3.0, "a ** 0.0", |a| a.powf(0.0));
    s.unary(-3.0..3.0, "a ** 1.0", |a| a.powf(1.0));
}
