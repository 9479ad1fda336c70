//! The density of the logistic distribution, the derivative of the sigmoid.
//!
//! ```text
//! y  = σ(x) σ(−x) = e⁻ˣ / (1 + e⁻ˣ)²
//! dx = −dy · y tanh ½x               keeps its input
//! ```
//!
//! Accurate in both tails, down to subnormal numbers. The slopes of [`sigmoid`](Tensor::sigmoid) and
//! [`tanh`](Tensor::tanh) are made of it where they are differentiated again.

use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("logistic_density")
    .formula("y = σ(x) σ(−x)")
    .gradient("dx = −dy · y tanh ½x")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .sampled_by(samples);

impl Tensor {
    /// σ(x) σ(−x) of each element.
    #[track_caller]
    pub(crate) fn logistic_density(&self) -> Self {
        let y = with_float!("logistic_density", self.dtype(), T => {
            self.map_to::<T, T>(|x| x.sigmoid_and_slope().1)
        });
        y.record(&OP, &[self], |g| {
            g.give(0, |g| g.dy() * (g.x(0).logistic_density() * -(g.x(0) * 0.5).tanh()));
        })
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "", Tensor::logistic_density);
}
