//! [`Lock`]: one process at a time works in a folder.
//!
//! The lock is the operating system's, on an open file: it ends with the process that holds it, however that ends, so
//! there is none to be left behind. The file says who holds it, and stays, for removing it would let two processes hold
//! locks on two files of one name.

use crate::error::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// A lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock that the file at `path` stands for, which is made if it is not there. File systems that know no
    /// locks let everybody pass.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("lock");
    /// use backflow_store::lock::Lock;
    /// let lock = Lock::take(&path)?;
    /// let error = Lock::take(&path).unwrap_err().to_string();
    /// assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    /// drop(lock);
    /// assert!(Lock::take(&path).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If another process holds it, or this one already does; if the file cannot be opened.
    pub fn take(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Write { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        // Not truncated: it may be another's.
        let opened = options.read(true).write(true).create(true).truncate(false).open(path);
        let mut file = opened.map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&mut file);
                let folder = path.parent().unwrap_or(path).to_owned();
                return Err(StoreError::Locked { folder, holder });
            }
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
                return Err(failed(error));
            }
            _ => {}
        }
        let name = format!("process {}\n", std::process::id());
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(name.as_bytes()));
        written.map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Who holds it, as far as the file can be read.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(100).read_to_string(&mut text);
    let number = text.trim().strip_prefix("process ").and_then(|number| number.parse::<u32>().ok());
    match (read, number) {
        (Ok(_), Some(number)) => format!("process {number}"),
        _ => "another process".to_owned(),
    }
}
