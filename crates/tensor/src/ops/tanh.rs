//! Hyperbolic tangent.
//!
//! ```text
//! y  = tanh x
//! dx = dy · (1 − y²)                 keeps its output
//! ```
//!
//! Near saturation `1 − y²` keeps absolute accuracy (one rounding of 1) but not relative accuracy: at x = 20
//! it is 0 instead of 1.7e-17.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::role::Side;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("tanh")
    .formula("y = tanh x")
    .gradient("dx = dy · (1 − y²)")
    .keep(Keep::Output)
    .zeros(Zeros::Saturation)
    .activation(Side::Asymptote(-1.0), Side::Asymptote(1.0))
    .sampled_by(samples);

#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl Elementwise for Tanh {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        x.tanh()
    }

    fn pull<N: Number>(self, dy: N, y: N) -> N {
        dy * (N::ONE - y * y)
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
