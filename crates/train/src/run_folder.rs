//! The folder that a run leaves behind.
//!
//! ```text
//! runs/NAME/
//!   config.json          what was asked for
//!   metrics.jsonl        one line per step, appended and flushed: readable while the run goes on
//!   model.safetensors    the final weights
//!   flow.jsonl           what was measured in the layers: one line per step that was looked at, with its version
//!   report.html          the same as a page
//!   summary.json         the results; this file and the weights are there only once the run has succeeded
//! ```

use crate::error::TrainError;
use crate::flow_log::{self, LineError};
use crate::records::{EpochRecord, StepRecord};
use crate::trainer::Listener;
use backflow_probe::FlowStep;
use backflow_store::{StoreError, atomic, weights};
use backflow_tensor::Module;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.json";
const METRICS: &str = "metrics.jsonl";
const MODEL: &str = "model.safetensors";
const SUMMARY: &str = "summary.json";
const FLOW: &str = "flow.jsonl";
const REPORT: &str = "report.html";

/// A run's folder, with its log open. As a [`Listener`] it writes the log.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
}

impl RunFolder {
    /// Prepares `path` for a run: makes the folder, writes `config`, empties the log. An earlier run in this
    /// folder is replaced; its results go first, so that they never stand beside a configuration that is not
    /// theirs.
    ///
    /// # Errors
    /// If the folder holds anything but an earlier run, or if it or a file in it cannot be written.
    pub fn create(path: &Path, config: &impl Serialize) -> Result<Self, TrainError> {
        let failed = |path: &Path, source| StoreError::Write { path: path.to_owned(), source };
        if path.is_file() {
            return Err(TrainError::FileInTheWay { path: path.to_owned() });
        }
        std::fs::create_dir_all(path).map_err(|source| failed(path, source))?;
        let is_empty = std::fs::read_dir(path).map_err(|source| failed(path, source))?.next().is_none();
        if !is_empty && ![CONFIG, METRICS].iter().all(|name| path.join(name).is_file()) {
            return Err(TrainError::NotARun { path: path.to_owned() });
        }
        for result in [MODEL, SUMMARY, FLOW, REPORT].map(|name| path.join(name)) {
            match std::fs::remove_file(&result) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(&result, source).into());
                }
                _ => {}
            }
        }
        let config_path = path.join(CONFIG);
        write_json(&config_path, config)?;
        let metrics_path = path.join(METRICS);
        let mut options = OpenOptions::new();
        let metrics = options.write(true).create(true).truncate(true).open(&metrics_path);
        Ok(Self { path: path.to_owned(), metrics: metrics.map_err(|source| failed(&metrics_path, source))? })
    }

    /// The first of `NAME`, `NAME-2`, `NAME-3`, … that does not exist in `parent`.
    #[must_use]
    pub fn free_name(parent: &Path, name: &str) -> PathBuf {
        let numbered = (2_u64..).map(|number| parent.join(format!("{name}-{number}")));
        let mut names = std::iter::once(parent.join(name)).chain(numbered);
        names.find(|path| !path.exists()).unwrap_or_else(|| parent.join(name))
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
        Ok(weights::save(model, &self.path.join(MODEL))?)
    }

    /// Saves what was measured in the layers, and the page that shows it.
    ///
    /// The log has a record a line, and each line says the version of its format, as
    /// `{"version":2,"step":1,…}`, so that it can be read wherever logs are cut and joined. Lines without one
    /// are of version 1.
    ///
    /// # Errors
    /// If one of the files cannot be written.
    pub fn save_flow(&self, flow: &[FlowStep], page: &str) -> Result<(), TrainError> {
        let (log, report) = (self.path.join(FLOW), self.path.join(REPORT));
        let failed = |path: &Path, source| StoreError::Write { path: path.to_owned(), source };
        let mut lines = Vec::new();
        for step in flow {
            flow_log::write(&mut lines, step).map_err(|error| failed(&log, error.into()))?;
        }
        atomic::write(&log, &lines).map_err(|source| failed(&log, source))?;
        Ok(atomic::write(&report, page.as_bytes()).map_err(|source| failed(&report, source))?)
    }

    /// Reads what was measured in the layers of the run in `path`, by this version of Backflow or an earlier
    /// one.
    ///
    /// # Errors
    /// If the log cannot be read, or a line of it is not a record, or one of a [later
    /// version](TrainError::LaterFlow).
    pub fn read_flow(path: &Path) -> Result<Vec<FlowStep>, TrainError> {
        let log = path.join(FLOW);
        let text =
            std::fs::read_to_string(&log).map_err(|source| StoreError::Read { path: log.clone(), source })?;
        let record = |(index, line): (usize, &str)| {
            let (path, number) = (log.clone(), index + 1);
            flow_log::read(line).map_err(|error| match error {
                LineError::Later(version) => {
                    TrainError::LaterFlow { path, line: number, version, known: flow_log::VERSION }
                }
                LineError::Invalid(error) => {
                    TrainError::Flow { path, line: number, reason: error.to_string() }
                }
            })
        };
        text.lines().enumerate().map(record).collect()
    }

    /// Reads what was asked for in the run in `path`. `None` if that is not there, or is not of this shape: a
    /// program writes what it likes.
    #[must_use]
    pub fn read_config<T: DeserializeOwned>(path: &Path) -> Option<T> {
        let text = std::fs::read_to_string(path.join(CONFIG)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Saves the results of the run.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn save_summary(&self, summary: &impl Serialize) -> Result<(), TrainError> {
        write_json(&self.path.join(SUMMARY), summary)
    }

    /// Appends one line to the log, in one write, so that a reader never sees half of it.
    fn append(&mut self, record: &impl Serialize) -> Result<(), TrainError> {
        let failed = |source| StoreError::Write { path: self.path.join(METRICS), source };
        let mut line = serde_json::to_vec(record).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        Ok(self.metrics.write_all(&line).and_then(|()| self.metrics.flush()).map_err(failed)?)
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
        self.append(record)
    }

    fn epoch(&mut self, _: &EpochRecord) -> Result<(), TrainError> {
        Ok(())
    }
}
