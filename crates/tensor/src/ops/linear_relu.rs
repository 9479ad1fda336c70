//! A layer: an affine map and [`relu`](Tensor::relu) in one op. `affine.rs` computes it.
//!
//! ```text
//! y  = max(x wᵀ + b, 0)
//! dz = dy where y > 0,  dx = dz w,  dw = dzᵀ x,  db = Σ dz over rows          keeps its inputs and output
//! ```

use super::relu::Relu;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;

pub(super) const INFO: OpInfo = OpInfo {
    name: "linear_relu",
    formula: "y = max(x wᵀ + b, 0)",
    gradient: "dz = dy where y > 0, dx = dz w, dw = dzᵀ x, db = Σ dz",
    keep: Keep::InputsAndOutput,
    orders: 2,
    samples,
};

impl Tensor {
    /// `max(x wᵀ + b, 0)`: [`linear`](Self::linear) and [`relu`](Self::relu) in one pass over the result, to the same bits.
    /// Shapes: x `[…, inputs]`, weight `[outputs, inputs]`, bias `[outputs]`; the result is `[…, outputs]`.
    ///
    /// # Panics
    /// As [`linear`](Self::linear).
    #[must_use]
    #[track_caller]
    pub fn linear_relu(&self, weight: &Self, bias: &Self) -> Self {
        self.affine("linear_relu", weight, bias, Relu)
    }
}

fn samples(s: &mut Samples) {
    s.affine("torch.relu(torch.nn.functional.linear(a, b, c))", Tensor::linear_relu);
}
