//! `train --resume RUN`: a run that was cut goes on, as it was asked for at its beginning.
//!
//! What was asked for is the command line of then, which `config.json` keeps. What is asked for now and has no part in the
//! results (threads, times, checkpoints) holds; the rest is refused by name where it differs.

use super::TrainOptions;
use super::saving::CONFIGURATION;
use crate::config::RunConfig;
use crate::failure::Failure;
use crate::setup::usage;
use backflow_data::Batch;
use backflow_optim::{Schedule, schedule_for_run};
use backflow_store::Checkpoint;
use backflow_tensor::Tensor;
use backflow_tensor::quote::quoted;
use backflow_train::RunFolder;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

/// What may be asked for anew.
const FREE: [&str; 8] =
    ["resume", "epochs", "threads", "checkpoint_every", "keep", "time_limit", "profile", "json"];

/// The command line behind `backflow train`.
#[derive(Parser)]
#[command(name = "backflow train", args_override_self = true)]
struct Line {
    #[command(flatten)]
    options: TrainOptions,
}

/// A run as it was asked for, and what was asked for now that holds.
pub(super) struct Asked {
    pub(super) options: TrainOptions,
    /// The command line that would ask for all of that.
    pub(super) arguments: Vec<String>,
    pub(super) config: RunConfig,
}

/// What is asked for of the run in this folder by the present command line.
pub(super) fn asked(run: &Path, present: Vec<OsString>) -> Result<Asked, Failure> {
    let damaged = |reason: String| Failure::Run(format!("{}: {reason}", run.join("config.json").display()));
    let config: RunConfig = RunFolder::read_config(run).ok_or_else(|| {
        Failure::Run(format!("{}: holds no run to go on with; name the folder of one", run.display()))
    })?;
    if config.arguments.is_empty() {
        return Err(damaged("does not say how the run was begun, so that it cannot go on".to_owned()));
    }
    let first = matches(config.arguments.iter().map(OsString::from).collect())
        .map_err(|error| damaged(Failure::from(error).message()))?;
    let now = matches(present)?;
    let command = Line::command();
    let mut arguments = config.arguments.clone();
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        if now.try_contains_id(id).is_err() || now.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        if FREE.contains(&id) {
            if !["resume", "json"].contains(&id) {
                arguments.extend(written(arg, &now));
            }
        } else if values(&first, id) != values(&now, id) {
            return Err(refused(arg, &first, &now));
        }
    }
    let all = matches(arguments.iter().map(OsString::from).collect())?;
    let mut options = Line::from_arg_matches(&all)?.options;
    options.out = Some(run.to_owned());
    options.json = now.get_flag("json");
    if options.epochs < config.epochs {
        let reason = format!("the run was asked for {}; a run goes on with as many or more", config.epochs);
        return Err(usage(&format!("--epochs {}", options.epochs), reason));
    }
    Ok(Asked { options, arguments, config })
}

fn matches(arguments: Vec<OsString>) -> Result<ArgMatches, clap::Error> {
    Line::command().try_get_matches_from(std::iter::once("backflow train".into()).chain(arguments))
}

/// The values of an option, as they were written or by default.
fn values(matches: &ArgMatches, id: &str) -> Vec<String> {
    let raw = matches.get_raw(id).into_iter().flatten();
    raw.map(|value| value.to_string_lossy().into_owned()).collect()
}

/// An option as a command line has it.
fn written(arg: &Arg, matches: &ArgMatches) -> Vec<String> {
    let name = format!("--{}", arg.get_long().unwrap_or_default());
    match arg.get_action() {
        ArgAction::SetTrue => vec![name],
        _ => values(matches, arg.get_id().as_str())
            .into_iter()
            .flat_map(|value| [name.clone(), value])
            .collect(),
    }
}

fn refused(arg: &Arg, first: &ArgMatches, now: &ArgMatches) -> Failure {
    let in_words = |matches| match values(matches, arg.get_id().as_str()) {
        values if values.is_empty() => "without it".to_owned(),
        values => format!("with {}", quoted(&values.join(" "))),
    };
    let was = in_words(first);
    let reason = format!("the run was begun {was}, and goes on as it was begun; leave the option out");
    usage(&written(arg, now).join(" "), reason)
}

/// What a checkpoint says of the run: the configuration, and of the data what tells them from others.
pub(super) fn configuration(config: &RunConfig, data: [u64; 3]) -> Vec<u8> {
    let value = serde_json::json!({ "configuration": config, "data": data });
    serde_json::to_vec(&value).expect("a configuration is JSON")
}

/// A number that tells data from others: FNV-1a over the numbers of a batch.
pub(super) fn fingerprint(batch: &Batch) -> u64 {
    let numbers = [&batch.inputs, &batch.targets].map(Tensor::to_f64_vec).into_iter().flatten();
    numbers.fold(0xcbf2_9ce4_8422_2325, |hash, x| (hash ^ x.to_bits()).wrapping_mul(0x0100_0000_01b3))
}

/// Keys of the configuration that have no part in the results.
const WITHOUT_EFFECT: [&str; 4] = ["threads", "arguments", "epochs", "looks_of_epochs"];

/// Refuses a checkpoint of a run with another configuration or other data, by the name of what differs.
pub(super) fn require_same(checkpoint: &Checkpoint, now: &[u8]) -> Result<(), Failure> {
    let other = |what: &str, then: &Value, now: &Value| {
        let [then, now] = [then, now].map(|value| quoted(&value.to_string()).into_owned());
        let path = checkpoint.path().display();
        Failure::Run(format!(
            "{path}: {what} was {then} and is {now}; a run goes on with what it was begun with"
        ))
    };
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let (then, now) = (read(checkpoint.get(CONFIGURATION)?), read(now));
    let (of_then, of_now) = (&then["configuration"], &now["configuration"]);
    let keys = |value: &Value| {
        value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
    };
    let all: BTreeSet<String> = [keys(of_then), keys(of_now)].into_iter().flatten().collect();
    for key in all.iter().filter(|key| !WITHOUT_EFFECT.contains(&key.as_str())) {
        if of_then[key] != of_now[key] {
            return Err(other(key, &of_then[key], &of_now[key]));
        }
    }
    if then["data"] != now["data"] {
        let what = "the data (examples to train on and to test by, checksum of the first batch)";
        return Err(other(what, &then["data"], &now["data"]));
    }
    Ok(())
}

/// Refuses more epochs where a schedule goes by the length of the run: the steps so far would have been others.
pub(super) fn require_prolongable(
    options: &TrainOptions,
    steps_made: u64,
    [before, after]: [u64; 2],
) -> Result<(), Failure> {
    let specs =
        options.schedule_of.iter().filter_map(|spec| spec.split_once('=').map(|(_, schedule)| schedule));
    for spec in specs.chain([&*options.schedule]).filter(|_| before != after) {
        let schedules = [before, after].map(|steps| schedule_for_run(spec, steps));
        let [Ok(before), Ok(after)] = schedules else { continue };
        let rates = |schedule: &dyn Schedule, step| schedule.learning_rate(1.0, step).to_bits();
        if (0..steps_made).any(|step| rates(&before, step) != rates(&after, step)) {
            let reason = format!(
                "{} goes by the length of the run, so that the steps so far would have been others; only schedules that \
                 do not, such as constant, can go on for longer",
                quoted(spec)
            );
            return Err(usage(&format!("--epochs {}", options.epochs), reason));
        }
    }
    Ok(())
}
