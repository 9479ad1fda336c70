//! The learning rate by k-fold cross-validation: every rate of a grid is tried on splits of the training set
//! alone.

use super::{Conditions, Contender, Run, Stopped};
use crate::metric::{Metric, Metrics};
use crate::side_by_side::{Completion, Ended, Supervisor, side_by_side};
use crate::task::Task;
use backflow_data::{Dataset, KFold};
use backflow_tensor::{DType, Module};
use serde::Serialize;
use std::cmp::Ordering;

/// How one training on all folds but one did on that one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fold {
    /// The task's metrics on the fold; the worst there is if the training diverged, 0 for an accuracy.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Loss on the fold; infinite if the training diverged.
    pub loss: f64,
}

/// One learning rate with its folds.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The learning rate.
    pub learning_rate: f64,
    /// What it is judged by; the loss if there is no metric.
    pub metric: Option<Metric>,
    /// One entry per fold.
    pub folds: Vec<Fold>,
}

impl Trial {
    /// The mean of the metric over the folds.
    #[must_use]
    pub fn figure(&self) -> Option<f64> {
        let name = self.metric?.name();
        Some(self.mean(|fold| fold.metrics.get(name).unwrap_or(f64::NAN)))
    }

    /// Mean loss over the folds; infinite if one diverged.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.mean(|fold| fold.loss)
    }

    fn mean(&self, of: impl Fn(&Fold) -> f64) -> f64 {
        self.folds.iter().map(of).sum::<f64>() / self.folds.len() as f64
    }
}

/// What cross-validation found for one contender.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// The contender's spec.
    pub optimizer: String,
    /// The rate with the best mean of the metric, of these the one with the lowest mean loss, of these the
    /// first; none if every training diverged.
    pub learning_rate: Option<f64>,
    /// All of them, in the order in which they were given.
    pub trials: Vec<Trial>,
}

impl Tuning {
    /// On which side of the chosen rate none was tried, so that a better one may lie there: `Less` if it is
    /// the lowest of several, `Greater` if it is the highest.
    #[must_use]
    pub fn edge(&self) -> Option<Ordering> {
        let chosen = self.learning_rate?;
        let mut others = self.trials.iter().map(|trial| trial.learning_rate).filter(|&rate| rate != chosen);
        let side = chosen.partial_cmp(&others.next()?)?;
        others.all(|rate| chosen.partial_cmp(&rate) == Some(side)).then_some(side)
    }

    fn choose(optimizer: String, trials: Vec<Trial>) -> Self {
        let score = |trial: &Trial| match (trial.metric, trial.figure()) {
            (Some(metric), Some(figure)) if metric.higher_is_better() => figure,
            (_, figure) => figure.map_or(0.0, |figure| -figure),
        };
        let better =
            |a: &Trial, b: &Trial| score(b).total_cmp(&score(a)).then_with(|| a.loss().total_cmp(&b.loss()));
        // `min_by` keeps the first of equals.
        let trained = |trial: &&Trial| trial.folds.iter().any(|fold| fold.loss.is_finite());
        let best = trials.iter().filter(trained).min_by(|a, b| better(a, b));
        Self { learning_rate: best.map(|trial| trial.learning_rate), optimizer, trials }
    }
}

impl Conditions {
    /// Chooses the learning rate of `contender` from `rates`.
    ///
    /// For each rate and each of `folds` folds, a model of `model` is trained under these very conditions on
    /// the other folds and evaluated on this one after its last step. The folds, with every class spread
    /// evenly, and the order of the batches are functions of `seed`; targets that are not one class each are
    /// dealt out at random. As many trainings go on at a time as the rayon pool has threads
    /// ([`side_by_side`]), and `supervise` is told how many are done.
    ///
    /// # Errors
    /// If `supervise` breaks off, the schedule's spec is wrong, the contender cannot have one of the rates,
    /// or the data are not what the task is for.
    ///
    /// # Panics
    /// If there is no rate, or unless `2 ≤ folds ≤ train.len()`.
    #[track_caller]
    pub fn tune<M: Module>(
        &self,
        task: &(dyn Task<M> + Sync),
        contender: &Contender,
        rates: &[f64],
        folds: usize,
        seed: u64,
        model: impl Fn() -> M + Sync,
        train: &Dataset,
        supervise: &Supervisor<'_>,
    ) -> Result<Tuning, Stopped> {
        task.check(train)?;
        let is_labelled = train.target_dtype() == Some(DType::I64)
            && train.target_shape().is_some_and(|shape| shape.rank() == 0);
        let splits = if is_labelled {
            KFold::stratified(train.labels(), folds, seed)
        } else {
            KFold::new(train.len(), folds, seed)
        };
        let sets: Vec<_> = splits
            .splits()
            .map(|split| (train.subset(&split.train), train.subset(&split.validation)))
            .collect();
        let conditions = Self { points: 1, flow: false, ..self.clone() };
        let metrics = task.metrics();
        let trial =
            |&learning_rate| Trial { learning_rate, metric: metrics.first().copied(), folds: Vec::new() };
        let mut trials: Vec<Trial> = rates.iter().map(trial).collect();
        let completion = Completion::default();
        let validate = |job: usize, ended: &Ended| {
            let (train, validation) = &sets[job % folds];
            let mut part = completion.begin();
            let mut watch = |step, steps| ended.or(supervise(part.at(step, steps)));
            let contender = contender.at(rates[job / folds])?;
            conditions.run(task, &contender, seed, &mut model(), train, validation, &mut watch)
        };
        side_by_side(usize::MAX, rates.len() * folds, validate, |job, run| {
            trials[job / folds].folds.push(Fold::of(&run, &metrics));
            Ok(())
        })?;
        Ok(Tuning::choose(contender.spec().to_owned(), trials))
    }
}

impl Fold {
    fn of(run: &Run, metrics: &[Metric]) -> Self {
        match run.last() {
            Some(point) => Self { metrics: point.metrics.clone(), loss: point.test_loss },
            None => Self {
                metrics: metrics.iter().map(|metric| (metric.name(), metric.worst())).collect(),
                loss: f64::INFINITY,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fold, Trial, Tuning};
    use crate::metric::{Metric, Metrics};
    use std::cmp::Ordering::{Greater, Less};

    #[test]
    fn accuracy_decides_then_loss_then_the_order() {
        let diverged = (0.0, f64::INFINITY);
        let cases = [
            (&[(0.5, 1.0), (0.9, 3.0)][..], Some(1), Some(Greater)),
            (&[(0.9, 2.0), (0.9, 1.0), (0.8, 0.1)], Some(1), None),
            (&[(0.9, 1.0), (0.9, 1.0)], Some(0), Some(Less)),
            (&[(0.9, 1.0)], Some(0), None),
            (&[diverged, (0.0, 1e30), diverged], Some(1), None),
            (&[diverged, diverged], None, None),
        ];
        for (trials, best, edge) in cases {
            let trial = |(rate, &(accuracy, loss))| Trial {
                learning_rate: f64::from(rate),
                metric: Some(Metric::share("accuracy")),
                folds: vec![Fold { metrics: Metrics::from_iter([("accuracy", accuracy)]), loss }],
            };
            let trials: Vec<_> = (0..).zip(trials).map(trial).collect();
            let expected = best.map(|best| trials[best].learning_rate);
            let tuning = Tuning::choose("adam".to_owned(), trials);
            assert_eq!((tuning.learning_rate, tuning.edge()), (expected, edge), "{tuning:?}");
        }
    }
}
