//! How long a randomised test runs: an everyday number of seeds, or as long as it is told.

use std::time::{Duration, Instant};

/// The seeds of a run: `least` of them from 0 on; or, with `BACKFLOW_STRESS_SECONDS`, as many as there is time for, and
/// with `BACKFLOW_STRESS_SEED` from another one on.
///
/// # Panics
/// If one of the variables is not a whole number.
pub fn seeds(least: u64) -> impl Iterator<Item = u64> {
    let first = number("BACKFLOW_STRESS_SEED").unwrap_or(0);
    let end = number("BACKFLOW_STRESS_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    (first..).take_while(move |seed| match end {
        Some(end) => Instant::now() < end || *seed == first,
        None => *seed < first + least,
    })
}

/// The value of an environment variable that is a number.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a whole number")))
}
