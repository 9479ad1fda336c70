//! Training runs: the loop of a classifier, its figures, the folder it leaves behind.
//!
//! [`Trainer`] holds no logic that a program could not write out with the other crates; it exists so that the common case
//! is short and so that the program `backflow` and the library train by the same code. It refuses to know about
//! terminals and command lines.
#![forbid(unsafe_code)]

pub mod comparison;
mod error;
mod evaluate;
mod flow_log;
mod run_folder;
mod step_times;
pub mod study;
mod trainer;

pub use error::TrainError;
pub use evaluate::{EVALUATION_BATCH, Evaluation, count_correct, evaluate};
pub use run_folder::RunFolder;
pub use step_times::StepTimes;
pub use trainer::{EpochRecord, Listener, StepRecord, Summary, Trainer};
