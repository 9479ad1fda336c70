//! Ctrl-C asks the program to stop with what it has; a second one stops it at once.

use crate::failure::{Failure, INTERRUPTED};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C is a question.
pub(crate) fn listen() -> Result<(), Failure> {
    let handler = || {
        if ASKED.swap(true, Ordering::Relaxed) {
            #[allow(clippy::exit, reason = "whoever asks twice does not want to wait for the present step")]
            std::process::exit(i32::from(INTERRUPTED));
        }
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::Run(format!("Ctrl-C cannot be handled: {error}")))
}

/// Breaks once Ctrl-C was pressed.
pub(crate) fn check() -> ControlFlow<()> {
    if ASKED.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

pub(crate) fn exit_code() -> ExitCode {
    ExitCode::from(INTERRUPTED)
}
