//! Files that appear whole or not at all.
//!
//! A file is written beside its destination under another name, synced, renamed, and the rename synced: after
//! a crash the destination holds the old bytes or the new ones, never a part. This is the only place that
//! writes files by name. What is no regular file, a device, a pipe, a folder, is left alone.

use crate::regular;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `bytes` to `path`, replacing what was there. A symbolic link is followed, and stays; permissions of
/// an earlier file stay.
///
/// # Errors
/// If there is something else than a regular file at `path`, and what the operating system answers; `path`
/// then still holds what it held before, and the temporary file is removed.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (path, earlier) = destination(path)?;
    let (temporary, mut file) = new_beside(&path)?;
    let written = fill(&mut file, bytes, earlier);
    // Closed first: not every system renames what is open.
    drop(file);
    let written = written.and_then(|()| replace(&temporary, &path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&temporary);
    }
    written?;
    sync_directory_of(&path)
}

/// Moves a file within a file system, replacing what was there: after a crash it is at one of both places.
///
/// # Errors
/// What the operating system answers.
pub fn relocate(from: &Path, to: &Path) -> io::Result<()> {
    replace(from, to)?;
    sync_directory_of(to)?;
    sync_directory_of(from)
}

/// Where a path leads, and what is known of the regular file that is there, if one is.
fn destination(path: &Path) -> io::Result<(PathBuf, Option<Metadata>)> {
    if path.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
    }
    match std::fs::metadata(path) {
        Ok(found) => {
            let found = regular::require(found)?;
            // Only of links: there are file systems on which other paths have no such form.
            let is_link = std::fs::symlink_metadata(path)?.is_symlink();
            Ok((if is_link { std::fs::canonicalize(path)? } else { path.to_owned() }, Some(found)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok((where_nothing_is(path.to_owned())?, None))
        }
        Err(error) => Err(error),
    }
}

/// Where links lead to that nothing is at the end of yet.
fn where_nothing_is(mut path: PathBuf) -> io::Result<PathBuf> {
    while std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
        let target = std::fs::read_link(&path)?;
        path.pop();
        path.push(target);
    }
    Ok(path)
}

/// A new file beside this one, under a name that is short: the name of the file itself may be as long as names
/// can be. Whoever else writes here, on another machine too, has another.
fn new_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_file_name(format!(".backflow.{}.{number}.tmp", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST_NAMES => {}
            file => return Ok((temporary, file?)),
        }
    }
}

/// So many names are tried before something else must be wrong.
const MOST_NAMES: u64 = 1 << 20;

fn fill(file: &mut File, bytes: &[u8], earlier: Option<Metadata>) -> io::Result<()> {
    if let Some(earlier) = earlier.filter(|_| cfg!(unix)) {
        // Where a file system has no permissions, there are none to keep.
        let _ = file.set_permissions(earlier.permissions());
    }
    file.write_all(bytes)?;
    file.sync_all()
}

#[allow(clippy::disallowed_methods, reason = "this module is where renaming is done right")]
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}

/// Makes a rename survive a power cut. Only Unix lets a directory be synced.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
