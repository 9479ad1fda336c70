//! What can go wrong in a training run, apart from mistakes in the program.

use crate::records::StepRecord;
use crate::task::TaskError;
use backflow_probe::text::number;
use backflow_probe::{NonFinite, Origin};
use backflow_store::StoreError;
use backflow_tensor::quote::told;
use std::path::PathBuf;

/// Why a run, or the saving or loading of its results, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The loss is no longer a number, or a gradient is not.
    #[error(
        "the training diverged at step {step} (epoch {epoch}): {}",
        explanation(*loss, origin.as_deref(), last.as_ref())
    )]
    Diverged {
        /// The loss: NaN or an infinity, unless it is a gradient that is one.
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
    /// A folder for a run holds something else, which a run would bury or overwrite.
    #[error("{}: is not empty and holds no earlier run; choose another folder", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// There is no run to go on with.
    #[error("{}: holds no run to go on with; name the folder of one", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A run's folder cannot be made where a file is.
    #[error("{}: is a file; choose another name for the run's folder", path.display())]
    FileInTheWay {
        /// The file.
        path: PathBuf,
    },
    /// A line of a log of the flow is none.
    #[error("{}: line {line}: {}; the log is damaged", path.display(), told(reason))]
    Flow {
        /// The log.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A line of a log of the flow is of a version that came later than this program.
    #[error(
        "{}: line {line}: of version {version}, and this program reads versions up to {known}; a newer one \
         can read it",
        path.display()
    )]
    LaterFlow {
        /// The log.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Its version.
        version: u32,
        /// The last version that is known.
        known: u32,
    },
    /// A log is not the one that a checkpoint knows: shorter, or with other lines.
    #[error(
        "{}: is not the log that the checkpoint was made with, so that lines of the run are lost; put it back, or begin \
         the run again",
        path.display()
    )]
    OtherLog {
        /// The log.
        path: PathBuf,
    },
    /// A checkpoint is of a run with other data, or one that nobody looked at.
    #[error("the checkpoint is of another run: {}", told(.0))]
    OtherRun(String),
    /// A file of the run cannot be written or read, or is not what it should be.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a loss became what it is.
fn explanation(loss: f64, origin: Option<&NonFinite>, last: Option<&StepRecord>) -> String {
    let mut text = origin.map_or_else(
        || {
            if loss.is_finite() {
                // Found by the step and not by its replay, which takes the batch whole and where the weights
                // are.
                format!(
                    "the loss is {loss}, but the gradient of a part of the batch, or for sam the loss uphill, is not \
                     finite, where the whole batch here shows no such number; try a lower learning rate, or for sam a \
                     smaller rho"
                )
            } else {
                format!("the loss was {loss}; try a lower learning rate or clipping by norm")
            }
        },
        ToString::to_string,
    );
    if let Some(StepRecord { step, loss, learning_rate, gradient_norm, .. }) = last {
        let is_in_weights = matches!(origin, Some(NonFinite { origin: Origin::Parameter { .. }, .. }));
        let since =
            if is_in_weights { "it is so since the update of" } else { "the last update was that of" };
        let [loss, norm, rate] = [loss, gradient_norm, learning_rate].map(|&figure| number(figure));
        text += &format!("; {since} step {step} (loss {loss}, gradient norm {norm}, learning rate {rate})");
    }
    text
}
