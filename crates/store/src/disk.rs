//! [`Disk`]: what is asked of the operating system so that a file appears whole. Tests put another in its place: one
//! that fails at the n-th request, and one that loses power.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::path::Path;

/// The requests that the protocol of [`atomic`](crate::atomic) consists of.
pub(crate) trait Disk {
    /// A file that is open.
    type Open;

    /// Makes a file that is not there yet.
    fn create_new(&self, path: &Path, permissions: Option<Permissions>) -> io::Result<Self::Open>;

    /// Writes all of these bytes behind those that were written.
    fn write(&self, file: &mut Self::Open, bytes: &[u8]) -> io::Result<()>;

    /// Comes back once the bytes survive a power cut.
    fn sync(&self, file: &mut Self::Open) -> io::Result<()>;

    /// Gives a file another name, in place of what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Comes back once the names in the folder survive a power cut.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder; none where there is no folder.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;
}

/// The disk of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl Disk for System {
    type Open = File;

    fn create_new(&self, path: &Path, permissions: Option<Permissions>) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        if let Some(permissions) = permissions.filter(|_| cfg!(unix)) {
            // Where a file system has no permissions, there are none to keep.
            let _ = file.set_permissions(permissions);
        }
        Ok(file)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &mut File) -> io::Result<()> {
        file.sync_all()
    }

    #[allow(clippy::disallowed_methods, reason = "asked by the module where renaming is done right")]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    /// Only Unix lets a directory be synced.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        // A name that is no text is none of ours.
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        Ok(names.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}
