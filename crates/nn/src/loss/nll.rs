//! The negative log-likelihood of labels, from logarithms of probabilities.

use super::Reduction;
use super::labels::Labelled;
use super::operands::weighted;
use super::reduction::options;
use backflow_tensor::Tensor;

/// The mean negative log-likelihood of class labels, `−mean x[label]`. Shapes: x, logarithms of probabilities
/// such as those of [`Tensor::log_softmax`], `[n, classes, …]` or `[classes]`; labels of `i64`, `[n, …]` or
/// none; the result is a scalar. From scores, [`cross_entropy`](super::cross_entropy) is the better choice.
///
/// # Panics
/// If the shapes or element types are not these, or a label is not a class.
#[must_use]
#[track_caller]
pub fn nll_loss(input: &Tensor, target: &Tensor) -> Tensor {
    NllLoss::new().of(input, target)
}

/// [`nll_loss`] with options, those of [`CrossEntropy`](super::CrossEntropy) for labels.
#[derive(Clone, Debug)]
pub struct NllLoss {
    weight: Option<Tensor>,
    ignore_index: Option<i64>,
    reduction: Reduction,
}
options!(NllLoss { weight: None, ignore_index: None });

impl NllLoss {
    /// A weight for each class, `[classes]`; the mean divides by those of the labels.
    #[must_use]
    pub fn weight(self, weight: &Tensor) -> Self {
        Self { weight: Some(weight.clone()), ..self }
    }

    /// A label, a class or not, that does not count.
    #[must_use]
    pub fn ignore_index(self, label: i64) -> Self {
        Self { ignore_index: Some(label), ..self }
    }

    /// −w x\[label\], reduced.
    ///
    /// # Panics
    /// As [`nll_loss`], or if the weights do not fit.
    #[must_use]
    #[track_caller]
    pub fn of(&self, input: &Tensor, target: &Tensor) -> Tensor {
        let labelled = Labelled::new("nll_loss", input, target, self.weight.as_ref(), self.ignore_index);
        let weights = labelled.weights_of_labels();
        let losses = weighted(-labelled.at_labels(&labelled.rows), weights.as_ref());
        labelled.reduce(losses, weights, self.reduction)
    }
}
