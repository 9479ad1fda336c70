//! Why a file could not be written or read.

use crate::weights::Difference;
use backflow_tensor::quote::{quoted, told};
use std::io;
use std::path::{Path, PathBuf};

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
    /// A file of weights is what `torch.save` writes: a pickle, a program for Python to run.
    #[error("{}: {}", path.display(), pickle(path))]
    Pickle {
        /// The file.
        path: PathBuf,
    },
    /// A file of weights belongs to another model.
    #[error("{}: does not fit the model: {difference}; the model is unchanged", path.display())]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// Where the two differ.
        difference: Box<Difference>,
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
    /// A checkpoint is damaged, or is none.
    #[error("{}: not a valid checkpoint: {}", path.display(), told(reason))]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A section of a checkpoint is not what was expected.
    #[error("{}: section {}: {}", path.display(), quoted(name), told(reason))]
    Section {
        /// The file.
        path: PathBuf,
        /// The name of the section.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else is working in a folder.
    #[error("{}: {holder} is working in it; wait until that has ended, or choose another folder", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// Who: `process 4711`.
        holder: String,
    },
}

/// What such a file is, and the line of Python that makes a safetensors file of it.
fn pickle(path: &Path) -> String {
    let name = path.file_name().map_or("model.pt".into(), |name| name.to_string_lossy());
    let stem = path.file_stem().map_or("model".into(), |stem| stem.to_string_lossy());
    let [name, stem] = [quoted(&name), quoted(&stem)];
    format!(
        "a pickle, as torch.save writes it, which only Python reads; this makes a safetensors file of a state dict: \
         import torch, safetensors.torch as s; s.save_file({{k: v.contiguous().clone() for k, v in \
         torch.load({name:?}, weights_only=True).items()}}, \"{stem}.safetensors\")"
    )
}
