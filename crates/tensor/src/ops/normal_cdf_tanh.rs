//! The distribution function of the standard normal distribution, by the tanh approximation of GELU.
//!
//! ```text
//! y  = σ(2u) = ½ (1 + tanh u),  u = √(2/π) (x + 0.044715 x³)
//! dx = dy · y(x) y(−x) 2u′,  2u′ = 2√(2/π) (1 + 3 · 0.044715 x²)          keeps its input
//! ```
//!
//! Accurate in both tails, and so is its slope: 1 − y(x) = y(−x), without cancellation.
//! [`gelu_tanh`](Tensor::gelu_tanh) is made of it where it is differentiated again.

use super::formula::{Number, of_tensors};
use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("normal_cdf_tanh")
    .formula("y = ½ (1 + tanh(√(2/π) (x + 0.044715 x³)))")
    .gradient("dx = dy · y(x) y(−x) 2u′")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .sampled_by(samples);

/// 2√(2/π).
const TWICE_SQRT_2_OVER_PI: f64 = 1.595_769_121_605_730_8;
/// The weight of the cubic term, fitted by the authors of GELU.
const CUBIC: f64 = 0.044_715;

/// `factor` · y(x) y(−x) 2u′, of y(x) and y(−x), for a factor of no more than a few powers of x. One of them
/// falls faster than any power grows; x² is multiplied in step by step, for it may overflow.
#[inline(always)]
pub(super) fn slope_times<N: Number>(factor: N, x: N, (y, rest): (N, N)) -> N {
    let linear = factor * (y * rest);
    (linear + linear * x * x * N::from_f64(3.0 * CUBIC)) * N::from_f64(TWICE_SQRT_2_OVER_PI)
}

impl Tensor {
    /// An approximation of Φ(x), off by at most 3e-4.
    #[track_caller]
    pub(crate) fn normal_cdf_tanh(&self) -> Self {
        let y =
            with_float!("normal_cdf_tanh", self.dtype(), T => self.map_to::<T, T>(Float::normal_cdf_tanh));
        y.record(&OP, &[self], |g| {
            g.give(0, |g| {
                of_tensors(g.dy(), g.x(0), |dy, x| slope_times(dy, x, x.normal_cdf_tanh_and_rest()))
            });
        })
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "", Tensor::normal_cdf_tanh);
}
