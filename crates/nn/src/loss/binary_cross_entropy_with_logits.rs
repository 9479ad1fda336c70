//! Cross entropy of independent yes-or-no questions, from scores.

use super::Reduction;
use super::operands::{require_alike, require_within, weighted};
use super::reduction::options;
use backflow_tensor::Tensor;

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
    BinaryCrossEntropyWithLogits::new().of(input, target)
}

/// [`binary_cross_entropy_with_logits`] with options.
///
/// ```
/// # use backflow_nn::loss::BinaryCrossEntropyWithLogits;
/// # use backflow_tensor::Tensor;
/// // A yes to the second question, ten times as rare, counts ten times as much.
/// let loss = BinaryCrossEntropyWithLogits::new().pos_weight(&Tensor::from([1.0, 10.0]));
/// let (logits, targets) = (Tensor::from([[0.0, 0.0]]), Tensor::from([[0.0, 1.0]]));
/// assert_eq!(loss.of(&logits, &targets).item(), 11.0 / 2.0 * std::f64::consts::LN_2);
/// ```
#[derive(Clone, Debug)]
pub struct BinaryCrossEntropyWithLogits {
    weight: Option<Tensor>,
    pos_weight: Option<Tensor>,
    reduction: Reduction,
}
options!(BinaryCrossEntropyWithLogits { weight: None, pos_weight: None });

impl BinaryCrossEntropyWithLogits {
    /// Weights of the losses, which broadcast to their shape. The mean does not divide by them.
    #[must_use]
    pub fn weight(self, weight: &Tensor) -> Self {
        Self { weight: Some(weight.clone()), ..self }
    }

    /// Weights of the answer yes, `[questions]` for `[n, questions]`: above 1 they find more of them, and more
    /// wrong ones. They broadcast to the shape of the scores.
    #[must_use]
    pub fn pos_weight(self, pos_weight: &Tensor) -> Self {
        Self { pos_weight: Some(pos_weight.clone()), ..self }
    }

    /// w (p t softplus(−x) + (1 − t) softplus(x)), reduced.
    ///
    /// # Panics
    /// As [`binary_cross_entropy_with_logits`], or if weights do not fit.
    #[must_use]
    #[track_caller]
    pub fn of(&self, input: &Tensor, target: &Tensor) -> Tensor {
        let loss = "binary_cross_entropy_with_logits";
        require_alike(loss, ("input", input), ("target", target));
        for (name, weight) in [("weight", &self.weight), ("pos_weight", &self.pos_weight)] {
            if let Some(weight) = weight {
                require_within(loss, input, (name, weight));
            }
        }
        let reduced = self.reduction.of(self.losses(input, target, None));
        if !reduced.to_f64_vec().iter().any(|loss| loss.is_nan()) {
            return reduced;
        }
        // 0 · ∞, perhaps: a target that is certain of what an infinite score is certain of.
        let yes = target.eq(1.0).masked_fill(&input.ne(f64::INFINITY), 0.0);
        let no = target.eq(0.0).masked_fill(&input.ne(f64::NEG_INFINITY), 0.0);
        let agree = yes.masked_fill(&no, 1.0);
        self.reduction.of(self.losses(&input.masked_fill(&agree, 0.0), target, Some(&agree)))
    }

    /// The losses, 0 where asked.
    #[track_caller]
    fn losses(&self, input: &Tensor, target: &Tensor, zero: Option<&Tensor>) -> Tensor {
        let yes = weighted(target * (-input).softplus(), self.pos_weight.as_ref());
        let mut losses = yes + (1.0 - target) * input.softplus();
        if let Some(zero) = zero {
            losses = losses.masked_fill(zero, 0.0);
        }
        weighted(losses, self.weight.as_ref())
    }
}
