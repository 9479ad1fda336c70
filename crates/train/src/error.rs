//! What can go wrong in a training run, apart from mistakes in the program.

use crate::task::TaskError;
use crate::trainer::StepRecord;
use backflow_probe::chart::number;
use backflow_probe::{NonFinite, Origin};
use std::io;
use std::path::PathBuf;

/// Why a run, or the saving or loading of its results, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The loss is no longer a number.
    #[error(
        "the training diverged at step {step} (epoch {epoch}): {}",
        story(*loss, origin.as_deref(), last.as_ref())
    )]
    Diverged {
        /// The loss: NaN or an infinity.
        loss: f64,
        /// The step, counted from 1 over all epochs.
        step: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// Where the first number that is not finite came from, if the loss could be computed again.
        origin: Option<Box<NonFinite>>,
        /// The step before, the last one that changed the weights.
        last: Option<StepRecord>,
    },
    /// The data are not what the task needs, or there are none.
    #[error(transparent)]
    Task(TaskError),
    /// A listener asked to stop, as for Ctrl-C.
    #[error("stopped after step {step}")]
    Interrupted {
        /// The last step that was made, counted from 1.
        step: u64,
    },
    /// A file or folder of the run cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A folder for a run holds something else, which a run would bury or overwrite.
    #[error("{}: is not empty and holds no earlier run; choose another folder", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// A run's folder cannot be made where a file is.
    #[error("{}: is a file; choose another name for the run's folder", path.display())]
    FileInTheWay {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of weights is damaged, or not a file of weights.
    #[error("{}: not a valid safetensors file: {reason}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of weights belongs to another model.
    #[error("{}: does not fit the model: {reason}; the model is unchanged", path.display())]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// Where the two differ.
        reason: String,
    },
    /// A line of a log of the flow is none.
    #[error("{}: line {line}: {reason}; the log is damaged, or of another version", path.display())]
    Flow {
        /// The log.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of an optimizer's state is damaged, or is none.
    #[error("{}: not a valid optimizer state: {reason}", path.display())]
    OptimizerState {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of an optimizer's state belongs to another optimizer or model.
    #[error("{}: {source}; the optimizer is unchanged", path.display())]
    OtherOptimizer {
        /// The file.
        path: PathBuf,
        /// Where they differ.
        source: backflow_optim::StateError,
    },
}

/// How a loss became what it is.
fn story(loss: f64, origin: Option<&NonFinite>, last: Option<&StepRecord>) -> String {
    let mut story = origin.map_or_else(
        || format!("the loss was {loss}; try a lower learning rate or clipping by norm"),
        ToString::to_string,
    );
    if let Some(StepRecord { step, loss, learning_rate, gradient_norm, .. }) = last {
        let is_in_weights = matches!(origin, Some(NonFinite { origin: Origin::Parameter { .. }, .. }));
        let since =
            if is_in_weights { "it is so since the update of" } else { "the last update was that of" };
        let [loss, norm, rate] = [loss, gradient_norm, learning_rate].map(|&figure| number(figure));
        story += &format!("; {since} step {step} (loss {loss}, gradient norm {norm}, learning rate {rate})");
    }
    story
}
