//! The error function.
//!
//! ```text
//! y  = 2/√π ∫₀ˣ exp(−t²) dt
//! dx = dy · 2/√π exp(−x²)            keeps its input
//! ```

use super::elementwise::Elementwise;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::Float;
use std::f64::consts::FRAC_2_SQRT_PI;

pub(super) const INFO: OpInfo = OpInfo {
    name: "erf",
    formula: "y = erf x",
    gradient: "dx = dy · 2/√π exp(−x²)",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

#[derive(Clone, Copy)]
struct Erf;

impl Elementwise for Erf {
    const NAME: &'static str = "erf";
    const KEEP: Keep = Keep::Inputs;

    fn value<T: Float>(self, x: T) -> T {
        x.erf()
    }

    fn pull<T: Float>(self, dy: T, x: T) -> T {
        dy * ((-(x * x)).exp() * T::from_f64(FRAC_2_SQRT_PI))
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        dy * ((-(x * x)).exp() * FRAC_2_SQRT_PI)
    }
}

impl Tensor {
    /// The error function of each element.
    #[must_use]
    #[track_caller]
    pub fn erf(&self) -> Self {
        self.elementwise(Erf)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.erf(a)", Tensor::erf);
}
