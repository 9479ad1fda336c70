//! A short training, to see whether a network learns at all.

use super::{Flow, look};
use crate::comparison::{Contender, Spread, Stopped, Watcher};
use crate::evaluate::evaluate;
use backflow_data::{Batch, Dataset, Loader};
use backflow_nn::Mlp;
use backflow_probe::FlowStep;

/// How many examples are evaluated at once.
const TEST_BATCH: usize = 500;

/// How many standard errors a network must be better than chance, to have learned something.
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
    /// The test accuracy from which a network counts as one that learns. See [`chance`].
    pub threshold: f64,
    /// How many networks there were.
    pub networks: usize,
    /// How many of them learn.
    pub learning: usize,
    /// How many diverged: their loss was no finite number.
    pub diverged: usize,
    /// The flow after the training, of the networks that did not diverge.
    pub flow: Option<Flow>,
}

impl Learned {
    pub(super) fn of(outcomes: Vec<Outcome>, test: &Dataset, sizes: &[usize]) -> Self {
        let ends: Vec<&End> = outcomes.iter().filter_map(|outcome| outcome.end.as_ref()).collect();
        let (_, threshold) = chance(test);
        let records: Vec<FlowStep> = ends.iter().map(|end| end.record.clone()).collect();
        let mean = |losses: Vec<f64>| Spread::of(losses).map(|spread| spread.mean);
        Self {
            initial_loss: mean(outcomes.iter().map(|outcome| outcome.initial_loss).collect())
                .unwrap_or(f64::NAN),
            final_loss: mean(ends.iter().map(|end| end.record.loss).collect()),
            test_accuracy: Spread::of(ends.iter().map(|end| end.test_accuracy)),
            threshold,
            networks: outcomes.len(),
            learning: ends.iter().filter(|end| end.test_accuracy > threshold).count(),
            diverged: outcomes.len() - ends.len(),
            flow: (!records.is_empty()).then(|| Flow::of(&records, sizes)),
        }
    }

    /// Whether most of the networks learn.
    #[must_use]
    pub fn learns(&self) -> bool {
        2 * self.learning > self.networks
    }
}

/// The accuracy p of always naming the commonest class of a data set of n examples, and the accuracy that is clearly above it:
/// by five standard errors of it, `p + 5 √(p (1 − p)/n)`.
///
/// A network whose outputs do not depend on its inputs has an accuracy of at most p, however long it was trained.
#[must_use]
pub fn chance(test: &Dataset) -> (f64, f64) {
    let n = test.len() as f64;
    let p = test.class_counts().into_iter().max().unwrap_or(0) as f64 / n;
    (p, p + CLEAR * (p * (1.0 - p) / n).sqrt())
}

/// What the training of one network came to.
pub(super) struct Outcome {
    initial_loss: f64,
    /// `None` if it diverged.
    end: Option<End>,
}

struct End {
    record: FlowStep,
    test_accuracy: f64,
}

impl Training {
    /// Trains one network over batches that are a function of the seed.
    pub(super) fn run(
        &self,
        model: &mut Mlp,
        seed: u64,
        initial_loss: f64,
        probe: &Batch,
        [train, test]: [&Dataset; 2],
        watch: &mut Watcher<'_>,
    ) -> Result<Outcome, Stopped> {
        let dtype = probe.inputs.dtype();
        let whole = self.contender.full_batch();
        let batch_size = if whole { train.len() } else { self.batch_size };
        let loader = Loader::new(train, batch_size).dtype(dtype);
        let loader = if whole { loader } else { loader.shuffle(seed) };
        let mut optimizer = self.contender.optimizer()?;
        let diverged = Outcome { initial_loss, end: None };
        let batches = (0..).flat_map(|epoch| loader.epoch(epoch));
        for (step, batch) in (0..self.steps).zip(batches) {
            if watch(step, self.steps).is_break() {
                return Err(Stopped::Interrupted);
            }
            let report = optimizer.step_with(&mut *model, |model: &Mlp| {
                model.forward(&batch.inputs).cross_entropy(&batch.targets)
            });
            if !report.loss.is_some_and(f64::is_finite) {
                return Ok(diverged);
            }
        }
        let test = Loader::new(test, TEST_BATCH).dtype(dtype);
        let end = optimizer.evaluating(&mut *model, |model: &Mlp| End {
            record: look(model, probe),
            test_accuracy: evaluate(model, &test).accuracy,
        });
        Ok(if end.record.loss.is_finite() { Outcome { initial_loss, end: Some(end) } } else { diverged })
    }
}
