//! The format of `flow.jsonl`: a record a line, which says the version of the format itself.
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

use backflow_probe::FlowStep;
use serde::{Deserialize, Serialize};

/// The version that is written.
pub(crate) const VERSION: u32 = 2;

/// What is wrong with a line.
#[derive(Debug)]
pub(crate) enum LineError {
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

/// Appends a line.
pub(crate) fn write(lines: &mut Vec<u8>, record: &FlowStep) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *lines, &Line { version: VERSION, record })?;
    lines.push(b'\n');
    Ok(())
}

/// The record of a line of any version that is known.
pub(crate) fn read(line: &str) -> Result<FlowStep, LineError> {
    // First: what a later version says of a record may not be understood.
    let Version { version } = serde_json::from_str(line).map_err(LineError::Invalid)?;
    if version > VERSION {
        return Err(LineError::Later(version));
    }
    serde_json::from_str(line).map_err(LineError::Invalid)
}
