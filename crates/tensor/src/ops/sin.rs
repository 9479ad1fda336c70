//! The sine.
//!
//! ```text
//! y  = sin x
//! dx = dy · cos x                    keeps its input
//! ```

use super::zero_gradient::times;
use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("sin")
    .formula("y = sin x")
    .gradient("dx = dy · cos x")
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .sampled_by(samples);

impl Tensor {
    /// The sine of each element, in radians.
    #[must_use]
    #[track_caller]
    pub fn sin(&self) -> Self {
        let y = with_float!("sin", self.dtype(), T => self.map_all::<T>(T::sines));
        y.record(&OP, &[self], |g| g.give(0, |g| times(g.dy(), &g.x(0).cos())))
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.sin(a)", Tensor::sin);
}
