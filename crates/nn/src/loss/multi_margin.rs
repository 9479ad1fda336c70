//! The hinge loss of several classes.

use super::Reduction;
use super::labels::Labelled;
use super::operands::{require_option, weighted};
use super::reduction::options;
use backflow_tensor::{DType, Tensor};

/// The mean of `Σⱼ max(0, 1 − x[t] + xⱼ) / classes`, over the classes j other than the label t. Shapes: scores
/// `[n, classes]` or `[classes]`, labels of `i64`, `[n]` or none; the result is a scalar. Crammer and Singer,
/// "On the algorithmic implementation of multiclass kernel-based vector machines", 2001, is its relative with
/// the largest term in place of the sum.
///
/// # Panics
/// If the shapes or element types are not these, or a label is not a class.
#[must_use]
#[track_caller]
pub fn multi_margin_loss(input: &Tensor, target: &Tensor) -> Tensor {
    MultiMarginLoss::new().of(input, target)
}

/// [`multi_margin_loss`] with options.
#[derive(Clone, Debug)]
pub struct MultiMarginLoss {
    p: u8,
    margin: f64,
    weight: Option<Tensor>,
    reduction: Reduction,
}
options!(MultiMarginLoss { p: 1, margin: 1.0, weight: None });

impl MultiMarginLoss {
    /// The power of the terms, 1 or 2.
    ///
    /// # Panics
    /// If it is another.
    #[must_use]
    #[track_caller]
    pub fn p(self, p: u8) -> Self {
        require_option("multi_margin_loss", matches!(p, 1 | 2), ("p", p.into()), "1 or 2");
        Self { p, ..self }
    }

    /// By how much the label's score is to be above the others.
    #[must_use]
    pub fn margin(self, margin: f64) -> Self {
        Self { margin, ..self }
    }

    /// A weight for each class, `[classes]`; the mean does not divide by them.
    #[must_use]
    pub fn weight(self, weight: &Tensor) -> Self {
        Self { weight: Some(weight.clone()), ..self }
    }

    /// w\[t\] Σ max(0, margin − x\[t\] + xⱼ)ᵖ / classes, reduced.
    ///
    /// # Panics
    /// As [`multi_margin_loss`], or if the weights do not fit.
    #[must_use]
    #[track_caller]
    pub fn of(&self, input: &Tensor, target: &Tensor) -> Tensor {
        let labelled = Labelled::new("multi_margin_loss", input, target, self.weight.as_ref(), None);
        let (x, labels) = (&labelled.rows, labelled.labels.unsqueeze(1));
        let classes = x.shape()[1];
        let is_label = Tensor::arange(classes, DType::I64).eq(&labels);
        let mut terms = (x - x.gather(1, &labels) + self.margin).relu().masked_fill(&is_label, 0.0);
        if self.p == 2 {
            terms = terms.square();
        }
        let losses = weighted(terms.sum(1) / classes as f64, labelled.weights_of_labels().as_ref());
        labelled.reduce(losses, None, self.reduction)
    }
}
