//! The program `backflow`: experiments with gradient flow from the command line.
//!
//! It parses, calls the library, and prints. Whatever it can do, a program of three crates can do too. Bad
//! input ends with one line on standard error that says what, where and what to do, and with exit code 2 if
//! the command line is wrong or 1 if something else is.
#![forbid(unsafe_code)]
#![allow(clippy::print_stderr, reason = "this is the program: errors go to standard error")]

mod compare;
mod config;
mod experiment;
mod failure;
mod inspect;
mod interrupt;
mod optimizers;
mod options;
mod profile;
mod result_folder;
mod setup;
mod study;
mod task;
mod terminal;
mod train;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

/// Backflow: trains small networks and shows how gradients flow back through them.
#[derive(Debug, Parser)]
#[command(name = "backflow", version, disable_help_subcommand = true, args_override_self = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a multi-layer perceptron on digits and show what flowed through its layers.
    Train(train::TrainOptions),
    /// Train with several optimizers, from the same weights over the same batches, and rank them.
    Compare(compare::CompareOptions),
    /// Measure how gradients flow back through networks of given depth and activation, beside theory, and see
    /// which learn.
    Study(study::StudyOptions),
    /// Show what a run has recorded, rebuild its report, or list the tensors of a file of weights.
    Inspect(inspect::InspectOptions),
    /// List optimizers and schedules: what they compute, their settings, where they come from.
    Optimizers(optimizers::OptimizersOptions),
}

fn main() -> ExitCode {
    let program = match Program::try_parse() {
        Ok(program) => program,
        Err(error) if !error.use_stderr() => {
            // Help and version are answers, not errors.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => return Failure::from(error).report(),
    };
    let outcome = match program.command {
        Command::Train(options) => train::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Compare(options) => compare::run(&options),
        Command::Study(options) => study::run(&options),
        Command::Inspect(options) => inspect::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Optimizers(options) => optimizers::run(&options).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|failure| failure.report())
}
