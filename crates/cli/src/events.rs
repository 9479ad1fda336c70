//! A run in TensorBoard: an event file in a folder of the run's name, so that a second run stands beside the
//! first.

use crate::failure::Failure;
use backflow_probe::FlowStep;
use backflow_report::tensorboard::EventFile;
use backflow_store::StoreError;
use backflow_train::{EpochRecord, Listener, RunFolder, StepRecord, TrainError};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The file that `inspect` makes of a run.
const OF_INSPECT: &str = "events.out.tfevents.0000000000.backflow";

/// What a run is called in TensorBoard: as its folder, which may be given as `.`.
pub(crate) fn name(run: &Path) -> String {
    let name =
        std::path::absolute(run).ok().and_then(|run| Some(run.file_name()?.to_string_lossy().into_owned()));
    name.unwrap_or_else(|| "run".to_owned())
}

/// A run's folder in TensorBoard's: of this name, or with a number where another has it, for what is in one folder
/// is one run to TensorBoard.
fn folder_in(folder: &Path, name: &str) -> PathBuf {
    RunFolder::free_name(folder, name)
}

/// The path of the file that `inspect` makes of a run of this name; where it made one before, that.
pub(crate) fn path_of_inspect(folder: &Path, name: &str) -> PathBuf {
    let earlier = folder.join(name).join(OF_INSPECT);
    if earlier.is_file() { earlier } else { folder_in(folder, name).join(OF_INSPECT) }
}

/// Makes the folder that a file is to be in.
pub(crate) fn make_parent(path: &Path) -> Result<(), Failure> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let failed = |source| StoreError::Write { path: parent.to_owned(), source };
    Ok(std::fs::create_dir_all(parent).map_err(failed)?)
}

/// An event file that grows while a training goes on, with the times at which things happen.
pub(crate) struct Events {
    path: PathBuf,
    file: File,
    events: EventFile,
    step: u64,
}

impl Events {
    /// Begins the file of the run in this folder of TensorBoard's.
    pub(crate) fn begin(folder: &Path, run: &Path) -> Result<Self, Failure> {
        let now = now();
        let path =
            folder_in(folder, &name(run)).join(format!("events.out.tfevents.{:010}.backflow", now as u64));
        make_parent(&path)?;
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let file = file.map_err(|source| StoreError::Write { path: path.clone(), source })?;
        Ok(Self { path, file, events: EventFile::new(now), step: 0 })
    }

    fn flush(&mut self) -> Result<(), TrainError> {
        let bytes = self.events.take_bytes();
        let failed = |source| StoreError::Write { path: self.path.clone(), source };
        Ok(self.file.write_all(&bytes).and_then(|()| self.file.flush()).map_err(failed)?)
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "TensorBoard shows when things happened; no result depends on it"
)]
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

impl Listener for Events {
    fn step(&mut self, record: &StepRecord, _: u64) -> Result<(), TrainError> {
        self.step = record.step;
        Ok(())
    }

    fn looked(&mut self, flow: &FlowStep) -> Result<(), TrainError> {
        self.events.flow(now(), flow);
        self.flush()
    }

    fn epoch(&mut self, record: &EpochRecord) -> Result<(), TrainError> {
        self.events.epoch(now(), self.step, record);
        self.flush()
    }
}
