//! [`DataFile`]: a file in memory, with its name for messages. None is longer than any data set.

use crate::error::DataError;
use crate::formats::FormatError;
use crate::formats::gzip::{self, MAX_OUTPUT_LEN};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// No file may be longer than this, compressed or not.
const MAX_FILE_LEN: u64 = MAX_OUTPUT_LEN as u64;

/// A file's bytes and what to call it in messages.
#[derive(Debug)]
pub(crate) struct DataFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Cow<'static, [u8]>,
}

impl DataFile {
    /// The file at this path, if there is one; a folder is none.
    pub(crate) fn read(path: PathBuf) -> Result<Option<Self>, DataError> {
        match read(&path, MAX_FILE_LEN) {
            Ok(Some(bytes)) => Ok(Some(Self { path, bytes: Cow::Owned(bytes) })),
            Ok(None) => Err(DataError::FileTooLong { path, limit: MAX_FILE_LEN }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => {
                Ok(None)
            }
            Err(source) => Err(DataError::Io { path, source }),
        }
    }

    /// The file at this path, which is there.
    pub(crate) fn need(path: &Path, what: &'static str) -> Result<Self, DataError> {
        Self::read(path.to_owned())?.ok_or_else(|| missing(path, what))
    }

    /// Its bytes, decompressed if they are compressed by gzip.
    pub(crate) fn unpacked(&self) -> Result<Cow<'_, [u8]>, DataError> {
        match gzip::is_gzip(&self.bytes) {
            false => Ok(Cow::Borrowed(&self.bytes)),
            true => gzip::decompress(&self.bytes, MAX_OUTPUT_LEN)
                .map(Cow::Owned)
                .map_err(|error| self.failed(error)),
        }
    }

    /// What is wrong with its bytes.
    pub(crate) fn failed(&self, source: impl Into<FormatError>) -> DataError {
        DataError::Format { path: self.path.clone(), source: source.into() }
    }
}

/// The file at this path, which is there, and its length.
pub(crate) fn open(path: &Path) -> Result<(File, usize), DataError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => missing(path, "array"),
        _ => DataError::Io { path: path.to_owned(), source },
    };
    let (file, len) = opened(path).map_err(failed)?;
    match usize::try_from(len).ok().filter(|_| len <= MAX_FILE_LEN) {
        Some(len) => Ok((file, len)),
        None => Err(DataError::FileTooLong { path: path.to_owned(), limit: MAX_FILE_LEN }),
    }
}

/// Whether the file at this path begins so.
pub(crate) fn begins_with(path: &Path, magic: &[u8]) -> bool {
    let mut begin = vec![0; magic.len()];
    opened(path).and_then(|(mut file, _)| file.read_exact(&mut begin)).is_ok() && begin == magic
}

fn missing(path: &Path, what: &'static str) -> DataError {
    DataError::Missing {
        what,
        // Of a name alone it is the empty path, which nobody would read as where the program runs.
        directory: path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned(),
        names: vec![path.file_name().unwrap_or_default().to_string_lossy().into_owned()],
    }
}

/// All bytes of a file, or nothing if they are more than `limit`.
fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let (file, len) = opened(path)?;
    if len > limit {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(len as usize);
    let read = file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((read as u64 <= limit).then_some(bytes))
}

/// A file, and how long it says it is.
fn opened(path: &Path) -> io::Result<(File, u64)> {
    // Asked before it is opened: opening a pipe waits for someone to write into it.
    let found = std::fs::metadata(path)?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe or a device, not a file"));
    }
    Ok((File::open(path)?, found.len()))
}

#[cfg(test)]
mod tests {
    use super::read;
    use std::io::Write;
    use std::path::Path;

    #[test]
    fn a_file_may_be_as_long_as_the_limit_and_no_longer() {
        for (len, fits) in [(0, true), (9, true), (10, true), (11, false)] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&vec![7; len]).unwrap();
            assert_eq!(read(file.path(), 10).unwrap(), fits.then(|| vec![7; len]), "{len} bytes");
        }
        if cfg!(unix) {
            // It says that it has no length, and has no end.
            let error = read(Path::new("/dev/zero"), 10).unwrap_err();
            assert_eq!(error.to_string(), "it is a pipe or a device, not a file");
        }
    }
}
