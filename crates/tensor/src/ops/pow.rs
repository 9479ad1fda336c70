//! A power of two tensors, element by element.
//!
//! ```text
//! y  = aᵇ
//! da = dy · b·aᵇ⁻¹,  db = dy · y ln a          keeps its inputs
//! ```
//!
//! As in PyTorch: 0⁰ is 1; da is 0 where b is 0, and db is 0 where a is 0 and b ≥ 0. A negative a has no real
//! power with a fractional b, and no gradient by b: NaN.

use super::binary::pairwise;
use super::zero_gradient::zero_where_zero;
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::pitfall::Pitfall;
use crate::tensor::Tensor;
use backflow_kernels::Float;

pub(super) static OP: Op = Op::new("pow")
    .formula("y = aᵇ")
    .gradient("da = dy · b·aᵇ⁻¹, db = dy · y ln a")
    .operands(&["base", "exponent"])
    .keep(Keep::Inputs)
    .zeros(Zeros::Product)
    .pitfalls(Pitfall::POWER)
    .sampled_by(samples);

impl Tensor {
    /// Each element to the power of the element of `exponent`; the two broadcast. Fixed exponents have
    /// [`powf`](Self::powf) and [`powi`](Self::powi).
    ///
    /// # Panics
    /// If the shapes do not broadcast or the element types differ.
    #[must_use]
    #[track_caller]
    pub fn pow(&self, exponent: &Self) -> Self {
        pairwise!(OP, self, exponent, Float::powf).record(&OP, &[self, exponent], |g| {
            // Exponents and bases that the rules above except are replaced before they can make a NaN.
            g.give(0, |g| zero_where_zero(g.dy(), &[g.x(0), g.x(1)], &by_base));
            g.give(1, |g| zero_where_zero(g.dy(), &[g.x(0), g.x(1)], &by_exponent));
        })
    }
}

fn by_base(dy: &Tensor, x: &[&Tensor]) -> Tensor {
    let (a, b) = (x[0], x[1]);
    let constant = b.eq(0.0);
    let b = b.masked_fill(&constant, 1.0);
    (dy * (a.pow(&(&b - 1.0)) * &b)).masked_fill(&constant, 0.0)
}

fn by_exponent(dy: &Tensor, x: &[&Tensor]) -> Tensor {
    let (a, b) = (x[0], x[1]);
    let zero = b.ge(0.0).masked_fill(&a.ne(0.0), 0.0);
    let a = a.masked_fill(&zero, 1.0);
    dy * (a.pow(b) * a.ln())
}

fn samples(s: &mut Samples) {
    s.binary(0.3..3.0, -2.0..2.0, "a ** b", Tensor::pow);
}
