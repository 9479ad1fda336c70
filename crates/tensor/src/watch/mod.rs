//! What looks on: observers of layers, tracers and profiles of ops, and the history of a result.
//!
//! Looking changes no bit, and off it costs a branch.

pub(crate) mod history;
pub mod observe;
pub mod profile;
pub(crate) mod role;
pub mod trace;
