//! One training, with its learning curve.

use super::{Conditions, Contender, Stopped, Watcher};
use crate::evaluate::{EVALUATION_BATCH, Evaluation};
use crate::metric::{Metric, Metrics, of_test};
use crate::steps::{Losses, Made, Steps, points_before};
use crate::task::{Task, TaskError, require};
use backflow_data::{Dataset, Loader};
use backflow_tensor::Module;
use serde::Serialize;
use std::time::{Duration, Instant};

/// A run that ends with this many times the test loss of its initial weights has lost control, although its
/// numbers are still finite: a guess at random is as good as the initial weights, and no rate that helps
/// leads so far from it.
const LOST: f64 = 100.0;

/// One point of a learning curve. Its losses are finite numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Steps made so far.
    pub step: u64,
    /// Passes over the training set so far, in fractions: what curves of different batch sizes have in
    /// common.
    pub epoch: f64,
    /// Mean loss of the terms trained on since the last point, each before the update it took part in; none
    /// at the start.
    pub train_loss: Option<f64>,
    /// Loss on the test set.
    pub test_loss: f64,
    /// The task's metrics on the test set; in files `accuracy` is `test_accuracy`.
    #[serde(flatten, serialize_with = "of_test")]
    pub metrics: Metrics,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps were made, and every loss was a finite number.
    Finished,
    /// A loss, of a batch or of the test set, was not a finite number, or the run ended with a hundred times
    /// the test loss that it began with.
    Diverged {
        /// The step that met it, counted from 1, or the last one; 0 if the initial weights met it.
        step: u64,
    },
}

/// One training of one contender.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The contender's spec.
    pub optimizer: String,
    /// What it is judged by: the first metric of the task, or the test loss if that has none.
    pub metric: Option<Metric>,
    /// The seed of initial weights and batches.
    pub seed: u64,
    /// The learning rate that it started with.
    pub learning_rate: f64,
    /// Examples per step.
    pub batch_size: usize,
    /// Steps made.
    pub steps: u64,
    /// How often the loss of a batch was computed: more often than steps where a rule looks around.
    pub evaluations: u64,
    /// The learning curve, from the initial weights to the end, or to the last point at which all was finite.
    pub curve: Vec<Point>,
    /// Mean time of a step: forward, backward and update, without loading and testing. The only figure that
    /// differs between two runs of the same settings. It says something of the rule where nothing else ran at
    /// that time; who ran several trainings at once makes it `None`.
    pub seconds_per_step: Option<f64>,
    /// How it ended.
    pub outcome: Outcome,
}

impl Run {
    /// The end of the curve, if the run got there.
    #[must_use]
    pub fn last(&self) -> Option<&Point> {
        self.curve.last().filter(|_| self.outcome == Outcome::Finished)
    }

    /// What it is judged by at the end.
    #[must_use]
    pub fn test_metric(&self) -> Option<f64> {
        self.figure(self.last()?)
    }

    /// The best of that along the curve, after the first step.
    #[must_use]
    pub fn best_metric(&self) -> Option<f64> {
        let metric = self.metric?;
        let figures = self.curve.iter().filter(|point| point.step > 0).filter_map(|point| self.figure(point));
        figures.reduce(|best, next| if metric.is_better(next, best) { next } else { best })
    }

    /// The steps at the first point that reaches `target`.
    #[must_use]
    pub fn steps_to(&self, target: f64) -> Option<u64> {
        let metric = self.metric?;
        let reaches =
            |point: &&Point| self.figure(point).is_some_and(|figure| metric.reaches(figure, target));
        self.curve.iter().find(reaches).map(|point| point.step)
    }

    /// What the run is judged by, at one of its points.
    #[must_use]
    pub fn figure(&self, point: &Point) -> Option<f64> {
        point.metrics.get(self.metric?.name())
    }
}

impl Conditions {
    /// Trains `model`, which holds the initial weights of `seed`, at `task`, and tests it along the way.
    ///
    /// The batches are a function of the seed alone. Contenders that need the whole training set get it as
    /// one batch, in the order of the data set, as often as the others see it.
    ///
    /// # Errors
    /// If `watch` breaks off, the schedule's spec is wrong, a data set is empty or not what the task is for,
    /// or the batch size 0.
    pub fn run<M: Module + ?Sized>(
        &self,
        task: &dyn Task<M>,
        contender: &Contender,
        seed: u64,
        model: &mut M,
        train: &Dataset,
        test: &Dataset,
        watch: &mut Watcher<'_>,
    ) -> Result<Run, Stopped> {
        if self.batch_size == 0 {
            return Err(TaskError::EmptyBatches.into());
        }
        let whole = contender.full_batch();
        let batch_size = if whole { train.len() } else { self.batch_size };
        let train = Loader::new(train, batch_size.max(1)).dtype(self.dtype);
        let train = if whole { train } else { train.shuffle(seed) };
        let test = Loader::new(test, EVALUATION_BATCH).dtype(self.dtype);
        require(task, &test, "evaluate on")?;
        let planned = self.epochs.saturating_mul(train.len() as u64);
        let mut optimizer = self.optimizer(contender, planned)?.seed(seed);
        let mut steps = Steps::new(model, &mut optimizer, task, &train)?.keep_the_only_batch();
        steps.accumulate = self.accumulate.max(1);
        let mut course = Course {
            steps,
            test: &test,
            evaluations: 0,
            time: Duration::ZERO,
            curve: Vec::new(),
            since_point: Losses::default(),
        };
        let outcome = self.train(&mut course, planned, train.len() as u64, watch)?;
        let (made, time) = (course.steps.made, course.time);
        Ok(Run {
            optimizer: contender.spec().to_owned(),
            metric: task.metrics().first().copied(),
            seed,
            learning_rate: contender.learning_rate()?,
            batch_size,
            steps: made,
            evaluations: course.evaluations,
            seconds_per_step: Some(time.as_secs_f64() / made.max(1) as f64),
            curve: course.curve,
            outcome,
        })
    }

    /// How the training ended.
    fn train<M: Module + ?Sized>(
        &self,
        course: &mut Course<'_, M>,
        planned: u64,
        per_epoch: u64,
        watch: &mut Watcher<'_>,
    ) -> Result<Outcome, Stopped> {
        if !course.test(0.0)? {
            return Ok(Outcome::Diverged { step: 0 });
        }
        for step in 1..=planned {
            if watch(step - 1, planned).is_break() {
                return Err(Stopped::Interrupted);
            }
            if !course.step()? {
                return Ok(Outcome::Diverged { step });
            }
            let is_point =
                points_before(step, planned, self.points) > points_before(step - 1, planned, self.points);
            if is_point && !course.test(step as f64 / per_epoch as f64)? {
                return Ok(Outcome::Diverged { step });
            }
        }
        let ends = [course.curve.first(), course.curve.last()].map(|end| end.map(|point| point.test_loss));
        Ok(match ends {
            // A loss that can be below 0 has no such measure.
            [Some(first), Some(last)] if first > 0.0 && last > LOST * first => {
                Outcome::Diverged { step: planned }
            }
            _ => Outcome::Finished,
        })
    }
}

/// A training with what was measured so far.
struct Course<'a, M: ?Sized> {
    steps: Steps<'a, M>,
    test: &'a Loader,
    evaluations: u64,
    time: Duration,
    curve: Vec<Point>,
    since_point: Losses,
}

impl<M: Module + ?Sized> Course<'_, M> {
    /// One update; answers whether loss and gradients were finite.
    fn step(&mut self) -> Result<bool, TaskError> {
        let batch = self.steps.batch();
        let start = Instant::now();
        let Made { report, loss, terms, diverged, .. } = self.steps.step(&batch)?;
        self.time += start.elapsed();
        self.evaluations += report.evaluations;
        self.since_point.add(loss, terms);
        Ok(!diverged)
    }

    /// Adds a point to the curve; answers whether the loss was a finite number.
    fn test(&mut self, epoch: f64) -> Result<bool, TaskError> {
        let Evaluation { loss, metrics } = self.steps.evaluate(self.test)?;
        let train_loss = std::mem::take(&mut self.since_point).mean();
        // The sum of finite losses can still be too large.
        let finite = loss.is_finite() && train_loss.is_none_or(f64::is_finite);
        if finite {
            self.curve.push(Point { step: self.steps.made, epoch, train_loss, test_loss: loss, metrics });
        }
        Ok(finite)
    }
}
