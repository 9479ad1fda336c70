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

/// xᵉ. The squares that most losses are made of are worth more than a call of `pow`, and rounded correctly.
pub(super) fn power<T: Float>(x: T, exponent: f64) -> T {
    if exponent == 2.0 { x * x } else { x.powf_wide(exponent) }
}

#[derive(Clone, Copy)]
struct Powf(f64);

impl Elementwise for Powf {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    fn value<T: Float>(self, x: T) -> T {
        power(x, self.0)
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        if self.0 == 0.0 {
            return N::ZERO;
        }
        let less = self.0 - 1.0;
        // What rounding e − 1 lost, which is exact; for most exponents nothing.
        let lost = (self.0 - less) - 1.0;
        let slope = x.powf(less) * N::from_f64(self.0);
        dy * if lost == 0.0 { slope } else { slope * (N::ONE + x.logarithm() * N::from_f64(lost)) }
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
        self.elementwise(Powf(exponent))
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
