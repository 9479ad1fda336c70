//! The folder that a run leaves behind.
//!
//! ```text
//! runs/NAME/
//!   config.json          what was asked for
//!   metrics.jsonl        one line per step, appended and flushed: readable while the run goes on
//!   model.safetensors    the final weights
//!   flow.jsonl.gz        what was measured in the layers: one line per step that was looked at, with its version
//!   report.html          the same as a page
//!   summary.json         the results; this file is there only once the run has succeeded
//!   checkpoints/         step-000000000500.ckpt, …: the newest few, of a run that was to make some or was cut
//!   earlier-run/         of a run that this one replaces, all of these files, until this one has ended
//!   .lock                who is working in the folder
//! ```

use crate::error::TrainError;
use crate::flow_log::{self, FlowLog};
use crate::logs::{Logs, Mark};
use crate::records::{EpochRecord, StepRecord};
use crate::trainer::Listener;
use backflow_probe::FlowStep;
use backflow_store::lock::Lock;
use backflow_store::{Checkpoint, Checkpoints, Newest, StoreError, atomic, regular, weights};
use backflow_tensor::Module;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

mod earlier;

const CONFIG: &str = "config.json";
const METRICS: &str = "metrics.jsonl";
const MODEL: &str = "model.safetensors";
const SUMMARY: &str = "summary.json";
const FLOW: &str = "flow.jsonl.gz";
/// As it was called while it was not compressed.
const EARLIER_FLOW: &str = "flow.jsonl";
const REPORT: &str = "report.html";
/// All that a run leaves behind, in the order in which files are moved and removed: the weights last, by which is told
/// which of that was cut short.
const FILES: [&str; 7] = [CONFIG, METRICS, SUMMARY, FLOW, EARLIER_FLOW, REPORT, MODEL];
const CHECKPOINTS: &str = "checkpoints";
const LOCK: &str = ".lock";
/// The section of a checkpoint that says how far the logs had come.
const LOGS: &str = "logs";

/// How many bytes of a name a folder has at most, beside digits: file systems take 255, and paths have ends too.
const LONGEST_NAME: usize = 100;

/// A run's folder, with its logs open. As a [`Listener`] it writes them. No other process works in it meanwhile.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    logs: Logs,
    checkpoints: Checkpoints,
    _lock: Lock,
}

/// A run that was cut, and can go on. No other process works in its folder meanwhile, and nothing there was touched yet.
#[derive(Debug)]
pub struct CutRun {
    checkpoint: Checkpoint,
    skipped: Vec<StoreError>,
    path: PathBuf,
    checkpoints: Checkpoints,
    lock: Lock,
}

impl CutRun {
    /// What it had come to: the newest checkpoint that can be read.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Newer checkpoints that cannot be read, each with the reason.
    #[must_use]
    pub fn skipped(&self) -> &[StoreError] {
        &self.skipped
    }

    /// Goes on: cuts the logs to what the checkpoint knows of them, and says anew what was asked for. The run no longer
    /// counts as one that has ended. Answers what was measured in the layers up to there, too.
    ///
    /// # Errors
    /// If the logs are others than those of the checkpoint, or a file cannot be written.
    pub fn go_on(self, config: &impl Serialize) -> Result<(RunFolder, Vec<FlowStep>), TrainError> {
        let Self { checkpoint, path, checkpoints, lock, .. } = self;
        atomic::remove_leftovers(&path);
        checkpoints.remove_leftovers();
        let mark: Mark = serde_json::from_slice(checkpoint.get(LOGS)?).map_err(|error| {
            let reason = format!("its section {LOGS}: {error}");
            StoreError::Checkpoint { path: checkpoint.path().to_owned(), reason }
        })?;
        let logs = Logs::known(path.join(METRICS), path.join(FLOW), mark)?;
        earlier::remove(&path.join(SUMMARY))?;
        let (logs, flow) = logs.cut()?;
        write_json(&path.join(CONFIG), config)?;
        Ok((RunFolder { path, logs, checkpoints, _lock: lock }, flow))
    }
}

impl RunFolder {
    /// Prepares `path` for a run: makes the folder, writes `config`, empties the logs. An earlier run in this
    /// folder is replaced; one with weights, final ones or those of a checkpoint, is moved into the folder `earlier-run`
    /// first (`earlier-run-2`, … where that is taken), so that its results never stand beside a configuration that is not
    /// theirs, and stays there until this run has ended by itself, with weights and [summary](Self::save_summary).
    ///
    /// # Errors
    /// If the folder holds anything but an earlier run, if another process is working in it, or if it or a file in it
    /// cannot be written.
    pub fn create(path: &Path, config: &impl Serialize) -> Result<Self, TrainError> {
        if path.is_file() {
            return Err(TrainError::FileInTheWay { path: path.to_owned() });
        }
        let failed = |source| StoreError::Write { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(failed)?;
        // First: a folder that is something else gets no lock.
        if !earlier::may_begin_in(path)? {
            return Err(TrainError::NotARun { path: path.to_owned() });
        }
        let lock = Lock::take(&path.join(LOCK))?;
        atomic::remove_leftovers(path);
        earlier::set_aside(path)?;
        let checkpoints = Checkpoints::new(path.join(CHECKPOINTS));
        checkpoints.remove_leftovers();
        write_json(&path.join(CONFIG), config)?;
        let logs = Logs::begin(path.join(METRICS), path.join(FLOW))?;
        Ok(Self { path: path.to_owned(), logs, checkpoints, _lock: lock })
    }

    /// The run in `path`, to go on from its newest checkpoint that can be read. `None` if there is no checkpoint.
    ///
    /// # Errors
    /// If there is no run, if another process is working in the folder, or if no checkpoint can be read.
    pub fn resume(path: &Path) -> Result<Option<CutRun>, TrainError> {
        if !path.join(CONFIG).is_file() {
            return Err(TrainError::NoRun { path: path.to_owned() });
        }
        let lock = Lock::take(&path.join(LOCK))?;
        let checkpoints = Checkpoints::new(path.join(CHECKPOINTS));
        let Newest { checkpoint, mut skipped, .. } = checkpoints.newest()?;
        let Some(checkpoint) = checkpoint else {
            return if skipped.is_empty() { Ok(None) } else { Err(skipped.remove(0).into()) };
        };
        Ok(Some(CutRun { checkpoint, skipped, path: path.to_owned(), checkpoints, lock }))
    }

    /// How many checkpoints to keep, 3 unless set.
    pub fn keep(&mut self, keep: usize) {
        self.checkpoints = self.checkpoints.clone().keep(keep);
    }

    /// Saves a checkpoint: syncs the logs, adds how far they are, and gives it its name only then. Older ones go but for
    /// the newest few, and that of the step `best`. Answers what could not be removed.
    ///
    /// # Errors
    /// If the logs or the checkpoint cannot be written. Earlier checkpoints are then still there.
    pub fn save_checkpoint(
        &mut self,
        mut checkpoint: Checkpoint,
        best: Option<u64>,
    ) -> Result<Vec<StoreError>, TrainError> {
        let mark = self.logs.sync()?;
        let failed =
            |error: serde_json::Error| StoreError::Write { path: self.path.clone(), source: error.into() };
        checkpoint.put(LOGS, serde_json::to_vec(&mark).map_err(failed)?);
        Ok(self.checkpoints.save(&checkpoint, best)?)
    }

    /// Whether there is a checkpoint.
    #[must_use]
    pub fn has_checkpoint(&self) -> bool {
        self.checkpoints.steps().is_ok_and(|steps| !steps.is_empty())
    }

    /// The first of `NAME`, `NAME-2`, `NAME-3`, … that does not exist in `parent`. Of a name that is too long
    /// for a file, it is the beginning and, so that others with the same beginning differ, eight digits that
    /// the whole name makes.
    #[must_use]
    pub fn free_name(parent: &Path, name: &str) -> PathBuf {
        let name = match name.len() {
            0..=LONGEST_NAME => name.to_owned(),
            _ => {
                let begin = &name[..name.floor_char_boundary(LONGEST_NAME)];
                format!("{begin}-{:08x}", crc32fast::hash(name.as_bytes()))
            }
        };
        let numbered = (2_u64..).map(|number| parent.join(format!("{name}-{number}")));
        let mut names = std::iter::once(parent.join(&name)).chain(numbered);
        names.find(|path| !path.exists()).unwrap_or_else(|| parent.join(&name))
    }

    /// Where the run is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Saves the final weights.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn save_model(&self, model: &(impl Module + ?Sized)) -> Result<(), TrainError> {
        Ok(weights::save(model, self.path.join(MODEL))?)
    }

    /// Saves what was measured in the layers, and the page that shows it.
    ///
    /// The log, compressed by gzip, has a record a line, and each line says the version of its format, as
    /// `{"version":2,"step":1,…}`, so that it can be read wherever logs are cut and joined. Lines without one
    /// are of version 1.
    ///
    /// # Errors
    /// If one of the files cannot be written.
    pub fn save_flow(&self, flow: &[FlowStep], page: &str) -> Result<(), TrainError> {
        let (log, report) = (self.path.join(FLOW), self.path.join(REPORT));
        let failed = |path: &Path, source| StoreError::Write { path: path.to_owned(), source };
        // The page is there also where there is no room for the log.
        let written = flow_log::packed(flow).and_then(|bytes| atomic::write(&log, &bytes));
        let written = written.map_err(|source| failed(&log, source));
        let page = atomic::write(&report, page.as_bytes()).map_err(|source| failed(&report, source));
        Ok(written.and(page)?)
    }

    /// Reads what was measured in the layers of the run in `path`, by this version of Backflow or an earlier
    /// one.
    ///
    /// # Errors
    /// If the log cannot be read, or a line of it is not a record, or one of a [later
    /// version](TrainError::LaterFlow).
    pub fn read_flow(path: &Path) -> Result<FlowLog, TrainError> {
        let earlier = path.join(EARLIER_FLOW);
        let is_earlier = earlier.exists() && !path.join(FLOW).exists();
        flow_log::read(&if is_earlier { earlier } else { path.join(FLOW) })
    }

    /// Reads what was asked for in the run in `path`. `None` if that is not there, or is not of this shape: a
    /// program writes what it likes.
    #[must_use]
    pub fn read_config<T: DeserializeOwned>(path: &Path) -> Option<T> {
        let text = regular::read_text(&path.join(CONFIG)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Reads the results of the run in `path`. `None` if they are not there, or are not of this shape: a program
    /// writes what it likes.
    #[must_use]
    pub fn read_summary<T: DeserializeOwned>(path: &Path) -> Option<T> {
        let text = regular::read_text(&path.join(SUMMARY)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Saves the results of a run that ended by itself. If its weights are there too, an earlier run goes.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn save_summary(&self, summary: &impl Serialize) -> Result<(), TrainError> {
        write_json(&self.path.join(SUMMARY), summary)?;
        if self.path.join(MODEL).is_file() {
            earlier::remove_earlier(&self.path);
        }
        Ok(())
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), TrainError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    let mut json = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    json.push(b'\n');
    Ok(atomic::write(path, &json).map_err(failed)?)
}

impl Listener for RunFolder {
    fn step(&mut self, record: &StepRecord, _: u64) -> Result<(), TrainError> {
        self.logs.step(record)
    }

    fn looked(&mut self, flow: &FlowStep) -> Result<(), TrainError> {
        self.logs.looked(flow)
    }

    fn epoch(&mut self, _: &EpochRecord) -> Result<(), TrainError> {
        Ok(())
    }
}
