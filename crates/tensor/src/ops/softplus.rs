//! The smooth rectifier.
//!
//! ```text
//! y  = ln(1 + eˣ)
//! dx = dy · σ(x)                     keeps its input
//! ```
//!
//! Exact everywhere; PyTorch returns x itself above 20, where the two differ by at most 2.1e-9.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::role::Side;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("softplus")
    .formula("y = ln(1 + eˣ)")
    .gradient("dx = dy · σ(x)")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .activation(Side::Asymptote(0.0), Side::Open)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct Softplus;

impl Elementwise for Softplus {
    const OP: &'static Op = &OP;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        x.softplus()
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy * x.sigmoid()
    }
}

impl Tensor {
    /// ln(1 + eˣ) of each element, without overflow.
    #[must_use]
    #[track_caller]
    pub fn softplus(&self) -> Self {
        self.elementwise(Softplus)
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "torch.nn.functional.softplus(a)", Tensor::softplus);
}
