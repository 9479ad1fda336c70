//! The folder that a run leaves behind.
//!
//! ```text
//! runs/NAME/
//!   config.json          what was asked for
//!   metrics.jsonl        one line per step, appended and flushed: readable while the run goes on
//!   model.safetensors    the final weights
//!   flow.jsonl.gz        what was measured in the layers: one line per step that was looked at, with its version
//!   report.html          the same as a page
//!   summary.json         the results; this file and the weights are there only once the run has succeeded
//!   earlier-run/         of a run that this one replaces, all of these files, until this one has ended
//! ```

use crate::error::TrainError;
use crate::flow_log::{self, FlowLog};
use crate::records::{EpochRecord, StepRecord};
use crate::trainer::Listener;
use backflow_probe::FlowStep;
use backflow_store::{StoreError, atomic, regular, weights};
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
const FLOW: &str = "flow.jsonl.gz";
/// As it was called while it was not compressed.
const EARLIER_FLOW: &str = "flow.jsonl";
const REPORT: &str = "report.html";
/// All that a run leaves behind, in the order in which files are moved and removed: the weights last, by which is told
/// which of that was cut short.
const FILES: [&str; 7] = [CONFIG, METRICS, SUMMARY, FLOW, EARLIER_FLOW, REPORT, MODEL];
const EARLIER_RUN: &str = "earlier-run";

/// How many bytes of a name a folder has at most, beside digits: file systems take 255, and paths have ends too.
const LONGEST_NAME: usize = 100;

/// A run's folder, with its log open. As a [`Listener`] it writes the log.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
}

impl RunFolder {
    /// Prepares `path` for a run: makes the folder, writes `config`, empties the log. An earlier run in this
    /// folder is replaced; one with weights is moved into the folder `earlier-run` first, so that its results never
    /// stand beside a configuration that is not theirs, and stays there until this run has ended by itself, with
    /// weights and [summary](Self::save_summary). Of one that ended and a later one that did not, the first stays.
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
        // Where a move was cut short, some files are there already.
        let is_there = |name: &&str| {
            [path.join(name), path.join(EARLIER_RUN).join(name)].iter().any(|file| file.is_file())
        };
        if !is_empty && ![CONFIG, METRICS].iter().all(is_there) {
            return Err(TrainError::NotARun { path: path.to_owned() });
        }
        set_aside(path)?;
        let config_path = path.join(CONFIG);
        write_json(&config_path, config)?;
        let metrics_path = path.join(METRICS);
        let mut options = OpenOptions::new();
        let metrics = options.write(true).create(true).truncate(true).open(&metrics_path);
        Ok(Self { path: path.to_owned(), metrics: metrics.map_err(|source| failed(&metrics_path, source))? })
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
            remove_earlier(&self.path);
        }
        Ok(())
    }

    /// Appends one line to the log, in one write, so that a reader never sees half of it.
    fn append(&mut self, record: &impl Serialize) -> Result<(), TrainError> {
        let failed = |source| StoreError::Write { path: self.path.join(METRICS), source };
        let mut line = serde_json::to_vec(record).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        Ok(self.metrics.write_all(&line).and_then(|()| self.metrics.flush()).map_err(failed)?)
    }
}

/// Moves an earlier run with weights into a folder of its own, or goes on where that was cut short: the weights are the
/// last to be moved, so those of one run are never at both places. What a run without weights has left goes, and
/// whatever was set aside before it stays.
fn set_aside(path: &Path) -> Result<(), TrainError> {
    let earlier = path.join(EARLIER_RUN);
    let has = |folder: &Path, name| folder.join(name).is_file();
    let are_two = has(path, MODEL) && has(&earlier, MODEL);
    if !has(path, MODEL) || (are_two && has(&earlier, SUMMARY) && !has(path, SUMMARY)) {
        return FILES.iter().try_for_each(|name| remove(&path.join(name)));
    }
    if are_two {
        remove_earlier(path);
    }
    let failed = |source| StoreError::Write { path: earlier.clone(), source };
    std::fs::create_dir_all(&earlier).map_err(failed)?;
    for name in FILES.iter().filter(|name| path.join(name).exists()) {
        atomic::relocate(&path.join(name), &earlier.join(name)).map_err(failed)?;
    }
    Ok(())
}

/// Removes the run that was set aside, if there is one. What cannot be removed does no harm.
fn remove_earlier(path: &Path) {
    let earlier = path.join(EARLIER_RUN);
    for name in FILES {
        let _ = std::fs::remove_file(earlier.join(name));
    }
    let _ = std::fs::remove_dir(earlier);
}

/// Removes a file that may be there.
fn remove(path: &Path) -> Result<(), TrainError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::Write { path: path.to_owned(), source }.into())
        }
        _ => Ok(()),
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
