//! Random programs: results used once, many times or never, in all layouts, differentiated twice, on any
//! number of threads.
//!
//! The laws of the catalogue look at one op at a time; this is about the sweep between them. Each law runs
//! for some seconds, or as long as it is told, and says what it has tried:
//!
//! ```text
//! cargo test -p backflow-tensor --test programs
//! BACKFLOW_STRESS_SECONDS=300 cargo test --release -p backflow-tensor --test programs -- --nocapture
//! ```
//!
//! Programs are functions of a seed. `BACKFLOW_STRESS_SEED=123456` begins with another one than 0; a failure
//! prints its own, with the smallest program that fails.
#![allow(clippy::print_stdout, reason = "the long run says how much it has tried")]
#![allow(
    clippy::disallowed_methods,
    reason = "the reference is the platform's mathematics and not the library's; tolerances hold what they differ by"
)]

mod derivatives;
mod naive;
mod ops;
mod program;
mod threads;
mod values;

use std::time::{Duration, Instant};

/// The value of an environment variable that is a number.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a whole number")))
}

/// The seeds of a run: `least` of them, and more as long as there is time, if it is given.
fn seeds(least: u64) -> impl Iterator<Item = u64> {
    let first = number("BACKFLOW_STRESS_SEED").unwrap_or(0);
    let end = number("BACKFLOW_STRESS_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    (first..).take_while(move |seed| match end {
        Some(end) => Instant::now() < end || *seed == first,
        None => *seed < first + least,
    })
}
