//! Rounding: a staircase.
//!
//! ```text
//! y  = ⌈x⌉
//! dx = 0                             keeps nothing
//! ```
//!
//! As in PyTorch the gradient is 0, also on the edges of the stairs.

use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("ceil")
    .formula("y = ⌈x⌉")
    .gradient("dx = 0")
    .zeros(Zeros::Derivative)
    .why_zeros("it is flat between its steps")
    .sampled_by(samples);

impl Tensor {
    /// The smallest integer not below each element. The gradient is 0.
    #[must_use]
    #[track_caller]
    pub fn ceil(&self) -> Self {
        let y = with_float!("ceil", self.dtype(), T => self.map_to::<T, T>(Float::ceil));
        y.record(&OP, &[self], |g| g.give(0, |g| g.dy().zeros_like()))
    }
}

fn samples(s: &mut Samples) {
    s.avoid(&[-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
    s.unary(-2.9..2.9, "torch.ceil(a)", Tensor::ceil);
}
