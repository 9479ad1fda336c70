//! One training, with its learning curve.

use super::{Conditions, Contender, FlowPoint, Stopped, Watcher};
use crate::evaluate::{EVALUATION_BATCH, Evaluation};
use crate::metric::{Metric, Metrics, of_test};
use crate::steps::{Losses, Made, Steps, Watched, is_point};
use crate::task::{Task, TaskError, require};
use backflow_data::{Dataset, Loader};
use backflow_probe::Recorder;
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
    /// The gradient flow, from the first step to the end, or to the last step that could be made: one entry
    /// for the first step, and for each step that leads to a point of the curve. Empty if nobody
    /// [looked](Conditions::flow).
    pub flow: Vec<FlowPoint>,
    /// Mean time of a step: forward, backward and update, without loading and testing; over the steps that
    /// were not looked at, or over all if each was, and `None` if there is none. The only figure that differs
    /// between two runs of the same settings. It says something of the rule where nothing else ran at that
    /// time; who ran several trainings at once makes it `None`.
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
    ///
    /// # Panics
    /// If steps are [looked at](Self::flow) and the loss calls no layer of a model that has layers, as
    /// [`Recorder::step`]; if the data cannot be [augmented](Self::augment) so, as [`Loader::augment`].
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
        let train = if whole { train } else { train.shuffle(seed) }.augment(self.augment, seed);
        let test = Loader::new(test, EVALUATION_BATCH).dtype(self.dtype);
        require(task, &test, "evaluate on")?;
        let planned = self.epochs.saturating_mul(train.len() as u64);
        let mut optimizer = self.optimizer(contender, planned)?.seed(seed);
        let mut recorder = self.flow.then(|| Recorder::new(&*model));
        let steps =
            Steps::new(model, &mut optimizer, task, &train, self.accumulate.max(1))?.keep_the_only_batch();
        let mut course = Course {
            steps,
            watched: recorder.as_mut().map(|recorder| Watched { recorder, forward: None }),
            test: &test,
            per_epoch: train.len() as u64,
            evaluations: 0,
            times: Times::default(),
            looked_at: Times::default(),
            curve: Vec::new(),
            flow: Vec::new(),
            since_point: Losses::default(),
        };
        let outcome = self.train(&mut course, planned, watch)?;
        Ok(Run {
            optimizer: contender.spec().to_owned(),
            metric: task.metrics().first().copied(),
            seed,
            learning_rate: contender.learning_rate()?,
            batch_size,
            steps: course.steps.made,
            evaluations: course.evaluations,
            curve: course.curve,
            flow: course.flow,
            seconds_per_step: course.times.mean().or(course.looked_at.mean()),
            outcome,
        })
    }

    /// How the training ended.
    fn train<M: Module + ?Sized>(
        &self,
        course: &mut Course<'_, M>,
        planned: u64,
        watch: &mut Watcher<'_>,
    ) -> Result<Outcome, Stopped> {
        if !course.test()? {
            return Ok(Outcome::Diverged { step: 0 });
        }
        for step in 1..=planned {
            if watch(step - 1, planned).is_break() {
                return Err(Stopped::Interrupted);
            }
            let is_point = is_point(step, planned, self.points);
            if !course.step(is_point || step == 1)? {
                return Ok(Outcome::Diverged { step });
            }
            if is_point && !course.test()? {
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
    /// Who looks at some of the steps, if anybody does.
    watched: Option<Watched<'a, M>>,
    test: &'a Loader,
    per_epoch: u64,
    evaluations: u64,
    /// Of steps that nobody looked at.
    times: Times,
    looked_at: Times,
    curve: Vec<Point>,
    flow: Vec<FlowPoint>,
    since_point: Losses,
}

/// The time that so many steps took.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    sum: Duration,
    steps: u64,
}

impl Times {
    fn add(&mut self, time: Duration) {
        self.sum += time;
        self.steps += 1;
    }

    fn mean(self) -> Option<f64> {
        (self.steps > 0).then(|| self.sum.as_secs_f64() / self.steps as f64)
    }
}

impl<M: Module + ?Sized> Course<'_, M> {
    /// One update, which is looked at if somebody may; answers whether loss and gradients were finite.
    fn step(&mut self, looks: bool) -> Result<bool, TaskError> {
        let batch = self.steps.batch();
        self.steps.watched = self.watched.take_if(|_| looks);
        let start = Instant::now();
        let Made { report, loss, terms, first_terms, diverged, .. } = self.steps.step(&batch)?;
        let time = start.elapsed();
        match self.steps.watched.take() {
            Some(watched) => {
                self.looked_at.add(time);
                let seen = watched.recorder.take_records();
                let made = seen.iter().zip(first_terms).filter(|_| !diverged);
                self.flow.extend(made.map(|(record, terms)| FlowPoint::of(record, terms, self.per_epoch)));
                self.watched = Some(watched);
            }
            None => self.times.add(time),
        }
        self.evaluations += report.evaluations;
        self.since_point.add(loss, terms);
        Ok(!diverged)
    }

    /// Adds a point to the curve; answers whether the loss was a finite number.
    fn test(&mut self) -> Result<bool, TaskError> {
        let Evaluation { loss, metrics } = self.steps.evaluate(self.test)?;
        let train_loss = std::mem::take(&mut self.since_point).mean();
        // The sum of finite losses can still be too large.
        let finite = loss.is_finite() && train_loss.is_none_or(f64::is_finite);
        if finite {
            let step = self.steps.made;
            let epoch = step as f64 / self.per_epoch as f64;
            self.curve.push(Point { step, epoch, train_loss, test_loss: loss, metrics });
        }
        Ok(finite)
    }
}
