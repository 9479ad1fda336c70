//! The rectifier with a slope on its left.
//!
//! ```text
//! y  = x where x > 0, else s·x
//! dx = dy where x > 0, else s·dy     keeps its input
//! ```
//!
//! At the kink the derivative is s, as in PyTorch. Source: Maas et al., "Rectifier nonlinearities improve
//! neural network acoustic models", 2013.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::role::Side;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("leaky_relu")
    .formula("y = x where x > 0, else s·x")
    .gradient("dx = dy where x > 0, else s·dy")
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .why_zeros("the slope is 0 on the left, or the product underflows")
    .activation(Side::Open, Side::Open)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct LeakyRelu(f64);

impl Elementwise for LeakyRelu {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        if x > T::ZERO { x } else { x * T::from_f64(self.0) }
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        N::select(x.gt(0.0), dy, dy * N::from_f64(self.0))
    }
}

impl Tensor {
    /// Each element, times `slope` where it is negative. PyTorch's default slope is 0.01. The gradient at 0
    /// is `slope`.
    #[must_use]
    #[track_caller]
    pub fn leaky_relu(&self, slope: f64) -> Self {
        self.elementwise(LeakyRelu(slope))
    }
}

fn samples(s: &mut Samples) {
    s.avoid(&[0.0]);
    s.unary(-3.0..3.0, "torch.nn.functional.leaky_relu(a, 0.1)", |a| a.leaky_relu(0.1));
}
