//! What can go wrong in a training run, apart from mistakes in the program.

use std::io;
use std::path::PathBuf;

/// Why a run, or the saving or loading of its results, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The loss is no longer a number.
    #[error(
        "the training diverged: the loss was {loss} at step {step} (epoch {epoch}); \
         try a lower learning rate or clipping by norm"
    )]
    Diverged {
        /// The loss: NaN or an infinity.
        loss: f64,
        /// The step, counted from 1 over all epochs.
        step: u64,
        /// The epoch, counted from 1.
        epoch: u64,
    },
    /// A file or folder of the run cannot be written.
    #[error("{}: cannot be written: {source}; the weights of the run are not saved", path.display())]
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
