//! A short training, to see whether a network learns at all.

use super::{Data, Flow, look};
use crate::comparison::{Contender, Spread, Stopped, Watcher};
use crate::evaluate::{EVALUATION_BATCH, Evaluation, evaluate, with_evaluated_weights};
use crate::steps::{Losses, Made, Steps, is_point};
use crate::task::TaskError;
use crate::tasks::Classification;
use backflow_data::{Augment, Dataset, Loader};
use backflow_nn::Layer;
use backflow_probe::FlowStep;
use serde::Serialize;

/// How many points a curve has, if there are so many steps.
const POINTS: u64 = 30;

/// How many standard errors are clear.
const CLEAR: f64 = 5.0;

/// The training that every network gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// The optimizer.
    pub contender: Contender,
    /// How many updates it makes.
    pub steps: u64,
    /// Examples per step; the whole training set, whatever is said here, for rules that need it.
    pub batch_size: usize,
    /// Into how many parts a batch is cut, one after another.
    pub accumulate: usize,
    /// How pictures to train on are changed.
    pub augment: Augment,
}

/// What the training of one configuration came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// Loss before the training, on the examples that the flow was measured on: the mean over seeds.
    pub initial_loss: f64,
    /// The same after the training, over the seeds that did not diverge. `None` if all did.
    pub final_loss: Option<f64>,
    /// Accuracy on the test set after the training, over the same seeds.
    pub test_accuracy: Option<Spread>,
    /// Accuracy on the test set before the training: the mean over seeds.
    pub initial_accuracy: f64,
    /// The accuracy of always naming the test set's commonest class. A network whose outputs do not depend on
    /// its inputs has at most this, however long it was trained.
    pub chance: f64,
    /// How many networks there were.
    pub networks: usize,
    /// How many of them learn: their test accuracy is clearly above `chance` and above what it was before the
    /// training, which random weights can raise above chance. Clearly is by five standard errors, of p over n
    /// test examples `√(p (1 − p)/n)`.
    pub learning: usize,
    /// How many diverged: their loss was not a finite number.
    pub diverged: usize,
    /// What it came to for each network, in the order of the seeds.
    pub by_seed: Vec<LearnedOfSeed>,
    /// The training loss along the way.
    pub curve: Vec<LossPoint>,
    /// The flow after the training, of the networks that did not diverge.
    pub flow: Option<Flow>,
}

/// A point of a learning curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LossPoint {
    /// After so many steps.
    pub step: u64,
    /// The mean training loss of the batches since the point before, over the networks that came so far.
    pub loss: Spread,
}

/// What the training of one network came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LearnedOfSeed {
    /// Loss before the training.
    pub initial_loss: f64,
    /// Accuracy on the test set before it.
    pub initial_accuracy: f64,
    /// Loss after it; `None` if it diverged.
    pub final_loss: Option<f64>,
    /// Accuracy after it; `None` if it diverged.
    pub test_accuracy: Option<f64>,
}

impl Learned {
    pub(super) fn of(networks: &[Trained], test: &Dataset) -> Self {
        let ends: Vec<&End> = networks.iter().filter_map(|network| network.end.as_ref()).collect();
        let records: Vec<FlowStep> = ends.iter().map(|end| end.record.clone()).collect();
        let mean = |figures: Vec<f64>| Spread::of(figures).map(|spread| spread.mean);
        let start =
            |figure: fn(&Trained) -> f64| mean(networks.iter().map(figure).collect()).unwrap_or(f64::NAN);
        let chance = test.class_counts().into_iter().max().unwrap_or(0) as f64 / test.len() as f64;
        let learns = |network: &&Trained| {
            let p = network.initial_accuracy.max(chance);
            let clear = p + CLEAR * (p * (1.0 - p) / test.len() as f64).sqrt();
            network.end.as_ref().is_some_and(|end| end.test_accuracy > clear)
        };
        Self {
            initial_loss: start(|network| network.initial_loss),
            initial_accuracy: start(|network| network.initial_accuracy),
            chance,
            final_loss: mean(ends.iter().map(|end| end.record.loss).collect()),
            test_accuracy: Spread::of(ends.iter().map(|end| end.test_accuracy)),
            networks: networks.len(),
            learning: networks.iter().filter(learns).count(),
            diverged: networks.len() - ends.len(),
            curve: curve(networks),
            by_seed: networks.iter().map(Trained::figures).collect(),
            flow: (!records.is_empty()).then(|| Flow::of(&records, &[])),
        }
    }

    /// Whether most of the networks learn.
    #[must_use]
    pub fn learns(&self) -> bool {
        2 * self.learning > self.networks
    }
}

/// The mean of the networks' curves, as far as any of them goes.
fn curve(networks: &[Trained]) -> Vec<LossPoint> {
    let longest = networks.iter().map(|network| network.losses.len()).max().unwrap_or(0);
    let point = |idx: usize| {
        let points = || networks.iter().filter_map(move |network| network.losses.get(idx));
        let (step, _) = *points().next()?;
        Some(LossPoint { step, loss: Spread::of(points().map(|&(_, loss)| loss))? })
    };
    (0..longest).filter_map(point).collect()
}

/// What the training of one network came to.
pub(super) struct Trained {
    initial_loss: f64,
    initial_accuracy: f64,
    /// Steps made, and the mean training loss since those before.
    losses: Vec<(u64, f64)>,
    /// `None` if it diverged.
    end: Option<End>,
}

impl Trained {
    fn figures(&self) -> LearnedOfSeed {
        LearnedOfSeed {
            initial_loss: self.initial_loss,
            initial_accuracy: self.initial_accuracy,
            final_loss: self.end.as_ref().map(|end| end.record.loss),
            test_accuracy: self.end.as_ref().map(|end| end.test_accuracy),
        }
    }
}

struct End {
    record: FlowStep,
    test_accuracy: f64,
}

impl Training {
    /// Trains one network over batches that are a function of the seed.
    pub(super) fn run(
        &self,
        task: Classification,
        model: &mut dyn Layer,
        seed: u64,
        initial_loss: f64,
        Data { train, test, batch: probe, .. }: &Data,
        watch: &mut Watcher<'_>,
    ) -> Result<Trained, Stopped> {
        if self.batch_size == 0 {
            return Err(TaskError::EmptyBatches.into());
        }
        let dtype = probe.inputs.dtype();
        let whole = self.contender.full_batch();
        let loader = Loader::new(train, if whole { train.len() } else { self.batch_size }).dtype(dtype);
        let loader = if whole { loader } else { loader.shuffle(seed) }.augment(self.augment, seed);
        let mut optimizer = self.contender.optimizer()?.seed(seed);
        let test = Loader::new(test, EVALUATION_BATCH).dtype(dtype);
        let accuracy = |evaluation: Evaluation| evaluation.metrics["accuracy"];
        let initial_accuracy = accuracy(evaluate(&task, &*model, &test)?);
        let mut steps = Steps::new(&mut *model, &mut optimizer, &task, &loader, self.accumulate.max(1))?;
        let (mut losses, mut since_point) = (Vec::new(), Losses::default());
        for step in 0..self.steps {
            if watch(step, self.steps).is_break() {
                return Err(Stopped::Interrupted);
            }
            let batch = steps.batch();
            let Made { loss, terms, diverged, .. } = steps.step(&batch)?;
            if diverged {
                return Ok(Trained { initial_loss, initial_accuracy, losses, end: None });
            }
            since_point.add(loss, terms);
            let is_point = is_point(step + 1, self.steps, POINTS);
            // The sum of finite losses can still be too large.
            let mean = is_point.then(|| std::mem::take(&mut since_point).mean()).flatten();
            if let Some(loss) = mean.filter(|loss| loss.is_finite()) {
                losses.push((step + 1, loss));
            }
        }
        let end = with_evaluated_weights(&task, &mut *model, &mut optimizer, &loader, |model| {
            let test_accuracy = accuracy(evaluate(&task, model, &test)?);
            Ok::<_, TaskError>(End { record: look(task, model, seed, probe), test_accuracy })
        })?;
        let end = end.record.loss.is_finite().then_some(end);
        Ok(Trained { initial_loss, initial_accuracy, losses, end })
    }
}
