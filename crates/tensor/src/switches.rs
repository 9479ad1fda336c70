//! [`Switches`]: what is switched for a thread, carried to another.

use crate::mode::{Mode, mode, switch};
use crate::training::Scope;

/// What is switched for this thread: whether results are recorded ([`no_grad`](crate::no_grad)), flushed
/// ([`flush_to_zero`](crate::flush_to_zero)) and computed [one by one](crate::observe::one_by_one), and its
/// place in [`training`](crate::training()).
///
/// Such switches belong to a thread. Whoever shares work inside one, by rayon or by threads of their own,
/// carries them along:
///
/// ```
/// use backflow_tensor::{Switches, is_recording, no_grad};
/// let elsewhere = |f: &(dyn Fn() -> bool + Sync)| std::thread::scope(|s| s.spawn(f).join().unwrap());
/// no_grad(|| {
///     let here = Switches::here();
///     assert!(elsewhere(&is_recording));
///     assert!(!elsewhere(&|| here.enter(is_recording)));
/// });
/// ```
///
/// Threads that enter the same place in `training` draw the same masks: give each a stream of its own, by
/// `training(&rng.split(part), …)` inside. Observers, tracers and profiles are not carried; they see what
/// their own thread does.
#[derive(Clone, Debug)]
pub struct Switches {
    mode: Mode,
    scope: Scope,
}

impl Switches {
    /// Those of this thread.
    #[must_use]
    pub fn here() -> Self {
        Self { mode: Mode { tracing: false, numbered: false, ..mode() }, scope: Scope::current() }
    }

    /// Runs `f` with them, on whatever thread this is. What was before is put back, also after a panic.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        let now = mode();
        let _restore = switch(Mode { tracing: now.tracing, numbered: now.numbered, ..self.mode });
        self.scope.enter(f)
    }
}
