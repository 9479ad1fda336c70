//! The density of the distribution that the tanh approximation of GELU puts in the place of the normal one.
//!
//! ```text
//! y  = σ(2u) σ(−2u) 2u′,  u = √(2/π) (x + 0.044715 x³)
//! dx = dy · y (6·0.044715 x / (1 + 3·0.044715 x²) − 2u′ tanh u)          keeps its input
//! ```
//!
//! It is the slope of [`normal_cdf_tanh`](super::normal_cdf_tanh). Accurate in both tails.

use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;
use std::f64::consts::FRAC_2_PI;

pub(super) static OP: Op = Op::new("normal_density_tanh")
    .formula("y = σ(2u) σ(−2u) 2u′,  u = √(2/π) (x + 0.044715 x³)")
    .gradient("dx = dy · y (6·0.044715 x / (1 + 3·0.044715 x²) − 2u′ tanh u)")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .sampled_by(samples);

/// The weight of the cubic term, fitted by the authors of GELU.
const CUBIC: f64 = 0.044_715;
/// Beyond, the density is 0, and powers of x need not overflow beside it.
const FAR: f64 = 40.0;

impl Tensor {
    /// The derivative of [`normal_cdf_tanh`](Self::normal_cdf_tanh).
    #[track_caller]
    pub(crate) fn normal_density_tanh(&self) -> Self {
        let y = with_float!("normal_density_tanh", self.dtype(), T => {
            self.map_to::<T, T>(|x| x.normal_cdf_tanh_and_slope().1)
        });
        y.record(&OP, &[self], |g| {
            g.give(0, |g| {
                let y = g.x(0).normal_density_tanh();
                let x = g.x(0).clamp(-FAR, FAR);
                let cubic = x.square() * CUBIC;
                let linear = FRAC_2_PI.sqrt();
                // The slope of u over √(2/π).
                let slope = &cubic * 3.0 + 1.0;
                let fall = (&x * (cubic + 1.0) * linear).tanh() * (&slope * (2.0 * linear));
                g.dy() * y * (x * (6.0 * CUBIC) / slope - fall)
            });
        })
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "", Tensor::normal_density_tanh);
}
