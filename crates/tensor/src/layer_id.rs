//! [`LayerId`]: which layer of a process it is.

use std::sync::atomic::{AtomicU64, Ordering};

/// The identity of a layer within a process, by which announcements are matched with paths. A layer holds one
/// as a field; clones of the layer share it, as they share its place in the model;
/// [copies](crate::Module::copied) have their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerId(u64);

impl LayerId {
    /// An identity that no other layer has.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each one is different, which `default` would hide")]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
