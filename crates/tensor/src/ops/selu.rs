//! The scaled exponential linear unit, under which activations drift toward mean 0 and variance 1.
//!
//! ```text
//! y  = λ·x where x > 0, else λα (eˣ − 1)
//! dx = λ·dy where x > 0, else dy · λα eˣ       keeps its input
//! ```
//!
//! At the kink the derivative is λα, as in PyTorch. Source: Klambauer et al., "Self-normalizing neural
//! networks", 2017, equation 2; α and λ as in its appendix.

use super::elementwise::Elementwise;
use super::elu::Elu;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::role::Side;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("selu")
    .formula("y = λ·elu x")
    .gradient("dx = λ·dy where x > 0, else dy · λα eˣ")
    .keep(Keep::Inputs)
    .zeros(Zeros::Saturation)
    .activation(Side::Asymptote(-SCALE * ELU.0), Side::Open)
    .sampled_by(samples);

const ELU: Elu = Elu(1.673_263_242_354_377_2);
const SCALE: f64 = 1.050_700_987_355_480_5;

#[derive(Clone, Copy)]
struct Selu;

impl Elementwise for Selu {
    const OP: &'static Op = &OP;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        ELU.value(x) * T::from_f64(SCALE)
    }

    #[inline(always)]
    fn pull<N: Number>(self, dy: N, x: N) -> N {
        ELU.pull(dy * N::from_f64(SCALE), x)
    }

    fn pull_tensor(self, dy: &Tensor, x: &Tensor) -> Tensor {
        ELU.pull_tensor(&(dy * SCALE), x)
    }
}

impl Tensor {
    /// The self-normalising activation of each element. Wants weights of variance 1 / inputs.
    #[must_use]
    #[track_caller]
    pub fn selu(&self) -> Self {
        self.elementwise(Selu)
    }
}

fn samples(s: &mut Samples) {
    s.avoid(&[0.0]);
    s.unary(-3.0..3.0, "torch.selu(a)", Tensor::selu);
}
