//! The format of `flow.jsonl.gz`: a record a line, which says the version of the format itself, compressed by
//! gzip to a fifth. Up to 0.1 it was not compressed; either is read.
//!
//! ```text
//! {"version":2,"step":1,"loss":2.3,…}
//! {"version":2,"step":2,"loss":2.2,…}
//! ```
//!
//! Every line says it, not a first line: logs are cut with `head` and `tail`, filtered, and joined, and each
//! line is read as what it is wherever it ends up. It costs 12 of some thousand bytes.
//!
//! A line without a version is of version 1. Fields that are unknown are passed over, and such as may be
//! missing have a default, so a new field does not make a new version: the number rises when a reader of the
//! version before would take a figure for another. A line of a later version is refused.
//!
//! 1. Layers have kinds: up to 0.1 a name, then a name and a role.
//! 2. Layers and parameters may have `more`: quantities by name.
//!
//! What editors, copies and crashes do to such a file is taken: a byte order mark before it, blank lines, and a
//! last line that is cut off, which is told.

use crate::error::TrainError;
use backflow_probe::FlowStep;
use backflow_store::{StoreError, regular};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::Path;

/// The version that is written.
const VERSION: u32 = 2;

/// A log as it was read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FlowLog {
    /// The records, in the order of the lines.
    pub steps: Vec<FlowStep>,
    /// The number of the line, counted from 1, from which on the log is cut off: it is none of the records.
    pub cut_off: Option<usize>,
}

/// What is wrong with a line.
#[derive(Debug)]
enum LineError {
    /// It is of this version, which came later.
    Later(u32),
    /// It is not a record.
    Invalid(serde_json::Error),
}

#[derive(Serialize)]
struct Line<'a> {
    version: u32,
    #[serde(flatten)]
    record: &'a FlowStep,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default = "first")]
    version: u32,
}

fn first() -> u32 {
    1
}

/// The bytes of a log: the same for the same records, whenever they are written.
pub(crate) fn packed(records: &[FlowStep]) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    let mut line = Vec::new();
    for record in records {
        line.clear();
        put_line(&mut line, record)?;
        packed.write_all(&line)?;
    }
    packed.finish()
}

/// Appends the line of a record.
pub(crate) fn put_line(text: &mut Vec<u8>, record: &FlowStep) -> io::Result<()> {
    serde_json::to_writer(&mut *text, &Line { version: VERSION, record })?;
    text.push(b'\n');
    Ok(())
}

/// A gzip member of some lines.
pub(crate) fn pack(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    text.split_inclusive(|&byte| byte == b'\n').try_for_each(|line| packed.write_all(line))?;
    packed.finish()
}

/// The text of the log at `path`, as far as it goes, or of its first `bytes` bytes.
pub(crate) fn unpacked(path: &Path, bytes: Option<u64>) -> io::Result<Vec<u8>> {
    let mut packed = regular::read(path)?;
    packed.truncate(bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX));
    Ok(unpack(&packed)?.0)
}

/// The most text that a packed log of so many bytes holds: what is longer is made to exhaust memory. Where no figure ever
/// changes but the number of the step, a log is packed to a 136th.
fn longest(packed: usize) -> u64 {
    (256 * packed as u64).max(1 << 26)
}

/// The text of a log, compressed or not, as far as it goes, and whether it is cut off.
fn text(path: &Path) -> io::Result<(String, bool)> {
    let bytes = regular::read(path)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok((regular::text(whole_characters(bytes))?, false));
    }
    let (unpacked, is_cut) = unpack(&bytes)?;
    Ok((regular::text(whole_characters(unpacked))?, is_cut))
}

/// What such bytes hold, one member behind the other, and whether they are cut off.
fn unpack(bytes: &[u8]) -> io::Result<(Vec<u8>, bool)> {
    let (mut unpacked, longest) = (Vec::new(), longest(bytes.len()));
    let is_cut = match MultiGzDecoder::new(bytes).take(longest).read_to_end(&mut unpacked) {
        Ok(_) if unpacked.len() as u64 == longest => {
            let message =
                format!("it holds {longest} bytes or more, which no log of {} bytes does", bytes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(_) => false,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => true,
        Err(error) => return Err(error),
    };
    Ok((unpacked, is_cut))
}

/// Without the beginning of a last character, which a cut leaves.
fn whole_characters(mut text: Vec<u8>) -> Vec<u8> {
    if let Err(error) = std::str::from_utf8(&text)
        && error.error_len().is_none()
    {
        text.truncate(error.valid_up_to());
    }
    text
}

/// Reads the log of any version that is known.
pub(crate) fn read(path: &Path) -> Result<FlowLog, TrainError> {
    let (text, is_cut) = text(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    let mut log = of_lines(&text, path)?;
    if is_cut {
        log.cut_off.get_or_insert(text.lines().count() + 1);
    }
    Ok(log)
}

/// The records of a text, of the log at `path`.
pub(crate) fn parse(text: &[u8], path: &Path) -> Result<FlowLog, TrainError> {
    let failed = |source| StoreError::Read { path: path.to_owned(), source };
    of_lines(&regular::text(text.to_vec()).map_err(failed)?, path)
}

fn of_lines(text: &str, path: &Path) -> Result<FlowLog, TrainError> {
    let mut log = FlowLog::default();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    for (line, record) in lines.map(|(index, line)| (index + 1, read_line(line))) {
        match record {
            Ok(step) => log.steps.push(step),
            // Every line that was written whole ends with a line break.
            Err(LineError::Invalid(error))
                if error.is_eof() && line == text.lines().count() && !text.ends_with('\n') =>
            {
                log.cut_off = Some(line);
            }
            Err(LineError::Invalid(error)) => {
                return Err(TrainError::Flow { path: path.to_owned(), line, reason: error.to_string() });
            }
            Err(LineError::Later(version)) => {
                return Err(TrainError::LaterFlow { path: path.to_owned(), line, version, known: VERSION });
            }
        }
    }
    Ok(log)
}

/// The record of a line.
fn read_line(line: &str) -> Result<FlowStep, LineError> {
    // First: what a later version says of a record may not be understood.
    let Version { version } = serde_json::from_str(line).map_err(LineError::Invalid)?;
    if version > VERSION {
        return Err(LineError::Later(version));
    }
    serde_json::from_str(line).map_err(LineError::Invalid)
}
