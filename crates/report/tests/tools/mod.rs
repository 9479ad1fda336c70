//! Programs from elsewhere that read what was written. Where one is missing, its test says so and is skipped;
//! with `CI_REQUIRES_TOOLS=1` that is a failure.

use std::process::Command;

/// A command of the first program that runs, or `None` after a word about it.
pub(crate) fn tool(wanted: &str, candidates: &[&[&str]]) -> Option<Command> {
    for candidate in candidates {
        let command = || {
            let mut command = Command::new(candidate[0]);
            command.args(&candidate[1..]);
            command
        };
        if command().output().is_ok_and(|output| output.status.success()) {
            return Some(Command::new(candidate[0]));
        }
    }
    let required = std::env::var("CI_REQUIRES_TOOLS").is_ok_and(|value| value == "1");
    assert!(
        !required,
        "{wanted} is needed for this test, and there is none; unset CI_REQUIRES_TOOLS to skip it"
    );
    eprintln!("skipped: there is no {wanted}");
    None
}
