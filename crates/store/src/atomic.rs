//! Files that appear whole or not at all.
//!
//! A file is written beside its destination under another name, synced, renamed, and the rename synced: after
//! a crash the destination holds the old bytes or the new ones, never a part. This is the only place that
//! writes files by name. What is no regular file, a device, a pipe, a folder, is left alone.
//!
//! A sync that fails is final for the file: what a second one would say of it is no longer true, since the system may
//! have dropped the bytes that it could not write. Whoever wants to try again writes another file.

use crate::disk::{Disk, System};
use crate::regular;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `bytes` to `path`, replacing what was there. A symbolic link is followed, and stays; permissions of
/// an earlier file stay.
///
/// # Errors
/// If there is something else than a regular file at `path`, and what the operating system answers; `path`
/// then still holds what it held before, and the temporary file is removed.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_parts(path, &[bytes])
}

/// The same, of bytes in several places.
pub(crate) fn write_parts(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let (path, earlier) = destination(path)?;
    write_on(&System, &path, parts, earlier)
}

/// Moves a file within a file system, replacing what was there: after a crash it is at one of both places. An empty
/// folder may be replaced by a folder.
///
/// # Errors
/// What the operating system answers.
pub fn relocate(from: &Path, to: &Path) -> io::Result<()> {
    System.rename(from, to)?;
    System.sync_folder(folder_of(to))?;
    System.sync_folder(folder_of(from))
}

/// Removes what programs that were killed while they wrote files in `folder` have left there. Nobody else may be
/// writing in it. What cannot be removed does no harm.
pub fn remove_leftovers(folder: &Path) {
    for name in System.names(folder).unwrap_or_default() {
        if is_leftover(&name) {
            let _ = System.remove(&folder.join(name));
        }
    }
}

/// Whether a file of this name is one that was being written.
#[must_use]
pub fn is_leftover(name: &str) -> bool {
    let inner = name.strip_prefix(".backflow.").and_then(|rest| rest.strip_suffix(".tmp"));
    inner.is_some_and(|numbers| numbers.split('.').all(|number| number.parse::<u64>().is_ok()))
}

/// The protocol: these parts, one after the other, under another name; then the name.
pub(crate) fn write_on<D: Disk>(
    disk: &D,
    path: &Path,
    parts: &[&[u8]],
    earlier: Option<Metadata>,
) -> io::Result<()> {
    let (temporary, mut file) = new_beside(disk, path, earlier.as_ref())?;
    let written = parts.iter().try_for_each(|part| disk.write(&mut file, part));
    let written = written.and_then(|()| disk.sync(&mut file));
    // Closed first: not every system renames what is open.
    drop(file);
    let written = written.and_then(|()| disk.rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = disk.remove(&temporary);
    }
    written?;
    // Makes the rename survive a power cut.
    disk.sync_folder(folder_of(path))
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
fn new_beside<D: Disk>(disk: &D, path: &Path, earlier: Option<&Metadata>) -> io::Result<(PathBuf, D::Open)> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_file_name(format!(".backflow.{}.{number}.tmp", std::process::id()));
        match disk.create_new(&temporary, earlier.map(Metadata::permissions)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST_NAMES => {}
            file => return Ok((temporary, file?)),
        }
    }
}

/// So many names are tried before something else must be wrong.
const MOST_NAMES: u64 = 1 << 20;

/// The folder that a path is in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}
