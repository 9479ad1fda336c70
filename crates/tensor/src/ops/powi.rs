//! A power with a fixed whole exponent.
//!
//! ```text
//! y  = xⁿ
//! dx = dy · n·xⁿ⁻¹                   keeps its input
//! ```
//!
//! By repeated squaring, so negative x is as good as positive. x⁰ is 1 with derivative 0 everywhere, also at 0 and NaN.

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) const INFO: OpInfo = OpInfo {
    name: "powi",
    formula: "y = xⁿ",
    gradient: "dx = dy · n·xⁿ⁻¹",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Powi(i32);

impl Elementwise for Powi {
    const NAME: &'static str = "powi";
    const KEEP: Keep = Keep::Inputs;

    fn value<T: Float>(self, x: T) -> T {
        x.powi(self.0)
    }

    fn pull<T: Float>(self, dy: T, x: T) -> T {
        if self.0 == 0 {
            return T::ZERO;
        }
        dy * (x.powi(self.0.saturating_sub(1)) * T::from_f64(f64::from(self.0)))
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        if self.0 == 0 {
            return dy.zeros_like();
        }
        dy * (x.powi(self.0.saturating_sub(1)) * f64::from(self.0))
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
