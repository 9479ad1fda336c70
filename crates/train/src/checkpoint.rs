//! What a training between two steps is made of, as the sections of a [`Checkpoint`], and back.
//!
//! ```text
//! model                 all tensors of the model
//! optimizer             what the optimizer remembers, averages and what its schedule has seen included
//! run                   JSON: steps, epoch, batches taken, sums of its losses, records of epochs
//! recorder              JSON: its steps, which units were alive in this epoch
//! recorder.gradients    the gradients that those of the next step are compared with
//! ```
//!
//! Chance is no part of it: streams are split from seeds by the number of the step, and loaders are functions of epoch and
//! batch. Nor are settings: who goes on makes everything as before. Numbers stand there as their bits.

use crate::error::TrainError;
use crate::evaluate::Evaluation;
use crate::metric::{Metric, Metrics};
use crate::records::{EpochRecord, StepRecord};
use crate::steps::{Losses, Place};
use backflow_data::Loader;
use backflow_probe::{Recorder, RecorderState};
use backflow_store::Checkpoint;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub(crate) const MODEL: &str = "model";
pub(crate) const OPTIMIZER: &str = "optimizer";
const RUN: &str = "run";
const RECORDER: &str = "recorder";
const GRADIENTS: &str = "recorder.gradients";

/// The version of the JSON sections.
const VERSION: u32 = 1;

/// Where a run is between two steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) place: Place,
    pub(crate) epochs: Vec<EpochRecord>,
    pub(crate) last: Option<StepRecord>,
}

/// A number to the bit, whatever it is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Bits(u64);

impl From<f64> for Bits {
    fn from(number: f64) -> Self {
        Self(number.to_bits())
    }
}

impl From<Bits> for f64 {
    fn from(bits: Bits) -> Self {
        Self::from_bits(bits.0)
    }
}

#[derive(Serialize, Deserialize)]
struct Run {
    version: u32,
    /// Of the loader, to be held against that of who goes on.
    batches: usize,
    examples: usize,
    made: u64,
    epoch: u64,
    taken: usize,
    losses: [Bits; 2],
    last: Option<Step>,
    epochs: Vec<Epoch>,
}

/// Loss, learning rate, norm of the gradient.
#[derive(Serialize, Deserialize)]
struct Step {
    step: u64,
    epoch: u64,
    figures: [Bits; 3],
}

#[derive(Serialize, Deserialize)]
struct Epoch {
    epoch: u64,
    train_loss: Bits,
    test_loss: Bits,
    metrics: Vec<(String, Bits)>,
    /// Loss and metrics of what was held out.
    validation: Option<(Bits, Vec<(String, Bits)>)>,
}

#[derive(Serialize, Deserialize)]
struct OfRecorder {
    version: u32,
    steps: u64,
    has_epochs: bool,
    /// A digit for each unit.
    alive: Vec<(String, Vec<String>)>,
}

/// Puts a run into its section.
pub(crate) fn put_progress(checkpoint: &mut Checkpoint, progress: &Progress, train: &Loader) {
    let Progress { place: Place { made, epoch, taken, losses }, epochs, last } = progress;
    let of_step = |last: &StepRecord| Step {
        step: last.step,
        epoch: last.epoch,
        figures: [last.loss, last.learning_rate, last.gradient_norm].map(Bits::from),
    };
    let figures = |metrics: &Metrics| -> Vec<(String, Bits)> {
        metrics.iter().map(|(name, figure)| (name.to_owned(), figure.into())).collect()
    };
    let of_epoch = |record: &EpochRecord| Epoch {
        epoch: record.epoch,
        train_loss: record.train_loss.into(),
        test_loss: record.test_loss.into(),
        metrics: figures(&record.metrics),
        validation: record.validation.as_ref().map(|found| (found.loss.into(), figures(&found.metrics))),
    };
    put_json(
        checkpoint,
        RUN,
        &Run {
            version: VERSION,
            batches: train.len(),
            examples: train.dataset().len(),
            made: *made,
            epoch: *epoch,
            taken: *taken,
            losses: [losses.sum, losses.terms].map(Bits::from),
            last: last.as_ref().map(of_step),
            epochs: epochs.iter().map(of_epoch).collect(),
        },
    );
}

/// The run of a checkpoint. What it has learned of the loader is held against `train` by [`require_loader`].
pub(crate) fn progress(
    checkpoint: &Checkpoint,
    metrics: &[Metric],
) -> Result<(Progress, OfLoader), TrainError> {
    let run: Run = json(checkpoint, RUN)?;
    require_version(checkpoint, run.version)?;
    let Run { made, epoch, taken, losses: [sum, terms], batches, examples, .. } = run;
    let is_between_steps =
        taken < batches.max(1) && (epoch > 0 || (made, taken) == (0, 0)) && made < MOST_STEPS;
    if !is_between_steps || made != checkpoint.step() {
        return Err(wrong(checkpoint, "its counts of steps, epochs and batches do not agree"));
    }
    let epochs = run.epochs.into_iter().map(|record| {
        let figure = |(name, figure): (String, Bits)| {
            let metric = metrics.iter().find(|metric| metric.name() == name);
            let unknown = || wrong(checkpoint, &format!("the task has no metric {name}"));
            Ok((metric.ok_or_else(unknown)?.name(), f64::from(figure)))
        };
        let figures = |figures: Vec<(String, Bits)>| {
            figures.into_iter().map(figure).collect::<Result<Metrics, TrainError>>()
        };
        let metrics = figures(record.metrics)?;
        let validation = record.validation.map(|(loss, metrics)| {
            Ok::<_, TrainError>(Evaluation { loss: loss.into(), metrics: figures(metrics)? })
        });
        let (train_loss, test_loss) = (record.train_loss.into(), record.test_loss.into());
        let validation = validation.transpose()?;
        Ok(EpochRecord { epoch: record.epoch, train_loss, test_loss, metrics, validation })
    });
    let last = run.last.map(|Step { step, epoch, figures }| {
        let [loss, learning_rate, gradient_norm] = figures.map(f64::from);
        StepRecord { step, epoch, loss, learning_rate, gradient_norm }
    });
    let losses = Losses { sum: sum.into(), terms: terms.into() };
    let place = Place { made, epoch, taken, losses };
    let epochs = epochs.collect::<Result<_, TrainError>>()?;
    Ok((Progress { place, epochs, last }, OfLoader { batches, examples }))
}

/// As optimizers count steps.
const MOST_STEPS: u64 = 1 << 53;

/// What a checkpoint knows of the loader that it was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OfLoader {
    batches: usize,
    examples: usize,
}

impl OfLoader {
    /// Whether the loader is like it.
    pub(crate) fn require(self, train: &Loader) -> Result<(), TrainError> {
        let own = Self { batches: train.len(), examples: train.dataset().len() };
        if own == self {
            return Ok(());
        }
        let in_words = |of: Self| format!("{} examples in {} batches", of.examples, of.batches);
        Err(TrainError::OtherRun(format!(
            "it was trained on {}, and there are {}",
            in_words(self),
            in_words(own)
        )))
    }
}

/// Puts a recorder into its sections.
pub(crate) fn put_recorder(checkpoint: &mut Checkpoint, recorder: &Recorder) -> Result<(), TrainError> {
    let RecorderState { steps, has_epochs, alive, gradients } = recorder.state();
    let digits = |units: Vec<bool>| units.into_iter().map(|alive| if alive { '1' } else { '0' }).collect();
    let alive =
        alive.into_iter().map(|(path, uses)| (path, uses.into_iter().map(digits).collect())).collect();
    put_json(checkpoint, RECORDER, &OfRecorder { version: VERSION, steps, has_epochs, alive });
    Ok(checkpoint.put_tensors(GRADIENTS, gradients)?)
}

/// Lets a recorder take up what its sections say.
pub(crate) fn load_recorder(checkpoint: &Checkpoint, recorder: &mut Recorder) -> Result<(), TrainError> {
    let OfRecorder { version, steps, has_epochs, alive } = json(checkpoint, RECORDER)?;
    require_version(checkpoint, version)?;
    let units = |digits: String| digits.bytes().map(|digit| digit == b'1').collect();
    let alive = alive.into_iter().map(|(path, uses)| (path, uses.into_iter().map(units).collect())).collect();
    let gradients = checkpoint.tensors(GRADIENTS)?;
    let state = RecorderState { steps, has_epochs, alive, gradients };
    recorder.load_state(state).map_err(|error| wrong(checkpoint, &error.to_string()))
}

/// Whether a recorder looked on.
pub(crate) fn has_recorder(checkpoint: &Checkpoint) -> bool {
    checkpoint.names().any(|name| name == RECORDER)
}

fn put_json(checkpoint: &mut Checkpoint, name: &str, value: &impl Serialize) {
    checkpoint.put(name, serde_json::to_vec(value).expect("strings and whole numbers in lists are JSON"));
}

fn json<T: DeserializeOwned>(checkpoint: &Checkpoint, name: &str) -> Result<T, TrainError> {
    let bytes = checkpoint.get(name)?;
    serde_json::from_slice(bytes).map_err(|error| wrong(checkpoint, &format!("its section {name}: {error}")))
}

fn require_version(checkpoint: &Checkpoint, version: u32) -> Result<(), TrainError> {
    if version == VERSION {
        return Ok(());
    }
    Err(wrong(checkpoint, &format!("it is of version {version}, and this program reads version {VERSION}")))
}

pub(crate) fn wrong(checkpoint: &Checkpoint, reason: &str) -> TrainError {
    let path = checkpoint.path().to_owned();
    TrainError::Store(backflow_store::StoreError::Checkpoint { path, reason: reason.to_owned() })
}
