//! Cross entropy of class scores, against labels or against probabilities of classes.
//!
//! ```text
//! −w[t] ln p[t]  with p = softmax x      labels t; smoothed, (1 − ε) of it and ε/C of −Σ w ln p
//! −Σ t w ln p                            probabilities t; smoothed, (1 − ε) t + ε/C
//! ```
//!
//! The mean of plain labels is one fused op, [`Tensor::cross_entropy`]; all else is made of `log_softmax`.

use super::Reduction;
use super::labels::{Labelled, require_class_weights};
use super::operands::{refuse, require_alike, require_option, weighted};
use super::reduction::options;
use backflow_tensor::{DType, Tensor, misuse};

/// The mean cross entropy between the softmax of the scores ("logits") and the targets, in nats. Shapes:
/// scores `[n, classes, …]` or `[classes]`; the result is a scalar. Targets are labels of `i64`, `[n, …]` or
/// none, or probabilities of the shape and type of the scores.
///
/// ```
/// # use backflow_nn::loss::cross_entropy;
/// # use backflow_tensor::Tensor;
/// let logits = Tensor::from([[0.0, 0.0], [0.0, 0.0]]);
/// assert_eq!(cross_entropy(&logits, &Tensor::from([0_i64, 1])).item(), std::f64::consts::LN_2);
/// let probabilities = Tensor::from([[0.5, 0.5], [0.9, 0.1]]);
/// assert_eq!(cross_entropy(&logits, &probabilities).item(), std::f64::consts::LN_2);
/// ```
///
/// # Panics
/// If the shapes or element types are not these, or a label is not a class.
#[must_use]
#[track_caller]
pub fn cross_entropy(input: &Tensor, target: &Tensor) -> Tensor {
    CrossEntropy::new().of(input, target)
}

/// [`cross_entropy`] with options.
///
/// ```
/// # use backflow_nn::loss::{CrossEntropy, Reduction};
/// # use backflow_tensor::{DType, Tensor};
/// // Two sequences of three steps over four classes, padded with −100.
/// let (logits, labels) = (Tensor::zeros([2, 4, 3], DType::F32), Tensor::from([[0_i64, 3, 1], [2, -100, -100]]));
/// let loss = CrossEntropy::new().ignore_index(-100).label_smoothing(0.1).reduction(Reduction::Sum);
/// assert!((loss.of(&logits, &labels).item() / 4.0 - 4_f64.ln()).abs() < 1e-6);
/// ```
#[derive(Clone, Debug)]
pub struct CrossEntropy {
    weight: Option<Tensor>,
    ignore_index: Option<i64>,
    label_smoothing: f64,
    reduction: Reduction,
}
options!(CrossEntropy { weight: None, ignore_index: None, label_smoothing: 0.0 });

impl CrossEntropy {
    /// A weight for each class, `[classes]`. The mean over labels divides by the weights of those, the mean
    /// over probabilities by the number of rows.
    #[must_use]
    pub fn weight(self, weight: &Tensor) -> Self {
        Self { weight: Some(weight.clone()), ..self }
    }

    /// A label, a class or not, whose rows do not count: their loss and gradient are 0, whatever their scores.
    /// Without this, −100 is refused like any other label that is not a class; PyTorch ignores it.
    #[must_use]
    pub fn ignore_index(self, label: i64) -> Self {
        Self { ignore_index: Some(label), ..self }
    }

    /// The share ε of the target, from 0 to 1, that is spread over all classes alike. Szegedy et al.,
    /// "Rethinking the Inception architecture", 2015, section 7.
    ///
    /// # Panics
    /// If it is not from 0 to 1.
    #[must_use]
    #[track_caller]
    pub fn label_smoothing(self, label_smoothing: f64) -> Self {
        let is_share = (0.0..=1.0).contains(&label_smoothing);
        require_option("cross_entropy", is_share, ("label_smoothing", label_smoothing), "from 0 to 1");
        Self { label_smoothing, ..self }
    }

    /// The cross entropies of rows, reduced. As in PyTorch, a score of −∞ of whose class the target has
    /// probability 0 makes NaN, and smoothed labels make it ∞.
    ///
    /// # Panics
    /// As [`cross_entropy`]; if the weights do not fit, or labels are to be ignored where there are none.
    #[must_use]
    #[track_caller]
    pub fn of(&self, input: &Tensor, target: &Tensor) -> Tensor {
        if target.dtype() == DType::I64 {
            return self.of_labels(input, target);
        }
        self.of_probabilities(input, target)
    }

    #[track_caller]
    fn of_labels(&self, input: &Tensor, target: &Tensor) -> Tensor {
        let labelled = Labelled::new("cross_entropy", input, target, self.weight.as_ref(), self.ignore_index);
        let smoothing = self.label_smoothing;
        if self.reduction == Reduction::Mean && self.weight.is_none() && smoothing == 0.0 {
            return labelled.rows.cross_entropy(&labelled.labels);
        }
        let logarithms = labelled.rows.log_softmax(1);
        let weights = labelled.weights_of_labels();
        let mut losses = weighted(-labelled.at_labels(&logarithms), weights.as_ref());
        if smoothing > 0.0 {
            let classes = logarithms.shape()[1] as f64;
            let of_all = weighted(logarithms, self.weight.as_ref()).sum(1);
            losses = losses * (1.0 - smoothing) - of_all * (smoothing / classes);
        }
        labelled.reduce(losses, weights, self.reduction)
    }

    #[track_caller]
    fn of_probabilities(&self, input: &Tensor, target: &Tensor) -> Tensor {
        require_alike("cross_entropy", ("input", input), ("target", target));
        if let Some(label) = self.ignore_index {
            let rows = [("ignore_index", label.to_string()), ("target", target.dtype().to_string())];
            misuse("cross_entropy", "there are no labels to ignore", &rows, "labels are of i64");
        }
        let shape = input.shape();
        let axis = usize::from(shape.rank() > 1);
        let Some(&classes) = shape.get(axis) else {
            refuse("cross_entropy", ("input", input), ("target", target), "scores are [n, classes, …]")
        };
        let mut target = target.clone();
        if self.label_smoothing > 0.0 {
            target = target * (1.0 - self.label_smoothing) + self.label_smoothing / classes as f64;
        }
        if let Some(weight) = &self.weight {
            require_class_weights("cross_entropy", input, classes, weight);
            let mut beside = vec![1; shape.rank()];
            beside[axis] = classes;
            target *= weight.reshape(beside);
        }
        let losses = -(input.log_softmax(axis as isize) * target).sum(axis as isize);
        self.reduction.of(losses)
    }
}
