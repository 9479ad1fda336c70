//! The bell curve, not normalised.
//!
//! ```text
//! y  = e^−kx²                        k is 1 or ½
//! dx = −dy · 2k x y                  keeps its input
//! ```
//!
//! Not made of other ops: rounding x² would cost as many units in the last place of y as kx² is large. The
//! slopes of [`erf`](Tensor::erf) and [`gelu`](Tensor::gelu) are made of it where they are differentiated
//! again.

use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("gaussian")
    .formula("y = e^−kx²")
    .gradient("dx = −dy · 2k x y")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .sampled_by(samples);

impl Tensor {
    /// e^−kx² of each element, for k a power of two.
    #[track_caller]
    pub(crate) fn gaussian(&self, k: f64) -> Self {
        let y = with_float!("gaussian", self.dtype(), T => self.map_to::<T, T>(move |x| x.gaussian(k)));
        y.record(&OP, &[self], move |g| {
            // Far out y is 0, and ∞ · 0 would be NaN.
            g.give(0, |g| g.dy() * (g.x(0).clamp(-1e6, 1e6) * g.x(0).gaussian(k) * (-2.0 * k)));
        })
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "", |x| x.gaussian(0.5));
    s.unary(-3.0..3.0, "", |x| x.gaussian(1.0));
}
