//! The program `backflow`: experiments with gradient flow from the command line.
//!
//! It parses, calls the library, and prints. Whatever it can do, a program of three crates can do too. Bad
//! input ends with one line on standard error that says what, where and what to do, and with exit code 2 if
//! the command line is wrong or 1 if something else is. By itself it lists its commands.
#![forbid(unsafe_code)]

mod batches;
mod compare;
mod config;
mod data;
mod data_options;
mod events;
mod experiment;
mod failure;
mod inspect;
mod interrupt;
mod models;
mod network;
mod optimizers;
mod options;
mod predictor;
mod probe;
mod profile;
mod ranges;
mod result_folder;
mod setup;
mod source;
mod study;
mod task;
mod terminal;
mod train;
mod treatment;
mod written;

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
    /// Train a network on tables, arrays, images, sequences or text, and show what flowed through its layers.
    Train(train::TrainOptions),
    /// Rank optimizers: from the same weights over the same batches.
    Compare(compare::CompareOptions),
    /// Measure how gradients flow back through networks, beside theory.
    ///
    /// Networks of given depths, widths, activation functions and initial weights, and which of them learn.
    Study(study::StudyOptions),
    /// Show what a run has recorded, or the tensors of a file, and what flows in its network.
    ///
    /// Its report, figures and TensorBoard's file can be made again.
    Inspect(inspect::InspectOptions),
    /// List optimizers and schedules, with formulas and settings.
    Optimizers(optimizers::OptimizersOptions),
    /// List the words of --model, or show the layers of a network.
    Models(models::ModelsOptions),
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
        Command::Models(options) => models::run(&options).map(|()| ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod fuzz {
    use super::Program;
    use crate::failure::Failure;
    use backflow_testkit::{Seed, fuzz};
    use clap::Parser;

    /// Words of a command line, which no file and no training comes of.
    #[test]
    fn command_lines_are_read_or_told() {
        let seeds = [
            Seed::taken(
                "train",
                "train --layers 784,64*3,10 --activation relu --lr 1e-3 --schedule cosine --epochs 3 --json",
            ),
            Seed::taken(
                "study",
                "study --activation tanh --sigma-w 0.5..4@8 --sigma-b 0.05 --depth 10..50:10",
            ),
            Seed::taken("compare", "compare --optimizers adam,sgd:lr=0.1,momentum=0.9 --tune --limit 100"),
            Seed::taken("inspect", "inspect runs/a --step 18446744073709551615 --json"),
            Seed::taken("augmentation", "train --data photos --augment shift:4,flip"),
            Seed::taken("sequences", "train --data copying:T=50,n=100,seed=3 --model gru:8"),
            Seed::refused("a problem with another setting", "train --data adding:t=50"),
            Seed::refused("a misspelled augmentation", "train --augment filp"),
            Seed::refused("a misspelled option", "train --epoch 3"),
            Seed::refused("a misspelled value", "train --loss mes"),
            Seed::refused("no run", "inspect"),
            Seed::refused("an option of 70,000 letters", format!("train --{}", "x".repeat(70_000))),
            Seed::refused("a command of 70,000 letters", "t".repeat(70_000)),
            Seed::refused("a value of 70,000 letters", format!("train --loss {}", "x".repeat(70_000))),
            Seed::refused("a number of 70,000 digits", format!("train --epochs {}", "1".repeat(70_000))),
            Seed::refused("a size of 70,000 digits", format!("train --layers {}", "1".repeat(70_000))),
            Seed::refused("a value that a terminal would obey", "train --layers \u{1b}[31m1\u{85}2"),
            Seed::refused("an option that a terminal would obey", "train --\u{1b}[31m\u{202e}"),
            Seed::refused("a command that a terminal would obey", "\u{1b}[31m\u{202e}"),
            Seed::refused("a value with a line break", "train --loss a\u{b}b"),
        ];
        fuzz("command lines", &seeds, 300, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            // A word may hold a line break: here a vertical tab stands for one.
            let words = text.split([' ', '\t', '\n']).map(|word| word.replace('\u{b}', "\n"));
            match Program::try_parse_from(std::iter::once("backflow".to_owned()).chain(words)) {
                Err(error) if error.use_stderr() => Err(Failure::from(error).message()),
                _ => Ok(()),
            }
        });
    }
}
