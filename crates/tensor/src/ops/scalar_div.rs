//! A number divided by a tensor.
//!
//! ```text
//! y  = c / x
//! dx = −dy (c / x) / x                  keeps its input
//! ```

use super::elementwise::Elementwise;
use super::formula::Number;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::Pitfall;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("scalar_div")
    .formula("y = c / x")
    .gradient("dx = −dy (c / x) / x")
    .operands(&["divisor"])
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .pitfalls(Pitfall::DIVISION)
    .sampled_by(samples);

#[derive(Clone, Copy)]
struct ScalarDiv(f64);

impl Elementwise for ScalarDiv {
    const OP: &'static Op = &OP;
    const STEEP: bool = true;

    fn value<T: Float>(self, x: T) -> T {
        T::from_f64(self.0) / x
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        -dy * (N::from_f64(self.0) / x) / x
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn scalar_div(&self, c: f64) -> Self {
        self.elementwise(ScalarDiv(c))
    }
}

fn samples(s: &mut Samples) {
    s.unary(0.5..3.0, "1.5 / a", |a| 1.5 / a);
    s.unary(-3.0..-0.5, "1.0 / a", |a| 1.0 / a);
}
