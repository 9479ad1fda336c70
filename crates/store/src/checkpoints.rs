//! [`Checkpoints`]: the checkpoints of a run in a folder, the newest few of them.
//!
//! ```text
//! limits → temporary file → write → sync → rename to the step's own name → sync of the folder → only then: remove older ones
//! ```
//!
//! No checkpoint is ever written over another step's, and none is removed before a newer one is safe, so that after a
//! crash, a full disk or a power cut at any moment there is one that loads. One that is damaged is passed over and told,
//! never removed.

use crate::atomic;
use crate::checkpoint::Checkpoint;
use crate::disk::{Disk, System};
use crate::error::StoreError;
use std::path::{Path, PathBuf};

#[cfg(test)]
mod faults;

/// Which checkpoints a folder has.
///
/// ```
/// use backflow_store::{Checkpoint, Checkpoints};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("checkpoints");
/// let checkpoints = Checkpoints::new(folder).keep(2);
/// assert!(checkpoints.newest()?.checkpoint.is_none());
/// for step in [10, 20, 30] {
///     checkpoints.save(&Checkpoint::new(step), None)?;
/// }
/// assert_eq!(checkpoints.steps()?, [20, 30]);
/// assert_eq!(checkpoints.newest()?.checkpoint.unwrap().step(), 30);
/// # Ok::<(), backflow_store::StoreError>(())
/// # .map_err(Box::<dyn std::error::Error>::from)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    folder: PathBuf,
    keep: usize,
}

/// The newest checkpoint of a folder that can be read.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Newest {
    /// The checkpoint, if there is one.
    pub checkpoint: Option<Checkpoint>,
    /// Newer ones that were passed over, newest first, each with the reason.
    pub skipped: Vec<StoreError>,
}

impl Checkpoints {
    /// Those in this folder, which need not be there yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), keep: 3 }
    }

    /// How many to keep, one at least; 3 unless set. A file system or a disk may lose one.
    #[must_use]
    pub fn keep(self, keep: usize) -> Self {
        Self { keep: keep.max(1), ..self }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a checkpoint under the name of its step, and then removes those that are older than the newest few up to
    /// this step; that of the step `best` stays. What could not be removed is answered: it does no harm.
    ///
    /// # Errors
    /// If the checkpoint cannot be written. Earlier ones are then still there.
    pub fn save(&self, checkpoint: &Checkpoint, best: Option<u64>) -> Result<Vec<StoreError>, StoreError> {
        let failed = |source| StoreError::Write { path: self.folder.clone(), source };
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        self.save_on(&System, checkpoint, best)
    }

    pub(crate) fn save_on<D: Disk>(
        &self,
        disk: &D,
        checkpoint: &Checkpoint,
        best: Option<u64>,
    ) -> Result<Vec<StoreError>, StoreError> {
        let path = self.path(checkpoint.step());
        let failed = |path: &Path, source| StoreError::Write { path: path.to_owned(), source };
        checkpoint.save_on(disk, &path).map_err(|source| failed(&path, source))?;
        let mut older = match self.steps_on(disk) {
            Ok(steps) => steps,
            Err(error) => return Ok(vec![error]),
        };
        // What is newer was passed over when this run began, or is another's: it does not count.
        older.retain(|step| *step <= checkpoint.step());
        older.truncate(older.len().saturating_sub(self.keep));
        let removed = older.into_iter().filter(|step| Some(*step) != best).map(|step| {
            let path = self.path(step);
            disk.remove(&path).map_err(|source| failed(&path, source))
        });
        Ok(removed.filter_map(Result::err).collect())
    }

    /// The newest checkpoint that can be read.
    ///
    /// # Errors
    /// If the folder cannot be read; of checkpoints that cannot, the answer [tells](Newest::skipped).
    pub fn newest(&self) -> Result<Newest, StoreError> {
        let mut newest = Newest::default();
        for step in self.steps()?.into_iter().rev() {
            let path = self.path(step);
            match Checkpoint::load(&path) {
                Ok(checkpoint) if checkpoint.step() == step => {
                    newest.checkpoint = Some(checkpoint);
                    break;
                }
                Ok(other) => newest.skipped.push(StoreError::Checkpoint {
                    path,
                    reason: format!("it is of step {}, and its name is another's", other.step()),
                }),
                Err(error) => newest.skipped.push(error),
            }
        }
        Ok(newest)
    }

    /// The steps of which there is a file, from old to new.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>, StoreError> {
        self.steps_on(&System)
    }

    fn steps_on<D: Disk>(&self, disk: &D) -> Result<Vec<u64>, StoreError> {
        let failed = |source| StoreError::Read { path: self.folder.clone(), source };
        let names = disk.names(&self.folder).map_err(failed)?;
        let mut steps: Vec<u64> = names.iter().filter_map(|name| step_of(name)).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Removes what a program that was killed while it wrote has left. Nobody else may be writing.
    pub fn remove_leftovers(&self) {
        atomic::remove_leftovers(&self.folder);
    }

    /// Removes all checkpoints, of a run that nobody wants to go on with. What cannot be removed does no harm.
    pub fn remove_all(&self) {
        for step in self.steps().unwrap_or_default() {
            let _ = System.remove(&self.path(step));
        }
    }

    fn path(&self, step: u64) -> PathBuf {
        self.folder.join(name_of(step))
    }
}

/// Names that sort as their steps do.
fn name_of(step: u64) -> String {
    format!("step-{step:012}.ckpt")
}

fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.strip_suffix(".ckpt")?.parse().ok()?;
    (name_of(step) == name).then_some(step)
}
