//! The rectifier.
//!
//! ```text
//! y  = max(x, 0)
//! dx = dy where y > 0, else 0        keeps its output
//! ```
//!
//! At the kink the derivative is 0, as in PyTorch. NaN passes through, forward and back.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::role::Side;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("relu")
    .formula("y = max(x, 0)")
    .gradient("dx = dy where y > 0")
    .keep(Keep::Output)
    .zeros(Zeros::Selection)
    .why_zeros("no input is above 0 where a gradient comes, so the units are dead on this batch")
    .activation(Side::Flat(0.0), Side::Open)
    .sampled_by(samples);

#[derive(Clone, Copy)]
pub(super) struct Relu;

impl Elementwise for Relu {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        x.maximum(T::ZERO)
    }

    fn pull<N: Number>(self, dy: N, y: N) -> N {
        N::select(y.le(0.0), N::ZERO, dy)
    }
}

impl Tensor {
    /// The larger of 0 and each element. The gradient at 0 is 0.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from([-1.0, 2.0]).relu().to_vec::<f64>(), [0.0, 2.0]);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn relu(&self) -> Self {
        self.elementwise(Relu)
    }
}

fn samples(s: &mut Samples) {
    s.avoid(&[0.0]);
    s.unary(-3.0..3.0, "torch.relu(a)", Tensor::relu);
}
