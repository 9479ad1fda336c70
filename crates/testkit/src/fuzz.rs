//! [`fuzz`]: a parser answers with a value or an error, whatever the bytes are.
//!
//! A fuzz target is a test with a list of [`Seed`]s, files that are taken and files that are refused, each with its name;
//! and a function that parses bytes and holds what came out to whatever else is promised. Targets run over the seeds
//! themselves and over what [`mutated`] makes of them: so many every day, or as long as they are told, and then they say
//! how many that were:
//!
//! ```text
//! cargo test -p backflow-data --test fuzz
//! BACKFLOW_STRESS_SECONDS=120 cargo test --release -p backflow-data --test fuzz -- --nocapture
//! ```
//!
//! A failure names its input, a number: `BACKFLOW_STRESS_SEED=123456` begins there. An input that takes a minute ends the
//! process, for a parser that never ends would tell nobody what it was given.

use crate::mutator::mutated;
use crate::seeds::seeds;
use backflow_tensor::quote::printable;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// A file to begin from.
#[derive(Clone, Debug)]
pub struct Seed {
    /// What is special about it.
    pub name: &'static str,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Whether the parser takes it.
    pub is_taken: bool,
}

impl Seed {
    /// One that is taken.
    #[must_use]
    pub fn taken(name: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name, bytes: bytes.into(), is_taken: true }
    }

    /// One that is refused.
    #[must_use]
    pub fn refused(name: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name, bytes: bytes.into(), is_taken: false }
    }
}

/// The most characters that the message of an error may have.
pub const LONGEST_MESSAGE: usize = 1000;

/// Gives `parse` the seeds and what is made of them. It answers with nothing where it takes the bytes, and otherwise with
/// the message of its error, which must be [one line](require_message).
///
/// # Panics
/// If `parse` panics, a message is none, a seed is not taken or refused as it says, or all or none of what is made of the
/// seeds is taken.
#[allow(clippy::print_stdout, reason = "the long run says how much it has tried")]
pub fn fuzz(target: &str, all: &[Seed], everyday: u64, parse: impl Fn(&[u8]) -> Result<(), String>) {
    let watch = watchdog(target.to_owned());
    let judged = |what: &str, bytes: &[u8]| {
        // It is gone only when this function is.
        let _ = watch.send(what.to_owned());
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let refused = parse(bytes).err();
            refused.iter().for_each(|message| require_message(message));
            refused
        }));
        outcome.unwrap_or_else(|panic| {
            let begin = &bytes[..bytes.len().min(2000)];
            println!("{target}: {what}, {} bytes: {}", bytes.len(), begin.escape_ascii());
            resume_unwind(panic)
        })
    };
    for Seed { name, bytes, is_taken } in all {
        let refused = judged(name, bytes);
        assert_eq!(refused.is_none(), *is_taken, "{target}: {name}: {refused:?}");
    }
    let files: Vec<&[u8]> = all.iter().map(|seed| &*seed.bytes).collect();
    let (mut inputs, mut taken) = (0_u64, 0_u64);
    for seed in seeds(everyday) {
        taken += u64::from(judged(&format!("input {seed}"), &mutated(&files, seed)).is_none());
        inputs += 1;
    }
    println!("{target}: {inputs} inputs, {taken} of them taken");
    // A target that reaches one side alone says nothing of the other.
    assert!(inputs < everyday || (1..inputs).contains(&taken), "{target}: {taken} of {inputs} are taken");
}

/// Holds the message of an error to be one line of at most [`LONGEST_MESSAGE`] characters, all of which are seen.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn require_message(message: &str) {
    let length = message.chars().count();
    assert!((1..=LONGEST_MESSAGE).contains(&length), "a message of {length} characters: {message}");
    assert_eq!(printable(message), message, "a message is one line without control characters");
}

/// Hears of each input before it is parsed, and ends the process if it then hears nothing for a minute.
#[allow(clippy::print_stderr, reason = "there is no one left to panic to")]
fn watchdog(target: String) -> Sender<String> {
    let (sender, receiver) = channel::<String>();
    std::thread::spawn(move || {
        let mut last = String::new();
        loop {
            match receiver.recv_timeout(Duration::from_mins(1)) {
                Ok(what) => last = what,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    eprintln!("{target}: {last} takes more than a minute");
                    std::process::abort();
                }
            }
        }
    });
    sender
}

#[cfg(test)]
mod tests {
    use super::{Seed, fuzz};

    fn seeds() -> [Seed; 2] {
        [Seed::taken("a number", "12"), Seed::refused("a word", "twelve")]
    }

    fn number(bytes: &[u8]) -> Result<u64, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        text.parse().map_err(|_| "no number".to_owned())
    }

    #[test]
    fn a_sound_parser_passes() {
        fuzz("numbers", &seeds(), 500, |bytes| number(bytes).map(drop));
    }

    #[test]
    #[should_panic(expected = "overflow")]
    fn a_panic_is_found() {
        fuzz("numbers", &seeds(), 500, |bytes| {
            number(bytes).map(|n| _ = n.checked_mul(n).expect("overflow"))
        });
    }

    #[test]
    #[should_panic(expected = "one line")]
    fn a_message_with_what_was_read_is_found() {
        let parse = |bytes: &[u8]| {
            number(bytes).map(drop).map_err(|_| String::from_utf8_lossy(bytes).into_owned() + "!")
        };
        fuzz("numbers", &seeds(), 500, parse);
    }

    #[test]
    #[should_panic(expected = "a word")]
    fn a_seed_that_is_taken_and_should_not_be_is_found() {
        fuzz("numbers", &seeds(), 500, |_| Ok(()));
    }
}
