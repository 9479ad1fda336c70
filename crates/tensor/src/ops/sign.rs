//! The sign.
//!
//! ```text
//! y = −1, 0 or 1                     no gradient: untracked
//! ```
//!
//! Its derivative is 0 wherever it has one, so the result is not recorded: a model that learns nothing
//! through a sign should see it. NaN stays NaN, as in NumPy (PyTorch says 0).

use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::Op;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("sign").formula("y = −1, 0 or 1").without_gradient().sampled_by(samples);

/// −1, 0 or 1 by the sign of `x`; NaN for NaN.
#[inline(always)]
pub(super) fn sign_of<T: Float>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        -T::ONE
    } else {
        x
    }
}

impl Tensor {
    /// The sign of each element: −1, 0 or 1. The result is untracked.
    #[must_use]
    #[track_caller]
    pub fn sign(&self) -> Self {
        let y = with_float!("sign", self.dtype(), T => self.map_to::<T, T>(sign_of));
        y.unrecorded(&OP, &[self])
    }
}

fn samples(s: &mut Samples) {
    s.avoid(&[0.0]);
    s.unary(-3.0..3.0, "torch.sign(a)", Tensor::sign);
    s.case("of 0", &[Tensor::from([0.0, -0.0])], "torch.sign(a)", |x| x[0].sign());
}
