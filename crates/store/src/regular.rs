//! Regular files, and nothing else, are read and written.
//!
//! A pipe that nobody writes into is waited for without end, a device may give numbers without end, and a
//! rename would put a file in the place of either. They are refused by name. A symbolic link stands for what
//! it leads to.

use std::fs::{File, FileType, Metadata};
use std::io::{self, Read};
use std::path::Path;

/// All bytes of the regular file at `path`.
///
/// # Errors
/// If it is no regular file, and what the operating system answers.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Asked before it is opened: opening a pipe waits for someone to write into it.
    let len = require(std::fs::metadata(path)?)?.len();
    let mut bytes = Vec::new();
    // A file may say that it is longer than any memory.
    let room = bytes.try_reserve_exact(usize::try_from(len).unwrap_or(usize::MAX));
    room.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same, of a file of text. A byte order mark at its beginning is no part of the text.
///
/// # Errors
/// The same, and if the bytes are not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    text(read(path)?)
}

/// The text of these bytes, without a byte order mark.
///
/// # Errors
/// If the bytes are not UTF-8.
pub fn text(bytes: Vec<u8>) -> io::Result<String> {
    let mut text = String::from_utf8(bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("not text: {error}")))?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    Ok(text)
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Refuses what is no regular file.
pub(crate) fn require(metadata: Metadata) -> io::Result<Metadata> {
    match metadata.is_file() {
        true => Ok(metadata),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, kind(metadata.file_type()))),
    }
}

/// What it is, in words.
fn kind(found: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if found.is_fifo() {
            return "it is a pipe, not a file";
        }
        if found.is_char_device() || found.is_block_device() {
            return "it is a device, not a file";
        }
        if found.is_socket() {
            return "it is a socket, not a file";
        }
    }
    if found.is_dir() { "it is a folder, not a file" } else { "it is not a regular file" }
}
