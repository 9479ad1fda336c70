//! The distribution function of the standard normal distribution, by the tanh approximation of GELU.
//!
//! ```text
//! y  = σ(2u) = ½ (1 + tanh u),  u = √(2/π) (x + 0.044715 x³)
//! dx = dy · σ(2u) σ(−2u) 2u′          keeps its input
//! ```
//!
//! Accurate in both tails, and so is its slope, [`normal_density_tanh`](super::normal_density_tanh).
//! [`gelu_tanh`](Tensor::gelu_tanh) is made of both where it is differentiated again.

use super::formula::{Number, of_tensors};
use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("normal_cdf_tanh")
    .formula("y = ½ (1 + tanh(√(2/π) (x + 0.044715 x³)))")
    .gradient("dx = dy · normal_density_tanh(x)")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .sampled_by(samples);

impl Tensor {
    /// An approximation of Φ(x), off by at most 3e-4.
    #[track_caller]
    pub(crate) fn normal_cdf_tanh(&self) -> Self {
        let y =
            with_float!("normal_cdf_tanh", self.dtype(), T => self.map_to::<T, T>(Float::normal_cdf_tanh));
        y.record(&OP, &[self], |g| {
            g.give(0, |g| of_tensors(g.dy(), g.x(0), |dy, x| dy * x.normal_cdf_tanh_and_slope().1));
        })
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "", Tensor::normal_cdf_tanh);
}
