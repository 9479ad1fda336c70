//! Whether results are recorded in the graph: a switch per thread, thrown for the length of a closure.
//!
//! Several models must not be trained as jobs of one rayon pool: a thread that waits inside a kernel may take up another
//! job of its pool, which would then run under this job's switch. Give each its own pool (`ThreadPool::install`).

use std::cell::Cell;

thread_local! {
    static RECORDING: Cell<bool> = const { Cell::new(true) };
}

/// Whether this thread records results in the graph.
#[must_use]
pub fn is_recording() -> bool {
    RECORDING.get()
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
    Restore(RECORDING.replace(on))
}

/// Puts back what was there before.
pub(crate) struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        RECORDING.set(self.0);
    }
}
