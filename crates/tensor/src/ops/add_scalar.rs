//! Addition of a number.
//!
//! ```text
//! y  = x + c
//! dx = dy                            keeps nothing
//! ```

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op =
    Op::new("add_scalar").formula("y = x + c").gradient("dx = dy").zeros(Zeros::Never).sampled_by(samples);

#[derive(Clone, Copy)]
struct AddScalar(f64);

impl Elementwise for AddScalar {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        x + T::from_f64(self.0)
    }

    fn pull<N: Number>(self, dy: N, _: N) -> N {
        dy
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn add_scalar(&self, c: f64) -> Self {
        self.elementwise(AddScalar(c))
    }

    #[track_caller]
    pub(crate) fn sub_scalar(&self, c: f64) -> Self {
        self.elementwise(AddScalar(-c))
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "a + 1.5", |a| a + 1.5);
    s.unary(-3.0..3.0, "a - 1.5", |a| a - 1.5);
}
