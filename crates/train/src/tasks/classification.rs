//! [`Classification`]: which of several classes an example, or each step of a sequence, belongs to.
//!
//! ```text
//! outputs z: [n, classes]    labels t: [n]        or [n, T, classes] and [n, T]: each step is an example
//! loss  cross entropy −mean ln softmax(z)[t], in nats; or a pointwise loss of z and the one-hot rows of t
//! ```

use super::PointwiseLoss;
use super::steps_of_sequences::rows;
use crate::metric::{Metric, Tally};
use crate::task::{Loss, Task, TaskError};
use backflow_data::{Batch, Dataset, one_hot};
use backflow_nn::Layer;
use backflow_tensor::{DType, Tensor};

/// Classes by scores: the highest one is the guess, and `accuracy` the share of right guesses.
///
/// With [`one_hot`](Self::one_hot), the outputs themselves, not their softmax, are compared with rows that
/// are 1 at the label and 0 elsewhere: what `F.mse_loss(model(x), F.one_hot(t).float())` is in PyTorch, a
/// mean over all elements. Padded sequences count up to their lengths.
///
/// ```
/// use backflow_nn::loss::mse_loss;
/// use backflow_train::Classification;
///
/// let (cross_entropy, squares) = (Classification::new(), Classification::one_hot(mse_loss));
/// assert_ne!(cross_entropy, squares);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Classification {
    one_hot: Option<PointwiseLoss>,
}

impl Classification {
    /// With cross entropy.
    #[must_use]
    pub const fn new() -> Self {
        Self { one_hot: None }
    }

    /// With a loss between outputs and one-hot rows, such as `mse_loss` or
    /// `binary_cross_entropy_with_logits`.
    #[must_use]
    pub const fn one_hot(loss: PointwiseLoss) -> Self {
        Self { one_hot: Some(loss) }
    }

    /// Outputs and labels, a row for each example, or for each step of a sequence.
    fn examples(outputs: &Tensor, batch: &Batch) -> (Tensor, Tensor) {
        match batch.targets.shape()[..] {
            [_, steps] => {
                let lengths = batch.lengths.as_deref();
                (rows(outputs, steps, lengths), rows(&batch.targets, steps, lengths))
            }
            _ => (outputs.clone(), batch.targets.clone()),
        }
    }

    #[track_caller]
    fn of(&self, logits: &Tensor, labels: &Tensor) -> Loss {
        let examples = labels.elements();
        let Some(loss) = self.one_hot else { return Loss::over(logits.cross_entropy(labels), examples) };
        let classes = logits.shape().last().copied().unwrap_or(0);
        let targets = one_hot(labels, classes).to_dtype(logits.dtype());
        Loss::over(loss(logits, &targets), examples)
    }
}

impl PartialEq for Classification {
    fn eq(&self, other: &Self) -> bool {
        match (self.one_hot, other.one_hot) {
            (Some(own), Some(other)) => std::ptr::fn_addr_eq(own, other),
            (own, other) => own.is_none() && other.is_none(),
        }
    }
}

impl<M: Layer + ?Sized> Task<M> for Classification {
    fn loss(&self, model: &M, batch: &Batch) -> Loss {
        let (logits, labels) = Self::examples(&model.forward(&batch.inputs), batch);
        self.of(&logits, &labels)
    }

    fn check(&self, data: &Dataset) -> Result<(), TaskError> {
        let shape = data.target_shape();
        let fits = data.classes() > 0 && shape.is_some_and(|shape| shape.rank() <= 1);
        if fits && data.target_dtype() == Some(DType::I64) {
            return Ok(());
        }
        let needs = "a class per example, or per step of a sequence";
        Err(TaskError::Data { task: "classification", needs, found: format!("{data:?}") })
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![ACCURACY]
    }

    fn measure(&self, model: &M, batch: &Batch) -> (Loss, Vec<Tally>) {
        let (logits, labels) = Self::examples(&model.forward(&batch.inputs), batch);
        let right = count_correct(&logits, &labels);
        (self.of(&logits, &labels), vec![Tally::new(right as f64, labels.elements() as f64)])
    }
}

/// The share of examples whose highest output is that of their class.
pub(super) const ACCURACY: Metric = Metric::share("accuracy");

/// How many rows of `logits` (`[n, classes]`) are highest at their target (`[n]`).
#[must_use]
#[track_caller]
pub fn count_correct(logits: &Tensor, targets: &Tensor) -> usize {
    let guesses = logits.argmax(-1).to_vec::<i64>();
    guesses.iter().zip(targets.to_vec::<i64>()).filter(|&(&guess, target)| guess == target).count()
}
