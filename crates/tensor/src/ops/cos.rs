//! The cosine.
//!
//! ```text
//! y  = cos x
//! dx = −dy · sin x                   keeps its input
//! ```

use super::zero_gradient::times;
use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("cos")
    .formula("y = cos x")
    .gradient("dx = −dy · sin x")
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .sampled_by(samples);

impl Tensor {
    /// The cosine of each element, in radians.
    #[must_use]
    #[track_caller]
    pub fn cos(&self) -> Self {
        let y = with_float!("cos", self.dtype(), T => self.map_all::<T>(T::cosines));
        y.record(&OP, &[self], |g| g.give(0, |g| -times(g.dy(), &g.x(0).sin())))
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.cos(a)", Tensor::cos);
}
