//! A number minus a tensor.
//!
//! ```text
//! y  = c − x
//! dx = −dy                           keeps nothing
//! ```

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op =
    Op::new("scalar_sub").formula("y = c − x").gradient("dx = −dy").zeros(Zeros::Never).sampled_by(samples);

#[derive(Clone, Copy)]
struct ScalarSub(f64);

impl Elementwise for ScalarSub {
    const OP: &'static Op = &OP;

    fn value<T: Float>(self, x: T) -> T {
        T::from_f64(self.0) - x
    }

    fn pull<N: Number>(self, dy: N, _: N) -> N {
        -dy
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn scalar_sub(&self, c: f64) -> Self {
        self.elementwise(ScalarSub(c))
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "1.5 - a", |a| 1.5 - a);
}
