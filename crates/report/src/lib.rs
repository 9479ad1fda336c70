//! What is drawn of flows and runs: pages, charts, event files for TensorBoard.
//!
//! A page depends on what was recorded and on nothing else: no clock, no machine, no network. Nothing is measured and nothing is
//! computed here that was not recorded; [`backflow_probe`] measures, and prints the same as text.
#![forbid(unsafe_code)]

pub mod chart;
mod flow;
pub mod tensorboard;

pub use flow::{FlowPage, Header, Theory};
