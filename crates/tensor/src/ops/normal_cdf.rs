//! The distribution function of the standard normal distribution.
//!
//! ```text
//! y  = Φ(x) = ½ erfc(−x/√2)
//! dx = dy · e^−½x² / √(2π)           keeps its input
//! ```
//!
//! Accurate in both tails, down to subnormal numbers. [`gelu`](Tensor::gelu) is made of it where it is
//! differentiated again.

use super::formula::Number;
use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("normal_cdf")
    .formula("y = Φ(x)")
    .gradient("dx = dy · e^−½x² / √(2π)")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .sampled_by(samples);

/// Φ′(x), the density of the standard normal distribution.
#[inline(always)]
pub(super) fn density<N: Number>(x: N) -> N {
    /// 1/√(2π).
    const FRAC_1_SQRT_2_PI: f64 = 0.398_942_280_401_432_7;
    x.gaussian(0.5) * N::from_f64(FRAC_1_SQRT_2_PI)
}

impl Tensor {
    /// Φ(x) of each element: the chance that a standard normal number is below x.
    #[track_caller]
    pub(crate) fn normal_cdf(&self) -> Self {
        let y = with_float!("normal_cdf", self.dtype(), T => self.map_to::<T, T>(Float::normal_cdf));
        y.record(&OP, &[self], |g| {
            g.give(0, |g| super::formula::of_tensors(g.dy(), g.x(0), |dy, x| dy * density(x)));
        })
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "", Tensor::normal_cdf);
}
