//! How good a classifier is on data that it does not learn from.

use backflow_data::Loader;
use backflow_nn::Layer;
use backflow_tensor::{Tensor, evaluation, no_grad};
use serde::Serialize;

/// How many examples are best evaluated at once: enough for the matrix product to be efficient, small enough for the cache.
pub const EVALUATION_BATCH: usize = 500;

/// Loss and accuracy of a classifier over a data set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Mean cross entropy over the examples, in nats.
    pub loss: f64,
    /// The share of examples whose highest logit is that of their class, from 0 to 1.
    pub accuracy: f64,
}

/// Evaluates a classifier whose outputs are logits of shape `[batch, classes]`, inside [`evaluation`] and without recording a graph.
/// Over no example both figures are NaN.
#[must_use]
pub fn evaluate(model: &(impl Layer + ?Sized), loader: &Loader) -> Evaluation {
    let measure = || {
        let (mut loss, mut correct, mut count) = (0.0, 0, 0_usize);
        for batch in loader.epoch(0) {
            let logits = model.forward(&batch.inputs);
            let examples = batch.targets.elements();
            loss += logits.cross_entropy(&batch.targets).item() * examples as f64;
            correct += count_correct(&logits, &batch.targets);
            count += examples;
        }
        Evaluation { loss: loss / count as f64, accuracy: correct as f64 / count as f64 }
    };
    evaluation(|| no_grad(measure))
}

/// How many rows of `logits` (`[batch, classes]`) are highest at their target (`[batch]`).
#[must_use]
#[track_caller]
pub fn count_correct(logits: &Tensor, targets: &Tensor) -> usize {
    let guesses = logits.argmax(-1).to_vec::<i64>();
    guesses.iter().zip(targets.to_vec::<i64>()).filter(|&(&guess, target)| guess == target).count()
}
