//! The folder of a comparison: `compare.json` and `compare.html`, whole at any time.
//!
//! Both are written before the first run, so that a folder that cannot be written is known at once, and anew after every
//! run, so that nothing finished is lost, whatever ends the program.

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
    /// Makes the folder, or takes over that of an earlier comparison, and writes the report of nothing.
    pub(crate) fn create(path: PathBuf, report: &Report) -> Result<Self, Failure> {
        let folder = Self(ResultFolder::create(path, "comparison", JSON)?);
        folder.save(report)?;
        Ok(folder)
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
