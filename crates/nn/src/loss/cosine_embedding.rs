//! The cosine embedding loss.

use super::Reduction;
use super::operands::{is_positive, refuse, require_alike};
use super::reduction::options;
use backflow_tensor::Tensor;

/// What PyTorch adds to the squares of lengths: 1e-12, an `f32` there for all types.
const EPSILON: f64 = 1e-12_f32 as f64;

/// The mean over pairs of `1 − cos(x₁, x₂)` where the target is 1, and of `max(0, cos(x₁, x₂) − margin)` where
/// it is −1, with margin 0. Shapes: x₁ and x₂ `[n, d]` or `[d]`, targets `[n]` or none, of any type; the result
/// is a scalar.
///
/// # Panics
/// If the shapes or element types are not these, or a target is neither 1 nor −1.
#[must_use]
#[track_caller]
pub fn cosine_embedding_loss(input1: &Tensor, input2: &Tensor, target: &Tensor) -> Tensor {
    CosineEmbeddingLoss::new().of(input1, input2, target)
}

/// [`cosine_embedding_loss`] with options.
#[derive(Clone, Debug)]
pub struct CosineEmbeddingLoss {
    margin: f64,
    reduction: Reduction,
}
options!(CosineEmbeddingLoss { margin: 0.0 });

impl CosineEmbeddingLoss {
    /// The cosine up to which pairs with target −1 cost nothing, 0 to ½ as a rule.
    #[must_use]
    pub fn margin(self, margin: f64) -> Self {
        Self { margin, ..self }
    }

    /// The losses of pairs, reduced.
    ///
    /// # Panics
    /// As [`cosine_embedding_loss`].
    #[must_use]
    #[track_caller]
    pub fn of(&self, input1: &Tensor, input2: &Tensor, target: &Tensor) -> Tensor {
        let loss = "cosine_embedding_loss";
        require_alike(loss, ("input1", input1), ("input2", input2));
        let shape = input1.shape();
        if !matches!(shape.rank(), 1 | 2) || target.shape() != shape[..shape.rank() - 1] {
            let hint = "pairs [n, d], a target for each [n]";
            refuse(loss, ("input1", input1), ("target", target), hint);
        }
        let is_positive = is_positive(loss, target);
        let square = |x: &Tensor| x.square().sum(-1) + EPSILON;
        let cosine = (input1 * input2).sum(-1) / (square(input1) * square(input2)).sqrt();
        let apart = (&cosine - self.margin).relu();
        self.reduction.of(Tensor::select_where(&is_positive, &(1.0 - cosine), &apart))
    }
}
