//! The affine map of a layer: matrix product and bias in one pass over the result. `affine.rs` computes it.
//!
//! ```text
//! y  = x wᵀ + b
//! dx = dy w,  dw = dyᵀ x,  db = Σ dy over rows          keeps its inputs
//! ```

use super::affine::Identity;
use crate::catalogue::{OpInfo, Samples};
use crate::graph::Keep;
use crate::tensor::Tensor;

pub(super) const INFO: OpInfo = OpInfo {
    name: "linear",
    formula: "y = x wᵀ + b",
    gradient: "dx = dy w, dw = dyᵀ x, db = Σ dy",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

impl Tensor {
    /// `x wᵀ + b`. Shapes: x `[…, inputs]`, weight `[outputs, inputs]`, bias `[outputs]`; the result is `[…, outputs]`.
    ///
    /// # Panics
    /// If the shapes do not fit each other, or the element types differ.
    #[must_use]
    #[track_caller]
    pub fn linear(&self, weight: &Self, bias: &Self) -> Self {
        self.affine("linear", weight, bias, Identity)
    }
}

fn samples(s: &mut Samples) {
    s.affine("torch.nn.functional.linear(a, b, c)", Tensor::linear);
}
