//! One training, with its learning curve.

use super::{Conditions, Contender, Stopped, Watcher};
use crate::evaluate::{EVALUATION_BATCH, Evaluation, evaluate};
use backflow_data::{Batch, Dataset, Loader};
use backflow_nn::Layer;
use backflow_optim::Optimizer;
use serde::Serialize;
use std::time::{Duration, Instant};

/// A run that ends with this many times the test loss of its initial weights has lost control, although its numbers are still
/// finite: a guess at random is as good as the initial weights, and no rate that helps leads so far from it.
const LOST: f64 = 100.0;

/// One point of a learning curve. All its figures are finite numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Steps made so far.
    pub step: u64,
    /// Passes over the training set so far, in fractions: what curves of different batch sizes have in common.
    pub epoch: f64,
    /// Mean loss of the examples trained on since the last point, each before the update it took part in; none at the start.
    pub train_loss: Option<f64>,
    /// Loss on the test set.
    pub test_loss: f64,
    /// Accuracy on the test set, from 0 to 1.
    pub test_accuracy: f64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps were made, and every loss was a finite number.
    Finished,
    /// A loss, of a batch or of the test set, was no finite number, or the run ended with a hundred times the test loss that it
    /// began with.
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
    /// Mean time of a step: forward, backward and update, without loading and testing. The only figure that differs between
    /// two runs of the same settings.
    pub seconds_per_step: f64,
    /// How it ended.
    pub outcome: Outcome,
}

impl Run {
    /// The end of the curve, if the run got there.
    #[must_use]
    pub fn last(&self) -> Option<&Point> {
        self.curve.last().filter(|_| self.outcome == Outcome::Finished)
    }

    /// The highest test accuracy along the curve, after the first step.
    #[must_use]
    pub fn best_accuracy(&self) -> Option<f64> {
        self.curve.iter().filter(|point| point.step > 0).map(|point| point.test_accuracy).reduce(f64::max)
    }

    /// The steps at the first point whose test accuracy is at least `target`.
    #[must_use]
    pub fn steps_to(&self, target: f64) -> Option<u64> {
        self.curve.iter().find(|point| point.test_accuracy >= target).map(|point| point.step)
    }
}

impl Conditions {
    /// Trains `model`, which holds the initial weights of `seed`, and tests it along the way.
    ///
    /// The batches are a function of the seed alone. Contenders that need the whole training set get it as one batch, in
    /// the order of the data set, as often as the others see it.
    ///
    /// # Errors
    /// If `watch` breaks off, or the schedule's spec is wrong.
    pub fn run<M: Layer + ?Sized>(
        &self,
        contender: &Contender,
        seed: u64,
        model: &mut M,
        train: &Dataset,
        test: &Dataset,
        watch: &mut Watcher<'_>,
    ) -> Result<Run, Stopped> {
        let batch_size = if contender.full_batch() { train.len() } else { self.batch_size };
        let train = Loader::new(train, batch_size.max(1)).dtype(self.dtype);
        let train = if contender.full_batch() { train } else { train.shuffle(seed) };
        let test = Loader::new(test, EVALUATION_BATCH).dtype(self.dtype);
        let steps = self.epochs.saturating_mul(train.len() as u64);
        let mut training = Training {
            model,
            optimizer: self.optimizer(contender, steps)?.seed(seed),
            evaluations: 0,
            time: Duration::ZERO,
            curve: Vec::new(),
            since_point: Losses::default(),
            since_epoch: Losses::default(),
        };
        let learning_rate = contender.learning_rate()?;
        let (made, outcome) = self.train(&mut training, &train, &test, steps, watch)?;
        Ok(Run {
            optimizer: contender.spec().to_owned(),
            seed,
            learning_rate,
            batch_size,
            steps: made,
            evaluations: training.evaluations,
            seconds_per_step: training.time.as_secs_f64() / made.max(1) as f64,
            curve: training.curve,
            outcome,
        })
    }

    /// The steps made, and how the training ended.
    fn train<M: Layer + ?Sized>(
        &self,
        training: &mut Training<'_, M>,
        train: &Loader,
        test: &Loader,
        steps: u64,
        watch: &mut Watcher<'_>,
    ) -> Result<(u64, Outcome), Stopped> {
        let per_epoch = train.len() as u64;
        let whole = (per_epoch == 1).then(|| train.batch(0, 0));
        if !training.test(test, 0, 0.0) {
            return Ok((0, Outcome::Diverged { step: 0 }));
        }
        let mut made = 0;
        for epoch in 0..self.epochs {
            let mut batches = train.epoch(epoch);
            for _ in 0..per_epoch {
                if watch(made, steps).is_break() {
                    return Err(Stopped::Interrupted);
                }
                let fits = match &whole {
                    Some(batch) => training.step(batch),
                    None => batches.next().is_some_and(|batch| training.step(&batch)),
                };
                if !fits {
                    return Ok((made, Outcome::Diverged { step: made + 1 }));
                }
                made += 1;
                let is_point = self.points_before(made, steps) > self.points_before(made - 1, steps);
                if is_point && !training.test(test, made, made as f64 / per_epoch as f64) {
                    return Ok((made, Outcome::Diverged { step: made }));
                }
            }
            training.end_epoch();
        }
        let ends =
            [training.curve.first(), training.curve.last()].map(|end| end.map(|point| point.test_loss));
        Ok(match ends {
            [Some(first), Some(last)] if last > LOST * first => (made, Outcome::Diverged { step: made }),
            _ => (made, Outcome::Finished),
        })
    }

    /// How many points lie in the first `made` of `steps` steps.
    fn points_before(&self, made: u64, steps: u64) -> u128 {
        u128::from(made) * u128::from(self.points) / u128::from(steps.max(1))
    }
}

/// A model in training, with what was measured so far.
struct Training<'a, M: ?Sized> {
    model: &'a mut M,
    optimizer: Optimizer,
    evaluations: u64,
    time: Duration,
    curve: Vec<Point>,
    since_point: Losses,
    since_epoch: Losses,
}

/// Losses of batches, summed over their examples.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    loss: f64,
    examples: usize,
}

impl Losses {
    fn mean(self) -> Option<f64> {
        (self.examples > 0).then(|| self.loss / self.examples as f64)
    }
}

impl<M: Layer + ?Sized> Training<'_, M> {
    /// One update; answers whether the loss was a finite number.
    fn step(&mut self, batch: &Batch) -> bool {
        let start = Instant::now();
        let report = self
            .optimizer
            .step_with(&mut *self.model, |model| model.forward(&batch.inputs).cross_entropy(&batch.targets));
        self.time += start.elapsed();
        self.evaluations += report.evaluations;
        let loss = report.loss.unwrap_or(f64::NAN);
        let examples = batch.targets.elements();
        for sum in [&mut self.since_point, &mut self.since_epoch] {
            sum.loss += loss * examples as f64;
            sum.examples += examples;
        }
        loss.is_finite()
    }

    /// Tells the schedule how the epoch went.
    fn end_epoch(&mut self) {
        if let Some(loss) = std::mem::take(&mut self.since_epoch).mean() {
            self.optimizer.observe(loss);
        }
    }

    /// Adds a point to the curve; answers whether the loss was a finite number.
    fn test(&mut self, test: &Loader, step: u64, epoch: f64) -> bool {
        let Evaluation { loss, accuracy } =
            self.optimizer.evaluating(&mut *self.model, |model| evaluate(model, test));
        let train_loss = std::mem::take(&mut self.since_point).mean();
        // The sum of finite losses can still be too large.
        let finite = loss.is_finite() && train_loss.is_none_or(f64::is_finite);
        if finite {
            self.curve.push(Point { step, epoch, train_loss, test_loss: loss, test_accuracy: accuracy });
        }
        finite
    }
}
