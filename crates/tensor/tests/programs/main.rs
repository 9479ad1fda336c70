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

use backflow_testkit::seeds;
