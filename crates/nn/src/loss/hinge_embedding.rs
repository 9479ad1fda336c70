//! The hinge embedding loss.

use super::Reduction;
use super::operands::{is_positive, refuse};
use super::reduction::options;
use backflow_tensor::Tensor;

/// The mean of `x` where the target is 1, and of `max(0, 1 − x)` where it is −1, for distances x. Shapes: x and
/// targets alike, targets of any type; the result is a scalar.
///
/// # Panics
/// If shapes differ, or a target is neither 1 nor −1.
#[must_use]
#[track_caller]
pub fn hinge_embedding_loss(input: &Tensor, target: &Tensor) -> Tensor {
    HingeEmbeddingLoss::new().of(input, target)
}

/// [`hinge_embedding_loss`] with options.
#[derive(Clone, Debug)]
pub struct HingeEmbeddingLoss {
    margin: f64,
    reduction: Reduction,
}
options!(HingeEmbeddingLoss { margin: 1.0 });

impl HingeEmbeddingLoss {
    /// The distance from which on pairs with target −1 cost nothing.
    #[must_use]
    pub fn margin(self, margin: f64) -> Self {
        Self { margin, ..self }
    }

    /// The losses of elements, reduced.
    ///
    /// # Panics
    /// As [`hinge_embedding_loss`].
    #[must_use]
    #[track_caller]
    pub fn of(&self, input: &Tensor, target: &Tensor) -> Tensor {
        let loss = "hinge_embedding_loss";
        if input.shape() != target.shape() {
            refuse(
                loss,
                ("input", input),
                ("target", target),
                "they pair up one by one; reshape one of them",
            );
        }
        let is_positive = is_positive(loss, target);
        self.reduction.of(Tensor::select_where(&is_positive, input, &(self.margin - input).relu()))
    }
}
