//! The folder of a comparison: `compare.json` and `compare.html`, whole at any time.
//!
//! Both are written anew after every run, so that nothing finished is lost, whatever ends the program, and not before the
//! first, so that an earlier comparison is there until there is something in its place. That the folder can be written is
//! tried out at once, with a file that does not stay.

use super::page;
use super::report::Report;
use super::verdict;
use crate::failure::Failure;
use crate::results::ResultFolder;
use crate::setup::Setup;
use backflow_train::RunFolder;
use std::path::{Path, PathBuf};

const JSON: &str = "compare.json";
const PAGE: &str = "compare.html";

pub(crate) struct Folder(ResultFolder);

impl Folder {
    /// Makes the folder, or takes over that of an earlier comparison, whose files stay until the first [`save`](Self::save).
    pub(crate) fn create(path: PathBuf) -> Result<Self, Failure> {
        ResultFolder::create(path, "comparison", JSON).map(Self)
    }

    /// Leaves no empty folder behind if nothing was saved.
    pub(crate) fn leave(&self) {
        self.0.leave();
    }

    /// Writes what is known so far.
    pub(crate) fn save(&self, report: &Report) -> Result<(), Failure> {
        let notes = verdict::notes(report);
        let json = serde_json::to_vec(&report.json(&notes));
        let mut json = json.map_err(|error| Failure::Run(error.to_string()))?;
        json.push(b'\n');
        self.0.write(JSON, &json)?;
        self.0.write(PAGE, page::html(report, &notes).as_bytes())
    }
}

/// A name in `runs/` that is not taken, and says what was compared on.
pub(crate) fn free_name(setup: &Setup, sizes: &[usize]) -> PathBuf {
    RunFolder::free_name(Path::new("runs"), &format!("compare-{}", setup.name(sizes)))
}

/// The page in this folder.
pub(crate) fn page_in(folder: &str) -> String {
    Path::new(folder).join(PAGE).display().to_string()
}
