//! The exponential linear unit.
//!
//! ```text
//! y  = x where x > 0, else α (eˣ − 1)
//! dx = dy where x > 0, else dy · α eˣ          keeps its input
//! ```
//!
//! At 0, a kink unless α = 1, the derivative is α, as in PyTorch. Source: Clevert et al., "Fast and accurate
//! deep network learning by exponential linear units (ELUs)", 2015, equation 15.

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::role::Side;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("elu")
    .formula("y = x where x > 0, else α (eˣ − 1)")
    .gradient("dx = dy where x > 0, else dy · α eˣ")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .activation(Side::Asymptote(-1.0), Side::Open)
    .sampled_by(samples);

#[derive(Clone, Copy)]
pub(super) struct Elu(pub(super) f64);

impl Elementwise for Elu {
    const OP: &'static Op = &OP;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        if x > T::ZERO { x } else { x.exp_m1() * T::from_f64(self.0) }
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        N::select(x.le(0.0), dy * (x.exp() * N::from_f64(self.0)), dy)
    }

    // Not the formula above: far on the right the ∞ of eˣ would come back as NaN from the derivative of the
    // choice.
    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        let left = x.masked_fill(&x.gt(0.0), 0.0);
        Tensor::select_where(&x.le(0.0), &(dy * (left.exp() * self.0)), dy)
    }
}

impl Tensor {
    /// Each element, or `alpha` (eˣ − 1) where it is negative. PyTorch's default alpha is 1.
    #[must_use]
    #[track_caller]
    pub fn elu(&self, alpha: f64) -> Self {
        self.elementwise(Elu(alpha))
    }
}

fn samples(s: &mut Samples) {
    s.avoid(&[0.0]);
    s.unary(-3.0..3.0, "torch.nn.functional.elu(a, 1.5)", |a| a.elu(1.5));
}
