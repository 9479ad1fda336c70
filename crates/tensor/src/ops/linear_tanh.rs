//! A layer: an affine map and [`tanh`](Tensor::tanh) in one op. `affine.rs` computes it.
//!
//! ```text
//! y  = tanh(x wᵀ + b)
//! dz = dy · (1 − y²),  dx = dz w,  dw = dzᵀ x,  db = Σ dz over rows          keeps its inputs and output
//! ```

use super::tanh::Tanh;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;

pub(super) const INFO: OpInfo = OpInfo {
    name: "linear_tanh",
    formula: "y = tanh(x wᵀ + b)",
    gradient: "dz = dy · (1 − y²), dx = dz w, dw = dzᵀ x, db = Σ dz",
    keep: Keep::InputsAndOutput,
    orders: 2,
    samples,
};

impl Tensor {
    /// `tanh(x wᵀ + b)`: [`linear`](Self::linear) and [`tanh`](Self::tanh) in one pass over the result, to the same bits.
    /// Shapes: x `[…, inputs]`, weight `[outputs, inputs]`, bias `[outputs]`; the result is `[…, outputs]`.
    ///
    /// # Panics
    /// As [`linear`](Self::linear).
    #[must_use]
    #[track_caller]
    pub fn linear_tanh(&self, weight: &Self, bias: &Self) -> Self {
        self.affine("linear_tanh", weight, bias, Tanh)
    }
}

fn samples(s: &mut Samples) {
    s.affine("torch.tanh(torch.nn.functional.linear(a, b, c))", Tensor::linear_tanh);
}
