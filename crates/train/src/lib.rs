//! Training runs: tasks, the one loop over them, its figures, the folder it leaves behind.
//!
//! A [`Task`] says how a batch becomes a loss, how many terms that is the mean of, and what else is measured.
//! The same loop trains at it for [`Trainer`], [`comparison`], [`study`] and the program.
//!
//! [`Trainer`] holds no logic that a program could not write out with the other crates; it exists so that the
//! common case is short and so that the program `backflow` and the library train by the same code. It refuses
//! to know about terminals and command lines.
#![forbid(unsafe_code)]

// `#[derive(Module)]` writes `::backflow::…`.
extern crate backflow_tensor as backflow;

mod batches;
mod checkpoint;
pub mod comparison;
mod error;
mod evaluate;
mod flow_log;
mod logs;
mod metric;
mod parts;
mod pause;
mod records;
mod run_folder;
mod side_by_side;
mod step_times;
mod steps;
pub mod study;
mod task;
mod tasks;
mod trainer;

pub use batches::Batches;
pub use error::TrainError;
pub use evaluate::{EVALUATION_BATCH, Evaluation, evaluate, with_evaluated_weights};
pub use flow_log::FlowLog;
pub use metric::{Metric, Metrics, Prefixed, Tally};
pub use pause::Pause;
pub use records::{EpochRecord, StepRecord, Summary};
pub use run_folder::{CutRun, RunFolder};
pub use side_by_side::{Completion, Ended, Part, Supervisor, side_by_side};
pub use step_times::StepTimes;
pub use task::{Loss, Task, TaskError};
pub use tasks::{Classification, NextToken, PointwiseLoss, Reconstruction, Regression, count_correct};
pub use trainer::{Listener, Trainer};
