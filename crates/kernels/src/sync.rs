//! What threads meet at. One place to name it, so that the same protocol runs on the standard library here
//! and on a model of it in `tests/every_order.rs`.

pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::Mutex;
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::thread::{Thread, current, park};

/// How often who waits looks before it parks: some tens of microseconds.
pub(crate) const LOOKS: u32 = 2000;
