//! The folder of an experiment: its files are whole at any time, whatever ends the program.

use crate::failure::Failure;
use backflow_train::atomic;
use std::path::{Path, PathBuf};

/// What is written and removed at the start, to fail then and not after hours.
const TRIAL: &str = "trial";

pub(crate) struct ResultFolder {
    path: PathBuf,
    /// Whether it was not there before.
    is_new: bool,
}

impl ResultFolder {
    /// Makes the folder, or takes over that of an earlier experiment of the same kind (`comparison`), which is known by a file (`mark`).
    pub(crate) fn create(path: PathBuf, kind: &str, mark: &str) -> Result<Self, Failure> {
        let is_new = !path.exists();
        if path.is_file() {
            let message = format!("is a file; choose another name for the folder of the {kind}");
            return Err(Failure::Run(format!("{}: {message}", path.display())));
        }
        std::fs::create_dir_all(&path).map_err(|error| failed(&path, &error))?;
        let is_empty = std::fs::read_dir(&path).map_err(|error| failed(&path, &error))?.next().is_none();
        if !is_empty && !path.join(mark).is_file() {
            let message = format!("is not empty and holds no earlier {kind}; choose another folder");
            return Err(Failure::Run(format!("{}: {message}", path.display())));
        }
        let trial = path.join(TRIAL);
        atomic::write(&trial, b"")
            .and_then(|()| std::fs::remove_file(&trial))
            .map_err(|error| failed(&path, &error))?;
        Ok(Self { path, is_new })
    }

    /// Leaves no empty folder behind if nothing was written.
    pub(crate) fn leave(&self) {
        if self.is_new {
            // Only an empty folder can be removed, and one that stays does no harm.
            let _ = std::fs::remove_dir(&self.path);
        }
    }

    /// Replaces a file in it, at once.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path.join(name);
        atomic::write(&path, bytes).map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Run(format!("{}: cannot be written: {error}", path.display()))
}
