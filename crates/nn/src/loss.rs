//! Losses: how far outputs are from targets, as one number to differentiate.
//!
//! Names and arguments are PyTorch's, outputs first; each is the mean over all elements or rows. They refuse
//! to broadcast: `[n, 1]` against `[n]` would average n² differences and look like a bad learning rate. Where
//! a sum or the losses one by one are wanted, the formula is short enough to write.

use backflow_tensor::{Tensor, misuse};

/// The mean squared error, `mean (y − t)²`. Shapes: y and t alike; the result is a scalar.
///
/// ```
/// # use backflow_nn::loss::mse_loss;
/// # use backflow_tensor::Tensor;
/// assert_eq!(mse_loss(&Tensor::from([1.0, 4.0]), &Tensor::from([2.0, 2.0])).item(), 2.5);
/// ```
///
/// # Panics
/// If shapes or element types differ.
#[must_use]
#[track_caller]
pub fn mse_loss(input: &Tensor, target: &Tensor) -> Tensor {
    refuse_misfit("mse_loss", input, target);
    (input - target).square().mean(..)
}

/// The mean negative log-likelihood of class labels under the softmax of the scores, in nats. Shapes: input
/// `[n, classes]`, target `[n]` of `i64`; the result is a scalar. The same as [`Tensor::cross_entropy`].
///
/// # Panics
/// If the shapes or element types are not these, or a label is not a class.
#[must_use]
#[track_caller]
pub fn cross_entropy(input: &Tensor, target: &Tensor) -> Tensor {
    input.cross_entropy(target)
}

/// The mean cross entropy of independent yes-or-no questions, from scores x and probabilities t of yes:
///
/// ```text
/// mean −t ln σ(x) − (1 − t) ln(1 − σ(x))  =  mean t softplus(−x) + (1 − t) softplus(x)
/// ```
///
/// The right side neither overflows nor cancels, however large the score. (The usual
/// `max(x, 0) − x t + ln(1 + e^−|x|)` does not either, but its pieces have kinks at 0, where zero-initialised
/// models start, and there its gradient would be −t instead of ½ − t.) A score of ±∞ with which the target
/// agrees costs 0 with gradient 0; one with which it does not, ∞. Shapes: x and t alike; the result is a
/// scalar, in nats.
///
/// ```
/// # use backflow_nn::loss::binary_cross_entropy_with_logits;
/// # use backflow_tensor::Tensor;
/// let (logits, targets) = (Tensor::from([1e4, -1e4]), Tensor::from([1.0, 1.0]));
/// assert_eq!(binary_cross_entropy_with_logits(&logits, &targets).item(), 5e3);
/// ```
///
/// # Panics
/// If shapes or element types differ.
#[must_use]
#[track_caller]
pub fn binary_cross_entropy_with_logits(input: &Tensor, target: &Tensor) -> Tensor {
    refuse_misfit("binary_cross_entropy_with_logits", input, target);
    let losses = |input: &Tensor| target * (-input).softplus() + (1.0 - target) * input.softplus();
    let loss = losses(input).mean(..);
    if !loss.item().is_nan() {
        return loss;
    }
    // 0 · ∞, perhaps: a target that is certain of what an infinite score is certain of.
    let yes = target.eq(1.0).masked_fill(&input.ne(f64::INFINITY), 0.0);
    let no = target.eq(0.0).masked_fill(&input.ne(f64::NEG_INFINITY), 0.0);
    let agree = yes.masked_fill(&no, 1.0);
    losses(&input.masked_fill(&agree, 0.0)).masked_fill(&agree, 0.0).mean(..)
}

#[track_caller]
fn refuse_misfit(loss: &str, input: &Tensor, target: &Tensor) {
    if input.shape() != target.shape() || input.dtype() != target.dtype() {
        let row = |x: &Tensor| format!("{} {}", x.shape(), x.dtype());
        let hint = "outputs and targets pair up one by one; reshape or convert one of them";
        let rows = [("input", row(input)), ("target", row(target))];
        misuse(loss, "the target does not match the input", &rows, hint);
    }
}
