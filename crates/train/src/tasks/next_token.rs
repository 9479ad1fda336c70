//! [`NextToken`]: each element of a sequence from those before it.
//!
//! ```text
//! ids: [n, T]    the model sees ids[:, ..T−1] and gives scores [n, T−1, classes]    targets ids[:, 1..]
//! loss = −mean ln softmax(scores)[next], in nats, over the steps that have a next one    perplexity = e^loss
//! ```
//!
//! The shift is the task's: a data set holds sequences once. Of a padded sequence of length l, l − 1 steps
//! count; the weight of a batch is their number, so that short sequences do not weigh as much as long ones.
//! That no step sees those after it is the model's promise.

use super::classification::{ACCURACY, count_correct};
use super::steps_of_sequences::rows;
use crate::metric::{Metric, Tally};
use crate::task::{Loss, Task, TaskError};
use backflow_data::{Batch, Dataset};
use backflow_nn::Layer;
use backflow_tensor::{DType, Float, Tensor, misuse};

const PERPLEXITY: Metric = Metric::error("perplexity").finish(exp);

fn exp(x: f64) -> f64 {
    Float::exp(x)
}

/// Language modelling, and every other sequence of class ids; with the metrics `accuracy` and `perplexity`.
///
/// ```
/// use backflow_data::Dataset;
/// use backflow_nn::Mlp;
/// use backflow_tensor::Tensor;
/// use backflow_train::{NextToken, Task, TaskError};
///
/// let text = Tensor::from([[0_i64, 1, 2, 1], [2, 1, 0, 1]]);
/// let task: &dyn Task<Mlp> = &NextToken::new();
/// assert_eq!(task.check(&Dataset::unlabelled(&text).with_classes(3)), Ok(()));
/// assert!(matches!(task.check(&Dataset::unlabelled(&text)), Err(TaskError::Data { .. })));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct NextToken(());

impl NextToken {
    /// With cross entropy.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }

    /// Scores and next ids, a row for each step that has a next one.
    #[track_caller]
    fn examples<M: Layer + ?Sized>(model: &M, batch: &Batch) -> (Tensor, Tensor) {
        let shape = batch.inputs.shape();
        let steps = shape[1] - 1;
        let scores = model.forward(&batch.inputs.slice(1, 0..steps));
        if scores.shape().rank() != 3 || scores.shape()[..2] != [shape[0], steps] {
            let rows = [("ids", format!("[{}, {steps}]", shape[0])), ("outputs", scores.shape().to_string())];
            let hint = "a model of sequences maps [n, T] to [n, T, classes]";
            misuse("NextToken", "outputs do not pair up with steps", &rows, hint);
        }
        let lengths: Option<Vec<usize>> =
            batch.lengths.as_ref().map(|all| all.iter().map(|length| length.saturating_sub(1)).collect());
        let next = batch.inputs.slice(1, 1..steps + 1);
        (rows(&scores, steps, lengths.as_deref()), rows(&next, steps, lengths.as_deref()))
    }
}

impl<M: Layer + ?Sized> Task<M> for NextToken {
    fn loss(&self, model: &M, batch: &Batch) -> Loss {
        let (scores, next) = Self::examples(model, batch);
        Loss::over(scores.cross_entropy(&next), next.elements())
    }

    fn check(&self, data: &Dataset) -> Result<(), TaskError> {
        let fits = data.input_dtype() == DType::I64 && data.target_shape().is_none() && data.classes() > 0;
        if fits && matches!(data.input_shape()[..], [steps] if steps >= 2) {
            return Ok(());
        }
        let needs = "sequences of at least two class ids, i64, without other targets";
        Err(TaskError::Data { task: "prediction of the next token", needs, found: format!("{data:?}") })
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![ACCURACY, PERPLEXITY]
    }

    fn measure(&self, model: &M, batch: &Batch) -> (Loss, Vec<Tally>) {
        let (scores, next) = Self::examples(model, batch);
        let loss = Loss::over(scores.cross_entropy(&next), next.elements());
        let terms = loss.terms;
        // The mean of no term is NaN, and counts for nothing.
        let sum = if terms > 0.0 { loss.mean.item() * terms } else { 0.0 };
        (loss, vec![Tally::new(count_correct(&scores, &next) as f64, terms), Tally::new(sum, terms)])
    }
}
