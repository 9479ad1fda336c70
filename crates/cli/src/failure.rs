//! How the program fails: one line on standard error, and an exit code.

use crate::terminal::complain;
use backflow_data::DataError;
use backflow_store::StoreError;
use backflow_tensor::quote::quoted;
use backflow_tensor::spelling::did_you_mean;
use backflow_train::TrainError;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::process::ExitCode;

/// The exit code of a program that Ctrl-C ended: 128 and the number of the signal.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why the program stops early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong: exit code 2.
    Usage(String),
    /// Something outside is wrong, a file or the training: exit code 1.
    Run(String),
    /// A signal or a time limit stopped it, and it can go on: exit code 75, by which batch systems know that it is to be
    /// started again (`EX_TEMPFAIL`).
    Stopped(String),
}

impl Failure {
    /// Prints the line and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (message, code) = match self {
            Self::Usage(message) => (message, 2),
            Self::Run(message) => (message, 1),
            Self::Stopped(message) => (message, 75),
        };
        complain(message);
        ExitCode::from(code)
    }
}

impl Failure {
    /// Fails with what all of these failed with: files that are written one after the other, whatever becomes
    /// of the others.
    pub(crate) fn of_any(results: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Self> {
        let messages: Vec<String> =
            results.into_iter().filter_map(|result| Some(result.err()?.message())).collect();
        if messages.is_empty() { Ok(()) } else { Err(Self::Run(messages.join("; "))) }
    }

    pub(crate) fn message(self) -> String {
        let (Self::Usage(message) | Self::Run(message) | Self::Stopped(message)) = self;
        message
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Run(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Run(error.to_string())
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        Self::Run(error.to_string())
    }
}

/// Clap's errors run over several lines; what they know is put into one.
impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.clone()),
            Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
            _ => None,
        };
        // A word of the command line may be of any length, break lines, and look like a style.
        let words = [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand];
        let words = words.into_iter().filter_map(text);
        let styled = error.render().ansi().to_string();
        let styled = words.fold(styled, |styled, word| styled.replace(&word, &quoted(&word)));
        let rendered = console::strip_ansi_codes(&styled);
        let first_line = rendered.lines().next().unwrap_or_default();
        let mut message = first_line.strip_prefix("error: ").unwrap_or(first_line).to_owned();
        match error.kind() {
            ErrorKind::MissingSubcommand => message = "no command given; try: backflow train".to_owned(),
            ErrorKind::InvalidValue => {
                if let Some(values) = text(ContextKind::ValidValue).filter(|values| !values.is_empty()) {
                    let given = text(ContextKind::InvalidValue).unwrap_or_default();
                    let there_is = did_you_mean(&given, "expected one of", values.split(','));
                    message = format!("{message}; {there_is}: {values}");
                }
            }
            ErrorKind::MissingRequiredArgument => {
                let missing = text(ContextKind::InvalidArg).unwrap_or_default();
                message = format!("{missing} is missing{}", help(&rendered));
            }
            _ => {}
        }
        if let Some(suggestion) =
            text(ContextKind::SuggestedArg).or_else(|| text(ContextKind::SuggestedSubcommand))
        {
            message = format!("{message}; did you mean {suggestion}?");
        } else if error.kind() == ErrorKind::UnknownArgument {
            message = format!("{message}{}", help(&rendered));
        }
        Self::Usage(message)
    }
}

/// Where to find out more: the command that clap's usage line is about.
fn help(rendered: &str) -> String {
    let usage = rendered.split_once("Usage: ").map_or("backflow", |(_, usage)| usage);
    let command: Vec<&str> =
        usage.split_whitespace().take_while(|word| !word.starts_with(['-', '[', '<'])).collect();
    format!("; see {} --help", command.join(" "))
}
