//! Scores of classes and their labels as rows, for the losses that go by labels.
//!
//! ```text
//! scores [n, classes, …], labels [n, …]    →    [m, classes] and [m], without the rows of labels to ignore
//! ```
//!
//! Rows that are ignored are left out, and not only multiplied by 0: they cost no exponentials, and what
//! stands in padding, NaN perhaps, cannot reach a loss.

use super::Reduction;
use super::operands::refuse;
use backflow_tensor::{DType, Shape, Tensor, misuse};

pub(super) struct Labelled {
    /// Scores of the rows that count, `[m, classes]`.
    pub(super) rows: Tensor,
    /// Their labels, `[m]`.
    pub(super) labels: Tensor,
    /// Class weights, `[classes]`.
    weight: Option<Tensor>,
    /// Which rows count, if not all do.
    kept: Option<Tensor>,
    /// That of the labels.
    shape: Shape,
}

impl Labelled {
    /// Panics unless labels, weights and scores fit.
    #[track_caller]
    pub(super) fn new(
        loss: &str,
        input: &Tensor,
        target: &Tensor,
        weight: Option<&Tensor>,
        ignore_index: Option<i64>,
    ) -> Self {
        let (scores, shape) = (input.shape(), target.shape());
        let axis = usize::from(scores.rank() > 1);
        let classes = scores.get(axis).copied();
        let others = scores.iter().enumerate().filter(|&(other, _)| other != axis).map(|(_, size)| size);
        let fits = classes.is_some() && others.eq(shape.iter());
        let (true, Some(classes), DType::I64) = (fits && input.dtype().is_float(), classes, target.dtype())
        else {
            let hint = "scores [n, classes, …] of floating point, labels [n, …] of i64";
            refuse(loss, ("input", input), ("target", target), hint)
        };
        if let Some(weight) = weight {
            require_class_weights(loss, input, classes, weight);
        }
        let labels = target.to_vec::<i64>();
        let counts = |label: &i64| Some(*label) != ignore_index;
        require_classes(loss, &labels, classes, counts);
        let mut rows = if scores.rank() == 2 {
            input.clone()
        } else {
            let axes = (0..scores.rank()).filter(|&other| other != axis).chain([axis]);
            input.permute(axes.collect::<Vec<_>>()).reshape([labels.len(), classes])
        };
        let mut target = target.reshape([labels.len()]);
        let kept = (!labels.iter().all(counts)).then(|| {
            let counted = (0_i64..).zip(&labels).filter(|(_, label)| counts(label));
            let places: Vec<i64> = counted.map(|(row, _)| row).collect();
            let count = places.len();
            Tensor::from_vec(places, [count])
        });
        if let Some(kept) = &kept {
            (rows, target) = (rows.index_select(0, kept), target.index_select(0, kept));
        }
        Self { rows, labels: target, weight: weight.cloned(), kept, shape }
    }

    /// What stands at the labels in rows like the scores, `[m]`.
    #[track_caller]
    pub(super) fn at_labels(&self, x: &Tensor) -> Tensor {
        x.gather(1, &self.labels.unsqueeze(1)).squeeze(1)
    }

    /// Class weights of the labels, `[m]`.
    #[track_caller]
    pub(super) fn weights_of_labels(&self) -> Option<Tensor> {
        Some(self.weight.as_ref()?.index_select(0, &self.labels))
    }

    /// The losses of the rows reduced, by a mean that divides by their weights.
    #[track_caller]
    pub(super) fn reduce(&self, losses: Tensor, weights: Option<Tensor>, reduction: Reduction) -> Tensor {
        match (reduction, weights) {
            (Reduction::Mean, Some(weights)) => losses.sum(..) / weights.sum(..),
            (Reduction::None, _) => {
                let losses = match &self.kept {
                    Some(kept) => {
                        Tensor::zeros([self.shape.elements()], losses.dtype()).index_add(0, kept, &losses)
                    }
                    None => losses,
                };
                losses.reshape(self.shape)
            }
            _ => reduction.of(losses),
        }
    }
}

/// Panics unless there is a weight for each class.
#[track_caller]
pub(super) fn require_class_weights(loss: &str, input: &Tensor, classes: usize, weight: &Tensor) {
    if weight.shape() != [classes] || weight.dtype() != input.dtype() {
        refuse(loss, ("input", input), ("weight", weight), "a weight for each class, of the same type");
    }
}

/// Panics unless all labels that count are classes.
#[track_caller]
fn require_classes(loss: &str, labels: &[i64], classes: usize, counts: impl Fn(&i64) -> bool) {
    let is_wrong = |label: &i64| counts(label) && !(0..classes as i64).contains(label);
    if let Some(element) = labels.iter().position(is_wrong) {
        let rows = [
            ("element", element.to_string()),
            ("label", labels[element].to_string()),
            ("classes", classes.to_string()),
        ];
        misuse(loss, "a label is not a class", &rows, "labels run from 0 to classes − 1");
    }
}
