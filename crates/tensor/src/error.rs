//! How misuse of the library is reported: a panic in one layout, with both shapes and the caller's line.
//!
//! ```text
//! matmul: inner sizes differ
//!     left   [32, 784]
//!     right  [10, 784]
//!     hint   right.t() is [784, 10]
//!     at examples/mnist.rs:41:18
//! ```
//!
//! What comes from outside the program (files, configuration) never takes this road: it returns a `Result`.

use std::fmt::Write;
use std::panic::Location;

/// Panics in the house layout: `op: what`, one indented row per fact, a hint if there is one, the caller's
/// place.
///
/// # Panics
/// Always.
#[track_caller]
#[cold]
pub fn misuse(op: &str, what: &str, rows: &[(&str, String)], hint: &str) -> ! {
    let width = rows.iter().map(|(name, _)| name.len()).chain([4]).max().unwrap_or(4);
    let mut message = format!("{op}: {what}");
    let hint_row = [("hint", hint.to_owned())];
    for (name, value) in rows.iter().chain(hint_row.iter().filter(|(_, hint)| !hint.is_empty())) {
        let _ = write!(message, "\n    {name:width$}  {value}");
    }
    let _ = write!(message, "\n    at {}", Location::caller());
    panic!("{message}");
}
