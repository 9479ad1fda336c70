//! The folder of a comparison: `compare.json` and `compare.html`, whole at any time.
//!
//! Both are written anew after every run, so that nothing finished is lost, whatever ends the program, and not before the
//! first, so that an earlier comparison is there until there is something in its place. That the folder can be written is
//! tried out at once, with a file that does not stay.

use super::page;
use super::report::Report;
use super::verdict;
use crate::failure::Failure;
use crate::setup::Setup;
use backflow_train::{RunFolder, atomic};
use std::path::{Path, PathBuf};

const JSON: &str = "compare.json";
const PAGE: &str = "compare.html";
const TRIAL: &str = "compare.trial";

pub(crate) struct Folder {
    path: PathBuf,
    /// Whether it was not there before.
    is_new: bool,
}

impl Folder {
    /// Makes the folder, or takes over that of an earlier comparison, whose files stay until the first [`save`](Self::save).
    pub(crate) fn create(path: PathBuf) -> Result<Self, Failure> {
        let is_new = !path.exists();
        if path.is_file() {
            let message = "is a file; choose another name for the folder of the comparison";
            return Err(Failure::Run(format!("{}: {message}", path.display())));
        }
        std::fs::create_dir_all(&path).map_err(|error| failed(&path, &error))?;
        let is_empty = std::fs::read_dir(&path).map_err(|error| failed(&path, &error))?.next().is_none();
        if !is_empty && !path.join(JSON).is_file() {
            let message = "is not empty and holds no earlier comparison; choose another folder";
            return Err(Failure::Run(format!("{}: {message}", path.display())));
        }
        let trial = path.join(TRIAL);
        atomic::write(&trial, b"")
            .and_then(|()| std::fs::remove_file(&trial))
            .map_err(|error| failed(&path, &error))?;
        Ok(Self { path, is_new })
    }

    /// Leaves no empty folder behind if nothing was saved.
    pub(crate) fn leave(&self) {
        if self.is_new {
            // Only an empty folder can be removed, and one that stays does no harm.
            let _ = std::fs::remove_dir(&self.path);
        }
    }

    /// Writes what is known so far.
    pub(crate) fn save(&self, report: &Report) -> Result<(), Failure> {
        let notes = verdict::notes(report);
        let json = serde_json::to_vec(&report.json(&notes));
        let mut json = json.map_err(|error| Failure::Run(error.to_string()))?;
        json.push(b'\n');
        for (name, bytes) in [(JSON, json), (PAGE, page::html(report, &notes).into_bytes())] {
            let path = self.path.join(name);
            atomic::write(&path, &bytes).map_err(|error| failed(&path, &error))?;
        }
        Ok(())
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Run(format!("{}: cannot be written: {error}", path.display()))
}

/// A name in `runs/` that is not taken, and says what was compared on.
pub(crate) fn free_name(setup: &Setup, sizes: &[usize]) -> PathBuf {
    RunFolder::free_name(Path::new("runs"), &format!("compare-{}", setup.name(sizes)))
}

/// The page in this folder.
pub(crate) fn page_in(folder: &str) -> String {
    Path::new(folder).join(PAGE).display().to_string()
}
