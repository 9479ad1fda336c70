//! The error function.
//!
//! ```text
//! y  = 2/√π ∫₀ˣ exp(−t²) dt
//! dx = dy · 2/√π exp(−x²)            keeps its input
//! ```

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;
use std::f64::consts::FRAC_2_SQRT_PI;

pub(super) static OP: Op = Op::new("erf")
    .formula("y = erf x")
    .gradient("dx = dy · 2/√π exp(−x²)")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Erf;

impl Elementwise for Erf {
    const OP: &'static Op = &OP;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        x.erf()
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy * (x.gaussian(1.0) * N::from_f64(FRAC_2_SQRT_PI))
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
