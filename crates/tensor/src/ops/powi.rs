//! A power with a fixed whole exponent.
//!
//! ```text
//! y  = xⁿ
//! dx = dy · n·xⁿ⁻¹                   keeps its input
//! ```
//!
//! By repeated squaring, so negative x is as good as positive. x⁰ is 1 with derivative 0 everywhere, also at
//! 0 and NaN.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::Pitfall;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("powi")
    .formula("y = xⁿ")
    .gradient("dx = dy · n·xⁿ⁻¹")
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .pitfalls(Pitfall::POWER)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Powi(i32);

impl Elementwise for Powi {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        // Exponents that the compiler knows: a loop of its own, without one in it.
        match self.0 {
            1 => x,
            2 => x.powi(2),
            3 => x.powi(3),
            n => x.powi(n),
        }
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        if self.0 == 0 {
            return N::ZERO;
        }
        dy * (x.powi(self.0.saturating_sub(1)) * N::from_f64(f64::from(self.0)))
    }
}

impl Tensor {
    /// Each element to the power of the whole number `exponent`.
    #[must_use]
    #[track_caller]
    pub fn powi(&self, exponent: i32) -> Self {
        self.elementwise(Powi(exponent))
    }
}

fn samples(s: &mut Samples) {
    for n in [0, 1, 2, 3] {
        s.unary(-3.0..3.0, &format!("a ** {n}"), move |a| a.powi(n));
    }
    s.unary(-3.0..-0.5, "a ** -3.0", |a| a.powi(-3));
}
