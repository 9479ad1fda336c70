//! Rounding: a staircase.
//!
//! ```text
//! y  = ⌈x⌉
//! dx = 0                             keeps nothing
//! ```
//!
//! As in PyTorch the gradient is 0, also on the edges of the stairs.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("ceil")
    .formula("y = ⌈x⌉")
    .gradient("dx = 0")
    .zeros(Zeros::Derivative)
    .why_zeros("it is flat between its steps")
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Ceil;

impl Elementwise for Ceil {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        Float::ceil(x)
    }

    fn pull<N: Number>(self, dy: N, _: N) -> N {
        // Nothing is greater: zeros that lie in memory as dy does.
        N::select(dy.gt(f64::INFINITY), dy, N::ZERO)
    }
}

impl Tensor {
    /// The smallest integer not below each element. The gradient is 0.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from([1.5, -1.5, 2.0]).ceil().to_vec::<f64>(), [2.0, -1.0, 2.0]);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn ceil(&self) -> Self {
        self.elementwise(Ceil)
    }
}

fn samples(s: &mut Samples) {
    s.avoid(&[-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
    s.unary(-2.9..2.9, "torch.ceil(a)", Tensor::ceil);
}
