//! How good a model is on data that it does not learn from.

use crate::metric::{Metrics, Tally};
use crate::steps::Losses;
use crate::task::{Loss, Task, TaskError, require};
use backflow_data::Loader;
use backflow_optim::Optimizer;
use backflow_tensor::{Module, Rng, evaluation, misuse, no_grad};
use serde::Serialize;

/// How many examples are best evaluated at once: enough for the matrix product to be efficient, small enough
/// for the cache.
pub const EVALUATION_BATCH: usize = 100;

/// Loss and metrics of a model over a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The mean loss over all terms.
    pub loss: f64,
    /// The task's figures over all of them.
    #[serde(flatten)]
    pub metrics: Metrics,
}

/// Evaluates a model at a task, inside [`evaluation`] and without recording a graph. How the
/// data are cut into batches does not matter, but for rounding.
///
/// ```
/// use backflow_data::{Loader, Mnist};
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_tensor::{DType, Rng};
/// use backflow_train::{Classification, evaluate};
///
/// let model = Mlp::new(&[784, 10], Activation::Relu, Init::Zeros, DType::F32, &mut Rng::seed_from_u64(0));
/// let test = Loader::new(&Mnist::embedded().test, 500);
/// let untrained = evaluate(&Classification::new(), &model, &test)?;
/// assert!((untrained.loss - 10_f64.ln()).abs() < 1e-6);
/// assert_eq!(untrained.metrics["accuracy"], 0.1);
/// # Ok::<(), backflow_train::TaskError>(())
/// ```
///
/// # Errors
/// If there is no batch, or the data are not of the form that the task needs.
///
/// # Panics
/// If the task does not give one [`Tally`] for each of its metrics.
pub fn evaluate<M: ?Sized>(task: &dyn Task<M>, model: &M, loader: &Loader) -> Result<Evaluation, TaskError> {
    require(task, loader, "evaluate on")?;
    let metrics = task.metrics();
    let (mut losses, mut tallies) = (Losses::default(), vec![Tally::default(); metrics.len()]);
    let measure = || {
        for batch in loader.epoch(0) {
            let (Loss { mean, terms }, found) = task.measure(model, &batch);
            if found.len() != metrics.len() {
                let rows = [("metrics", metrics.len().to_string()), ("tallies", found.len().to_string())];
                misuse(
                    "Task::measure",
                    "metrics and tallies do not pair up",
                    &rows,
                    "one tally for each metric",
                );
            }
            // The mean of no terms is NaN, and counts for nothing.
            if terms > 0.0 {
                losses.add(mean.item(), terms);
                tallies.iter_mut().zip(found).for_each(|(tally, more)| tally.add(more));
            }
        }
    };
    evaluation(|| no_grad(measure));
    let figure = |(metric, tally): (&crate::metric::Metric, &Tally)| (metric.name(), metric.of(tally));
    let metrics = metrics.iter().zip(&tallies).map(figure).collect();
    Ok(Evaluation { loss: losses.mean().unwrap_or(f64::NAN), metrics })
}

/// What `f` makes of a model with the weights that its optimizer would have evaluated, averages where it keeps
/// such, and with running statistics that belong to them: those of averages are measured on an epoch of `train`.
/// The model is as before afterwards.
pub fn with_evaluated_weights<M: Module + ?Sized, R>(
    task: &dyn Task<M>,
    model: &mut M,
    optimizer: &mut Optimizer,
    train: &Loader,
    f: impl FnOnce(&M) -> R,
) -> R {
    // The epoch is begun only where a batch is asked for.
    let batches = std::iter::once(()).flat_map(|()| train.epoch(0));
    let loss = |model: &M, batch| task.loss(model, &batch).mean;
    optimizer.evaluating_recalibrated(model, &Rng::seed_from_u64(0), batches, loss, f)
}
