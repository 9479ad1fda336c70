//! Files: what a program leaves on disk, and how it comes back to the bit.
//!
//! A file appears whole or not at all ([`atomic`]), and what is no regular file is left alone ([`regular`]). [`weights`] are safetensors, readable from Python;
//! [`optimizer_state`] is a format of this crate's own; a [`Checkpoint`] holds both, and whatever else a training needs to go
//! on, and [`Checkpoints`] are the newest few of a run. What is read is trusted in nothing: every error names
//! the file and what is wrong with it, and the model or optimizer is then unchanged. Nothing here knows about
//! runs; their folders are `backflow_train`'s.
#![forbid(unsafe_code)]

pub mod atomic;
mod checkpoint;
mod checkpoints;
mod disk;
mod envelope;
mod error;
pub mod lock;
pub mod optimizer_state;
pub mod regular;
mod shape;
pub mod weights;

pub use checkpoint::Checkpoint;
pub use checkpoints::{Checkpoints, Newest};
pub use error::StoreError;
