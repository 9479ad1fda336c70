//! The folder of a study: `study.json` and `study.html`, written after each configuration.

use super::page;
use super::report::Report;
use super::words;
use crate::failure::Failure;
use crate::results::ResultFolder;
use backflow_train::RunFolder;
use std::path::{Path, PathBuf};

const JSON: &str = "study.json";
const PAGE: &str = "study.html";

pub(crate) struct Folder(ResultFolder);

impl Folder {
    /// Makes the folder, or takes over that of an earlier study, whose files stay until the first [`save`](Self::save).
    pub(crate) fn create(path: PathBuf) -> Result<Self, Failure> {
        ResultFolder::create(path, "study", JSON).map(Self)
    }

    /// Leaves no empty folder behind if nothing was saved.
    pub(crate) fn leave(&self) {
        self.0.leave();
    }

    /// Writes what is known so far.
    pub(crate) fn save(&self, report: &Report) -> Result<(), Failure> {
        let notes = words::notes(report);
        let json = serde_json::to_vec(&report.json(&notes));
        let mut json = json.map_err(|error| Failure::Run(error.to_string()))?;
        json.push(b'\n');
        self.0.write(JSON, &json)?;
        self.0.write(PAGE, page::html(report, &notes).as_bytes())
    }
}

/// A name in `runs/` that is not taken.
pub(crate) fn free_name(data: &Path) -> PathBuf {
    let data = data.file_name().map_or("data".into(), |name| name.to_string_lossy());
    RunFolder::free_name(Path::new("runs"), &format!("study-{data}"))
}

/// The page in this folder.
pub(crate) fn page_in(folder: &str) -> String {
    Path::new(folder).join(PAGE).display().to_string()
}
