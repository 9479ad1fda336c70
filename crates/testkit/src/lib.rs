//! PyTorch as an oracle: the questions, the answers on file, and how to hold one's own answers against them.
//!
//! ```text
//! export_samples  ──JSON──▶  scripts/golden_ops.py  ──▶  tests/golden/ops.safetensors  ──▶  cargo test
//!    questions                    PyTorch                      its answers                  ours
//! ```
//!
//! A [`Question`] is an op on given operands, with the cotangents that its first and second derivatives are
//! asked for. PyTorch is needed only to make the [`Golden`] file; the tests read it. Each answer carries a
//! fingerprint of its question, so a sample that changed cannot be compared with an old answer.
//!
//! [`EXPECTED`] is the other oracle: what each update rule is known to reach, for the tests that ask it of
//! every rule.
//!
//! What reads bytes from outside is [fuzzed](fuzz()): given files that are nearly right, and watched.
//!
//! For tests only: nothing here is part of the framework.
#![forbid(unsafe_code)]

mod fuzz;
mod golden;
mod kinks;
mod mutator;
mod question;
mod rules;
mod seeds;

pub use fuzz::{LONGEST_MESSAGE, Seed, fuzz, require_message};
pub use golden::{Difference, Golden, compare, condense};
pub use kinks::kinks;
pub use mutator::mutated;
pub use question::{Question, catalogue};
pub use rules::{EXPECTED, Expected, Floor, Reached, Shrinking, halved_at};
pub use seeds::seeds;
