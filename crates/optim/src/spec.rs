//! Rules and schedules by name: `sgd:momentum=0.9,nesterov=true`, `cosine:steps=1000,warmup=50`; schedules
//! one after another: `constant:for=500/cosine:steps=1000`.
//!
//! A spec comes from outside the program, so whatever is wrong with it is an error that says what would be
//! right. The same checks guard the builders, where a value out of range is a mistake in the program and
//! panics.

use crate::hyperparameter::{Hyperparameter, Settings};
use crate::method::Method;
use crate::rules::{RULES, RuleInfo};
use crate::schedule::Schedule;
use crate::schedules::{SCHEDULES, ScheduleInfo};
use backflow_tensor::misuse;
use backflow_tensor::quote::quoted;
use backflow_tensor::spelling::did_you_mean;

/// What is wrong with a spec, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// There is nothing of that name.
    #[error("there is no {kind} \"{}\"; {} {}", quoted(name), did_you_mean(name, "there are", known.iter().copied()), known.join(", "))]
    UnknownName {
        /// `optimizer` or `schedule`.
        kind: &'static str,
        /// The name.
        name: String,
        /// All names.
        known: Vec<&'static str>,
    },
    /// An option is not of the form `key=value`.
    #[error("{name}: \"{}\" is not of the form key=value; write {name}:key=value,key=value", quoted(option))]
    Malformed {
        /// The optimizer or schedule.
        name: &'static str,
        /// The text in question.
        option: String,
    },
    /// There is no such option.
    #[error("{name} has no option \"{}\"; {} {}", quoted(key), did_you_mean(key, "it has", known.iter().map(String::as_str)), known.join(", "))]
    UnknownOption {
        /// The optimizer or schedule.
        name: &'static str,
        /// The key.
        key: String,
        /// All options, each with what it may be.
        known: Vec<String>,
    },
    /// An option is given twice.
    #[error("{name}: {key} is given twice")]
    Repeated {
        /// The optimizer or schedule.
        name: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A value is not a number, or not an allowed one.
    #[error("{name}: {key}={} is not possible; expected {expected}{}", quoted(value), missing_comma(value))]
    Value {
        /// The optimizer or schedule.
        name: &'static str,
        /// The option.
        key: &'static str,
        /// The value.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// An option without a default is not given.
    #[error("{name} needs {key}, {expected}: {name}:{key}=…")]
    Missing {
        /// The optimizer or schedule.
        name: &'static str,
        /// The option.
        key: &'static str,
        /// What it may be.
        expected: String,
    },
    /// Options that do not go together, or not where they are.
    #[error("{name}: {reason}")]
    Conflict {
        /// The optimizer or schedule.
        name: &'static str,
        /// Which, and why.
        reason: &'static str,
    },
}

/// The schedule that a text such as `cosine:steps=1000,warmup=50` names; [`SCHEDULES`] lists names and
/// options.
///
/// Several, joined by `/`, follow one another ([`Sequence`](crate::Sequence)); each but the last says `for`
/// how many steps: `constant:for=500/cosine:steps=1000`.
///
/// ```
/// use backflow_optim::{Schedule, schedule_from_spec};
/// let schedule = schedule_from_spec("step:every=10,gamma=0.5").unwrap();
/// assert_eq!(schedule.learning_rate(1.0, 25), 0.25);
/// let error = schedule_from_spec("cosine").unwrap_err();
/// assert_eq!(error.to_string(), "cosine needs steps, an integer of at least 1: cosine:steps=…");
/// ```
///
/// # Errors
/// If the text names no schedule, or gives it options that it does not have, twice, or outside their range,
/// or if an option without a default is missing.
pub fn schedule_from_spec(spec: &str) -> Result<Box<dyn Schedule>, SpecError> {
    sequence(spec, None)
}

/// The schedule of this spec in a run of `steps` steps: as [`schedule_from_spec`], but where the last
/// schedule needs to know its `steps` and is not told, it ends with the run.
///
/// ```
/// use backflow_optim::{Schedule, schedule_for_run};
/// let schedule = schedule_for_run("constant:for=500/cosine", 1500).unwrap();
/// assert_eq!([500, 1000, 1500].map(|s| schedule.learning_rate(1.0, s)), [1.0, 0.5, 0.0]);
/// ```
///
/// # Errors
/// As [`schedule_from_spec`].
pub fn schedule_for_run(spec: &str, steps: u64) -> Result<Box<dyn Schedule>, SpecError> {
    sequence(spec, Some(steps))
}

/// A run has a few phases. A text of thousands would be schedules within schedules, too deep for the stack.
const MOST_PARTS: usize = 100;

/// The schedules that `/` joins, in a run whose length may be known.
fn sequence(spec: &str, run: Option<u64>) -> Result<Box<dyn Schedule>, SpecError> {
    if spec.split('/').count() > MOST_PARTS {
        let reason = "there are more than 100 schedules";
        return Err(SpecError::Conflict { name: "sequence", reason });
    }
    let Some((part, rest)) = spec.split_once('/') else { return single(spec, Follows::Nothing(run)) };
    let mut steps = 0;
    let first = single(part, Follows::After(&mut steps))?;
    // What begins when the run is over never asks how long it lasts.
    let left = run.map(|run| run.saturating_sub(steps).max(1));
    Ok(Box::new(first.then_after(steps, sequence(rest, left)?)))
}

/// What comes after a schedule: another one after so many steps, or nothing, in a run that may have so many
/// left.
enum Follows<'a> {
    After(&'a mut u64),
    Nothing(Option<u64>),
}

fn single(spec: &str, follows: Follows<'_>) -> Result<Box<dyn Schedule>, SpecError> {
    let (name, options) = split(spec);
    let known = SCHEDULES.iter().map(|info| info.name);
    let info = ScheduleInfo::find(name).ok_or_else(|| unknown("schedule", name, known))?;
    let given = |key| options.iter().any(|option| option.split('=').next().map(str::trim) == Some(key));
    let mut schedule = (info.make)().warmup(0);
    let mut settings = schedule.hyperparameters();
    match follows {
        Follows::After(steps) => settings.push(Hyperparameter::count("for", steps, 1)),
        Follows::Nothing(_) if given("for") => {
            let reason = "for= says when the next schedule begins, and none follows; join them by /";
            return Err(SpecError::Conflict { name: info.name, reason });
        }
        Follows::Nothing(run) => {
            let steps = settings.iter_mut().find(|setting| setting.name() == "steps");
            if let (Some(steps), Some(run)) = (steps, run) {
                steps.set(&run.to_string());
            }
        }
    }
    assign(info.name, &options, settings)?;
    Ok(Box::new(schedule))
}

/// Whether this is the name: upper case, `-` and `_` do not count.
pub(crate) fn is_name(name: &str, given: &str) -> bool {
    plain(name) == plain(given)
}

fn plain(name: &str) -> String {
    name.replace(['-', '_'], "").to_ascii_lowercase()
}

/// A hint for a value that goes on as another option does.
fn missing_comma(value: &str) -> &'static str {
    if value.contains('=') { "; is a comma missing between two options?" } else { "" }
}

/// The rule that `spec` names.
pub(crate) fn rule(spec: &str, learning_rate: Option<f64>) -> Result<Method, SpecError> {
    let (name, mut options) = split(spec);
    let known = RULES.iter().map(|info| info.name);
    let info = RuleInfo::find(name).ok_or_else(|| unknown("optimizer", name, known))?;
    let separate = learning_rate.map(|lr| format!("lr={lr:?}"));
    options.extend(separate.as_deref());
    let Method { mut rule, .. } = (info.make)();
    assign(info.name, &options, rule.hyperparameters())?;
    match rule.conflict() {
        Some(reason) => Err(SpecError::Conflict { name: info.name, reason }),
        None => Ok(Method::new(rule)),
    }
}

fn unknown(kind: &'static str, name: &str, known: impl Iterator<Item = &'static str>) -> SpecError {
    SpecError::UnknownName { kind, name: name.to_owned(), known: known.collect() }
}

/// The name, and the options that follow it.
fn split(spec: &str) -> (&str, Vec<&str>) {
    match spec.split_once(':') {
        None => (spec.trim(), vec![]),
        Some((name, options)) => (name.trim(), options.split(',').map(str::trim).collect()),
    }
}

fn assign(
    name: &'static str,
    options: &[&str],
    mut settings: Vec<Hyperparameter<'_>>,
) -> Result<(), SpecError> {
    let mut given = Vec::new();
    for &option in options {
        let Some((key, value)) = option.split_once('=') else {
            return Err(SpecError::Malformed { name, option: option.to_owned() });
        };
        let (key, value) = (key.trim(), value.trim());
        let Some(idx) = settings.iter().position(|setting| setting.name() == key) else {
            let known = settings
                .iter()
                .map(|setting| format!("{} ({})", setting.name(), setting.expected()))
                .collect();
            return Err(SpecError::UnknownOption { name, key: key.to_owned(), known });
        };
        let key = settings[idx].name();
        if given.contains(&idx) {
            return Err(SpecError::Repeated { name, key });
        }
        given.push(idx);
        if !settings[idx].set(value) {
            let expected = settings[idx].expected();
            return Err(SpecError::Value { name, key, value: value.to_owned(), expected });
        }
    }
    match settings.iter().find(|setting| !setting.is_valid()) {
        Some(setting) => Err(SpecError::Missing { name, key: setting.name(), expected: setting.expected() }),
        None => Ok(()),
    }
}

/// Panics if a setting of what a program built is out of range.
#[track_caller]
pub(crate) fn require(name: &str, settings: Vec<Hyperparameter<'_>>) {
    if let Some(setting) = settings.iter().find(|setting| !setting.is_valid()) {
        let rows = [(setting.name(), setting.value()), ("expected", setting.expected())];
        misuse(name, &format!("{} is out of range", setting.name()), &rows, "");
    }
}

/// Options with their values, as a spec writes them.
pub(crate) fn defaults(settings: &[Hyperparameter<'_>]) -> String {
    let one = |setting: &Hyperparameter<'_>| {
        let value = if setting.is_valid() { setting.value() } else { "…".to_owned() };
        format!("{}={value}", setting.name())
    };
    settings.iter().map(one).collect::<Vec<_>>().join(", ")
}
