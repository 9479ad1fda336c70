//! The program `backflow`: experiments with gradient flow from the command line.
//!
//! It parses, calls the library, and prints. Whatever it can do, a program of three crates can do too. Bad
//! input ends with one line on standard error that says what, where and what to do, and with exit code 2 if
//! the command line is wrong or 1 if something else is. By itself it lists its commands.
#![forbid(unsafe_code)]

mod compare;
mod config;
mod events;
mod experiment;
mod failure;
mod inspect;
mod interrupt;
mod optimizers;
mod options;
mod profile;
mod ranges;
mod result_folder;
mod setup;
mod study;
mod task;
mod terminal;
mod train;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

/// Backflow: trains small networks and shows how gradients flow back through them.
#[derive(Debug, Parser)]
#[command(name = "backflow", version, args_override_self = true, arg_required_else_help = true)]
#[command(after_help = "backflow help COMMAND, or backflow COMMAND --help: what a command takes")]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network on digits and show what flowed through its layers.
    Train(train::TrainOptions),
    /// Rank optimizers: from the same weights over the same batches.
    Compare(compare::CompareOptions),
    /// Measure how gradients flow back through networks, beside theory.
    ///
    /// Networks of given depths, widths, activation functions and initial weights, and which of them learn.
    Study(study::StudyOptions),
    /// Show what a run has recorded, or the tensors of a file.
    ///
    /// Its report, figures and TensorBoard's file can be made again.
    Inspect(inspect::InspectOptions),
    /// List optimizers and schedules, with formulas and settings.
    Optimizers(optimizers::OptimizersOptions),
}

fn main() -> ExitCode {
    let outcome = answer().and_then(|code| terminal::require_written().map(|()| code));
    outcome.unwrap_or_else(|failure| failure.report())
}

fn answer() -> Result<ExitCode, Failure> {
    let program = match Program::try_parse() {
        Ok(program) => program,
        Err(error)
            if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
        {
            // Help and version are answers, not errors.
            terminal::help(&error);
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error.into()),
    };
    match program.command {
        Command::Train(options) => train::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Compare(options) => compare::run(&options),
        Command::Study(options) => study::run(&options),
        Command::Inspect(options) => inspect::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Optimizers(options) => optimizers::run(&options).map(|()| ExitCode::SUCCESS),
    }
}
