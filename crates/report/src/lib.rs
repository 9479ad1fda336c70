//! What is drawn of flows, runs, comparisons and studies: pages, charts, event files for TensorBoard.
//!
//! A page depends on what was recorded and on nothing else: no clock, no machine, no network. Nothing is
//! measured here: [`backflow_probe`] measures and judges, and prints the same as text. What is drawn are recorded
//! figures and what follows from them by arithmetic: means over seeds, ranges, differences.
#![forbid(unsafe_code)]

mod cells;
mod chart;
mod colours;
mod comparison;
mod flow;
mod heat_map;
mod ink;
mod page;
mod rounded;
mod runs;
mod series;
mod slider;
mod steps;
mod study;
mod table;
pub mod tensorboard;

pub use cells::{CellsPage, cells_table};
pub use comparison::{ComparisonPage, comparison_table, mean_and_std};
pub use flow::{FlowPage, Header, Theory};
pub use runs::{FlowRun, RunsPage, runs_table};
pub use study::{StudyPage, study_table};
