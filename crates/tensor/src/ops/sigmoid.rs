//! The logistic function.
//!
//! ```text
//! y  = 1 / (1 + e⁻ˣ)
//! dx = dy · σ(x) σ(−x)               keeps its input and the slope
//! ```
//!
//! Not y (1 − y), as in PyTorch, for it is 0 on the right where y rounds to 1: from x = 17 on in `f32`. Both
//! factors above have all of their digits on both sides, down to subnormal numbers.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::role::Side;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("sigmoid")
    .formula("y = 1 / (1 + e⁻ˣ)")
    .gradient("dx = dy · σ(x) σ(−x)")
    .keep(Keep::Inputs)
    .saves("the slope")
    .zeros(Zeros::Saturation)
    .activation(Side::Asymptote(0.0), Side::Asymptote(1.0))
    .sampled_by(samples);

#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl Elementwise for Sigmoid {
    const OP: &'static Op = &OP;
    const KEEPS_SLOPE: bool = true;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        x.sigmoid()
    }

    #[inline(always)]
    fn value_and_slope<T: Float + Number>(self, x: T) -> (T, T) {
        x.sigmoid_and_slope()
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy * x.logistic_density()
    }
}

impl Tensor {
    /// The logistic function 1 / (1 + e⁻ˣ) of each element.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from(0.0).sigmoid().item(), 0.5);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn sigmoid(&self) -> Self {
        self.elementwise(Sigmoid)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.sigmoid(a)", Tensor::sigmoid);
}
