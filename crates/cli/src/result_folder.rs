//! The folder of an experiment, a comparison or a study: `NAME.json` and `NAME.html`, whole at any time,
//! whatever ends the program.
//!
//! Both are written anew whenever more is known, so that nothing finished is lost, and not before there is
//! something: an earlier experiment is there until then. That the folder can be written is tried out at once,
//! with a file that does not stay.

use crate::failure::Failure;
use backflow_store::atomic;
use backflow_train::RunFolder;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is written and removed at the start, to fail then and not after hours.
const TRIAL: &str = "trial";

pub(crate) struct ResultFolder {
    path: PathBuf,
    /// The command that writes into it: `compare`.
    name: &'static str,
    /// Whether it was not there before.
    is_new: bool,
}

impl ResultFolder {
    /// Makes the folder, or takes over that of an earlier experiment of the same kind (`comparison`), which
    /// is known by its `NAME.json`, and whose files stay until the first [`save`](Self::save).
    pub(crate) fn create(path: PathBuf, name: &'static str, kind: &str) -> Result<Self, Failure> {
        let is_new = !path.exists();
        if path.is_file() {
            let message = format!("is a file; choose another name for the folder of the {kind}");
            return Err(Failure::Run(format!("{}: {message}", path.display())));
        }
        std::fs::create_dir_all(&path).map_err(|error| failed(&path, &error))?;
        let is_empty = std::fs::read_dir(&path).map_err(|error| failed(&path, &error))?.next().is_none();
        if !is_empty && !path.join(format!("{name}.json")).is_file() {
            let message = format!("is not empty and holds no earlier {kind}; choose another folder");
            return Err(Failure::Run(format!("{}: {message}", path.display())));
        }
        let trial = path.join(TRIAL);
        atomic::write(&trial, b"")
            .and_then(|()| std::fs::remove_file(&trial))
            .map_err(|error| failed(&path, &error))?;
        Ok(Self { path, name, is_new })
    }

    /// Leaves no empty folder behind if nothing was written.
    pub(crate) fn leave(&self) {
        if self.is_new {
            // Only an empty folder can be removed, and one that stays does no harm.
            let _ = std::fs::remove_dir(&self.path);
        }
    }

    /// Writes what is known so far: the object, and the page.
    pub(crate) fn save(&self, object: &impl Serialize, page: &str) -> Result<(), Failure> {
        let mut json = serde_json::to_vec(object).map_err(|error| Failure::Run(error.to_string()))?;
        json.push(b'\n');
        Failure::of_any([self.write("json", &json), self.write("html", page.as_bytes())])
    }

    fn write(&self, extension: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path.join(format!("{}.{extension}", self.name));
        atomic::write(&path, bytes).map_err(|error| failed(&path, &error))
    }
}

/// A folder in `runs/` that is not taken: `NAME-SUBJECT`, or with a number behind it.
pub(crate) fn free_folder(name: &str, subject: &str) -> PathBuf {
    RunFolder::free_name(Path::new("runs"), &format!("{name}-{subject}"))
}

/// The page in this folder.
pub(crate) fn page_in(folder: &str, name: &str) -> String {
    Path::new(folder).join(format!("{name}.html")).display().to_string()
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Run(format!("{}: cannot be written: {error}", path.display()))
}
