//! What becomes of an earlier run in the folder of a new one: what has weights, final ones or those of a checkpoint, is set
//! aside until the new run has ended, so that whatever ends that, nothing is lost.
//!
//! ```text
//! NAME/earlier-run/  earlier-run-2/  …      one for each run that was set aside
//! ```

use super::{CHECKPOINTS, CONFIG, FILES, LOCK, METRICS, MODEL};
use crate::error::TrainError;
use backflow_store::{Checkpoints, StoreError, atomic};
use std::io;
use std::path::{Path, PathBuf};

const EARLIER_RUN: &str = "earlier-run";

/// The folders for runs that are set aside, in their order, without end.
fn folders(path: &Path) -> impl Iterator<Item = PathBuf> {
    let first = path.join(EARLIER_RUN);
    std::iter::once(first).chain((2_u64..).map(move |number| path.join(format!("{EARLIER_RUN}-{number}"))))
}

/// Those that are there.
fn existing(path: &Path) -> impl Iterator<Item = PathBuf> {
    folders(path).take_while(|folder| folder.is_dir())
}

fn is_of_earlier_run(name: &str) -> bool {
    let rest = name.strip_prefix(EARLIER_RUN);
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix('-').is_some_and(|n| n.parse::<u64>().is_ok())
    })
}

fn has_checkpoints(folder: &Path) -> bool {
    Checkpoints::new(folder.join(CHECKPOINTS)).steps().is_ok_and(|steps| !steps.is_empty())
}

fn has(folder: &Path, name: &str) -> bool {
    folder.join(name).is_file()
}

/// Whether a run may begin in this folder: there is an earlier one, or nothing that a run does not leave when it is cut
/// short.
pub(super) fn may_begin_in(path: &Path) -> Result<bool, TrainError> {
    let failed = |source| StoreError::Read { path: path.to_owned(), source };
    // Where a move was cut short, some files are there already.
    let is_there =
        |name: &&str| std::iter::once(path.to_owned()).chain(existing(path)).any(|folder| has(&folder, name));
    if [CONFIG, METRICS].iter().all(is_there) {
        return Ok(true);
    }
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_string_lossy();
        let is_ours = name == LOCK
            || name == CONFIG
            || name == METRICS
            || name == CHECKPOINTS
            || is_of_earlier_run(&name)
            || atomic::is_leftover(&name);
        if !is_ours {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Moves an earlier run with weights into a folder of its own, or goes on where that was cut short: the weights are the
/// last to be moved, so those of one run are never at both places. What a run without weights has left goes.
pub(super) fn set_aside(path: &Path) -> Result<(), TrainError> {
    if !has(path, MODEL) && !has_checkpoints(path) {
        return FILES.iter().try_for_each(|name| remove(&path.join(name)));
    }
    let is_move_cut_short = !has(path, CONFIG);
    let is_taken = |folder: &PathBuf| has(folder, MODEL) || (has_checkpoints(folder) && !is_move_cut_short);
    let folder = folders(path).find(|folder| !is_taken(folder)).unwrap_or_else(|| path.join(EARLIER_RUN));
    let failed = |source| StoreError::Write { path: folder.clone(), source };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let (weights, others) = FILES.split_last().unwrap_or((&MODEL, &[]));
    for name in others.iter().chain([&CHECKPOINTS, weights]).filter(|name| path.join(name).exists()) {
        atomic::relocate(&path.join(name), &folder.join(name)).map_err(failed)?;
    }
    Ok(())
}

/// Removes the runs that were set aside, if there are any. What cannot be removed does no harm.
pub(super) fn remove_earlier(path: &Path) {
    for folder in existing(path) {
        for name in FILES {
            let _ = std::fs::remove_file(folder.join(name));
        }
        let checkpoints = Checkpoints::new(folder.join(CHECKPOINTS));
        checkpoints.remove_all();
        let _ = std::fs::remove_dir(checkpoints.folder());
        let _ = std::fs::remove_dir(folder);
    }
}

/// Removes a file that may be there.
pub(super) fn remove(path: &Path) -> Result<(), TrainError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::Write { path: path.to_owned(), source }.into())
        }
        _ => Ok(()),
    }
}
