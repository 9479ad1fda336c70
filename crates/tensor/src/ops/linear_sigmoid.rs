//! A layer: an affine map and [`sigmoid`](Tensor::sigmoid) in one op. `affine.rs` computes it.
//!
//! ```text
//! y  = σ(x wᵀ + b)
//! dz = dy · y (1 − y),  dx = dz w,  dw = dzᵀ x,  db = Σ dz over rows          keeps its inputs and output
//! ```

use super::sigmoid::Sigmoid;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;

pub(super) const INFO: OpInfo = OpInfo {
    name: "linear_sigmoid",
    formula: "y = σ(x wᵀ + b)",
    gradient: "dz = dy · y (1 − y), dx = dz w, dw = dzᵀ x, db = Σ dz",
    keep: Keep::InputsAndOutput,
    orders: 2,
    samples,
};

impl Tensor {
    /// `σ(x wᵀ + b)`: [`linear`](Self::linear) and [`sigmoid`](Self::sigmoid) in one pass over the result, to the same bits.
    /// Shapes: x `[…, inputs]`, weight `[outputs, inputs]`, bias `[outputs]`; the result is `[…, outputs]`.
    ///
    /// # Panics
    /// As [`linear`](Self::linear).
    #[must_use]
    #[track_caller]
    pub fn linear_sigmoid(&self, weight: &Self, bias: &Self) -> Self {
        self.affine("linear_sigmoid", weight, bias, Sigmoid)
    }
}

fn samples(s: &mut Samples) {
    s.affine("torch.sigmoid(torch.nn.functional.linear(a, b, c))", Tensor::linear_sigmoid);
}
