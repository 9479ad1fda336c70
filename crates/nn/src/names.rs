//! How activations and initialisers are written in configurations: `name`, or `name:number` where there is
//! something to choose, as in `leaky-relu:0.2` or `normal:0:0.02`. Settings that may be left out have names,
//! as those of optimizers and schedules: `he-normal:gain=1.2,bias_var=0.05`.
//!
//! The table of all values serves three ends: it parses, it fills error messages, and it documents itself.

use backflow_tensor::quote::quoted;
use backflow_tensor::spelling::did_you_mean;
use std::fmt::Display;

/// A name from a configuration that cannot be understood. The message lists what can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no such name.
    #[error("there is no {kind} `{}`; {}: {known}", quoted(name), did_you_mean(name, "there are", known.split([',', ';'])))]
    Unknown {
        /// What was looked for, e.g. `activation`.
        kind: &'static str,
        /// What was found.
        name: String,
        /// Everything that could have been there.
        known: String,
    },
    /// The name exists, but not with these numbers.
    #[error("`{}` is not a valid {kind}: write it like `{example}`", quoted(text))]
    Numbers {
        /// What was looked for, e.g. `initialiser`.
        kind: &'static str,
        /// What was found.
        text: String,
        /// The name with numbers that suit it.
        example: String,
    },
    /// A setting is not of the form `key=value`.
    #[error("{name}: \"{}\" is not of the form key=value; write {name}:key=value,key=value", quoted(setting))]
    MalformedSetting {
        /// What has the settings.
        name: &'static str,
        /// The text in question.
        setting: String,
    },
    /// There is no such setting.
    #[error("{name} has no setting \"{}\"; {} {known}", quoted(key), did_you_mean(key, "it has", known.split(',')))]
    UnknownSetting {
        /// What has the settings.
        name: &'static str,
        /// The key.
        key: String,
        /// All settings, each with what it may be.
        known: String,
    },
    /// A setting is given twice.
    #[error("{name}: {key} is given twice")]
    RepeatedSetting {
        /// What has the settings.
        name: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A value is not a number, or not an allowed one.
    #[error("{name}: {key}={} is not possible; expected {expected}", quoted(value))]
    SettingValue {
        /// What has the settings.
        name: &'static str,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
}

/// Reads `text` as one of the values that `make` makes of a name and its numbers; `all` has one value of each
/// name.
pub(crate) fn parse<T: Display>(
    kind: &'static str,
    text: &str,
    all: &[T],
    make: impl FnOnce(&str, &[f64]) -> Option<T>,
) -> Result<T, NameError> {
    let mut fields = text.trim().split(':');
    let name = fields.next().unwrap_or_default();
    let numbers: Option<Vec<f64>> =
        fields.map(|field| field.trim().parse().ok().filter(|x: &f64| x.is_finite())).collect();
    if let Some(value) = numbers.and_then(|numbers| make(name, &numbers)) {
        return Ok(value);
    }
    let known: Vec<String> = all.iter().map(ToString::to_string).collect();
    match known.iter().find(|known| known.split(':').next() == Some(name)) {
        Some(example) => Err(NameError::Numbers { kind, text: text.to_owned(), example: example.clone() }),
        None => Err(NameError::Unknown { kind, name: name.to_owned(), known: known.join(", ") }),
    }
}
