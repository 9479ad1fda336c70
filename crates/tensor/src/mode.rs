//! What this thread does with results: whether they are recorded in the graph, shown to a tracer, rid of
//! subnormal numbers. Switches per thread, thrown for the length of a closure and kept side by side, so that
//! an op asks for all at once.
//!
//! Threads that help with kernels see none of them: a kernel is told all it goes by. So several models can be
//! trained as jobs of one pool. Whoever shares work themselves while something is switched carries the
//! [`Switches`](crate::Switches) along.

use std::cell::Cell;

/// The switches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) recording: bool,
    pub(crate) tracing: bool,
    pub(crate) flushing: bool,
    /// Whether a tracer, or the program, wants to see each op by itself.
    pub(crate) apart: bool,
    /// Whether nodes are numbered in a way of its own ([`numbering`](crate::numbering)).
    pub(crate) numbered: bool,
}

thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode { recording: true, tracing: false, flushing: false, apart: false, numbered: false }) };
}

/// The switches of this thread.
pub(crate) fn mode() -> Mode {
    MODE.get()
}

/// Whether this thread records results in the graph.
#[must_use]
pub fn is_recording() -> bool {
    mode().recording
}

/// Runs `f` without recording: evaluation costs no graph. Recording resumes afterwards, also after a panic.
///
/// ```
/// use backflow_tensor::{no_grad, Tensor};
/// let w = Tensor::from([1.0, 2.0]).requires_grad();
/// let y = no_grad(|| &w * 2.0);
/// assert!(!y.is_tracked());
/// ```
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    let _recording = recording(false);
    f()
}

/// Switches recording on or off until the result is dropped.
pub(crate) fn recording(on: bool) -> Restore {
    switch(Mode { recording: on, ..mode() })
}

/// Switches tracing on or off until the result is dropped.
pub(crate) fn tracing(on: bool) -> Restore {
    switch(Mode { tracing: on, ..mode() })
}

/// Switches the wish to see each op by itself on or off until the result is dropped.
pub(crate) fn apart(on: bool) -> Restore {
    switch(Mode { apart: on, ..mode() })
}

/// Switches flushing on or off until the result is dropped.
pub(crate) fn flushing(on: bool) -> Restore {
    switch(Mode { flushing: on, ..mode() })
}

/// Throws all switches until the result is dropped.
pub(crate) fn switch(to: Mode) -> Restore {
    Restore(MODE.replace(to))
}

/// Puts back what was there before.
#[derive(Debug)]
pub(crate) struct Restore(Mode);

impl Drop for Restore {
    fn drop(&mut self) {
        MODE.set(self.0);
    }
}
