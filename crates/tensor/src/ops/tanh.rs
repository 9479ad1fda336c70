//! Hyperbolic tangent.
//!
//! ```text
//! y  = tanh x
//! dx = dy / cosh² x = dy · 4 σ(2x) σ(−2x)         keeps its input and the slope
//! ```
//!
//! Not 1 − y², as in PyTorch, for it has lost its digits where y is near ±1, and is 0 where y rounds to it:
//! from
//! |x| = 9 on in `f32`.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::role::Side;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("tanh")
    .formula("y = tanh x")
    .gradient("dx = dy · 4 σ(2x) σ(−2x)")
    .keep(Keep::Inputs)
    .saves("the slope")
    .zeros(Zeros::Saturation)
    .activation(Side::Asymptote(-1.0), Side::Asymptote(1.0))
    .sampled_by(samples);

#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl Elementwise for Tanh {
    const OP: &'static Op = &OP;
    const KEEPS_SLOPE: bool = true;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        x.tanh()
    }

    #[inline(always)]
    fn value_and_slope<T: Float + Number>(self, x: T) -> (T, T) {
        x.tanh_and_slope()
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy * x.tanh_slope()
    }
}

impl Tensor {
    /// The hyperbolic tangent of each element.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from(0.0).tanh().item(), 0.0);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn tanh(&self) -> Self {
        self.elementwise(Tanh)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.tanh(a)", Tensor::tanh);
}
