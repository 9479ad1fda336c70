//! `backflow optimizers`: what there is to choose from, as the library lists it.

use crate::failure::Failure;
use crate::terminal::line;
use backflow_optim::{RULES, RuleInfo, SCHEDULES, ScheduleInfo, SpecError};
use backflow_probe::text::wrapped;
use clap::Args;

/// Lines are no longer than this, so that they do not break in an ordinary window.
const WIDTH: usize = 100;

#[derive(Args, Debug)]
pub(crate) struct OptimizersOptions {
    /// One optimizer or schedule [default: all of them].
    name: Option<String>,
}

/// A rule or a schedule.
struct Entry {
    kind: &'static str,
    name: &'static str,
    formula: &'static str,
    defaults: String,
    reference: &'static str,
    full_batch: bool,
}

fn entries() -> Vec<Entry> {
    let rules = RULES.iter().map(|rule| Entry {
        kind: "optimizer",
        name: rule.name,
        formula: rule.formula,
        defaults: rule.defaults(),
        reference: rule.reference,
        full_batch: rule.full_batch,
    });
    let schedules = SCHEDULES.iter().map(|schedule| Entry {
        kind: "schedule",
        name: schedule.name,
        formula: schedule.formula,
        defaults: schedule.defaults(),
        reference: schedule.reference,
        full_batch: false,
    });
    rules.chain(schedules).collect()
}

pub(crate) fn run(options: &OptimizersOptions) -> Result<(), Failure> {
    let entries = entries();
    let Some(name) = &options.name else {
        list(&entries);
        return Ok(());
    };
    let found = RuleInfo::find(name).map(|rule| rule.name);
    let found = found.or_else(|| ScheduleInfo::find(name).map(|schedule| schedule.name));
    let Some(entry) = entries.iter().find(|entry| Some(entry.name) == found) else {
        let known = entries.iter().map(|entry| entry.name).collect();
        let error = SpecError::UnknownName { kind: "optimizer or schedule", name: name.clone(), known };
        return Err(Failure::Usage(error.to_string()));
    };
    in_full(entry);
    Ok(())
}

/// What every schedule takes, beside its own settings.
const JOINED: &str =
    "one after another, joined by /: each but the last says for= how many steps, constant:for=500/cosine";

/// What the formula of a schedule does not say.
fn remark(name: &str) -> Option<&'static str> {
    match name {
        "multistep" => Some("milestones: numbers of steps, joined by colons: multistep:milestones=500:1000"),
        "plateau" => Some("it observes the mean training loss of each epoch"),
        _ => None,
    }
}

fn list(entries: &[Entry]) {
    for (kind, title, hint) in [
        (
            "optimizer",
            "Optimizers: --optimizer NAME:KEY=VALUE,…",
            "g: the gradient, w: the weights, t: steps, this one included",
        ),
        (
            "schedule",
            "Schedules: --schedule NAME:KEY=VALUE,…",
            "s: steps made; … has to be given, only steps is the whole run where it is not",
        ),
    ] {
        line(title);
        line(hint);
        if kind == "schedule" {
            print(JOINED, "");
        }
        for entry in entries.iter().filter(|entry| entry.kind == kind) {
            line("");
            line(entry.name);
            for text in [entry.formula, &entry.defaults, entry.reference] {
                print(text, "    ");
            }
            if let Some(remark) = remark(entry.name) {
                line(&format!("    {remark}"));
            }
        }
        if kind == "optimizer" {
            line("");
        }
    }
}

/// One entry, a setting to a line, with the option that chooses it.
fn in_full(entry: &Entry) {
    line(&format!("{}, {} {}", entry.name, if entry.kind == "optimizer" { "an" } else { "a" }, entry.kind));
    print(entry.formula, "    ");
    if let Some(remark) = remark(entry.name) {
        line(&format!("    {remark}"));
    }
    if entry.full_batch {
        line("    on the whole training set at each step, which backflow compare sees to");
    }
    line("");
    line("settings and their defaults");
    entry.defaults.split(", ").for_each(|setting| line(&format!("    {setting}")));
    line("");
    line("from");
    print(entry.reference, "    ");
    if entry.kind == "schedule" {
        line("");
        print(JOINED, "");
    }
    line("");
    // A setting without a default has to be given.
    let first = entry.defaults.split(", ").find(|setting| setting.contains('…'));
    let first = first.or_else(|| entry.defaults.split(", ").next()).unwrap_or_default();
    line(&format!("backflow train --{} {}:{first}", entry.kind, entry.name));
}

/// Prints the text, which may break between words, behind an indent.
fn print(text: &str, indent: &str) {
    wrapped(text, WIDTH - indent.len()).iter().for_each(|text| line(&format!("{indent}{text}")));
}
