//! Why a file could not be written or read.

use backflow_tensor::quote::told;
use std::io;
use std::path::PathBuf;

/// Why the saving or loading of a file failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
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
    #[error("{}: not a valid safetensors file: {}", path.display(), told(reason))]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of weights belongs to another model.
    #[error("{}: does not fit the model: {}; the model is unchanged", path.display(), told(reason))]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// Where the two differ.
        reason: String,
    },
    /// A file of an optimizer's state is damaged, or is none.
    #[error("{}: not a valid optimizer state: {}", path.display(), told(reason))]
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
