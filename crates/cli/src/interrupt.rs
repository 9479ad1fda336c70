//! Signals ask the program to stop with what it has: Ctrl-C, and on Unix SIGTERM and SIGHUP, by which batch systems and
//! terminals say that the time is over. A second Ctrl-C stops it at once.

use crate::failure::{Failure, INTERRUPTED};
use signal_hook::consts::SIGINT;
use signal_hook::flag;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on signals are questions.
pub(crate) fn listen() -> Result<(), Failure> {
    let failed = |error| Failure::Run(format!("signals cannot be handled: {error}"));
    // First: whoever presses Ctrl-C when a stop was asked for does not want to wait for the present step.
    flag::register_conditional_shutdown(SIGINT, i32::from(INTERRUPTED), Arc::clone(&ASKED))
        .map_err(failed)?;
    for signal in STOPPING.iter().chain([&SIGINT]) {
        flag::register(*signal, Arc::clone(&ASKED)).map_err(failed)?;
    }
    Ok(())
}

#[cfg(unix)]
const STOPPING: [i32; 2] = [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP];
#[cfg(not(unix))]
const STOPPING: [i32; 1] = [signal_hook::consts::SIGTERM];

/// Breaks once a stop was asked for.
pub(crate) fn check() -> ControlFlow<()> {
    if ASKED.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

pub(crate) fn exit_code() -> ExitCode {
    ExitCode::from(INTERRUPTED)
}
