//! `backflow optimizers`: what there is to choose from, as the library lists it.

use crate::failure::Failure;
use crate::terminal::line;
use backflow_optim::{RULES, SCHEDULES};
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
    let Some(entry) = entries.iter().find(|entry| plain(entry.name) == plain(name)) else {
        let names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
        let message = format!("there is no optimizer or schedule {name:?}; there are {}", names.join(", "));
        return Err(Failure::Usage(message));
    };
    in_full(entry);
    Ok(())
}

/// A name as it is compared: case, `-` and `_` do not matter.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
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
        for entry in entries.iter().filter(|entry| entry.kind == kind) {
            line("");
            line(entry.name);
            for text in [entry.formula, &entry.defaults, entry.reference] {
                wrapped(text, "    ").iter().for_each(|text| line(text));
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
    wrapped(entry.formula, "    ").iter().for_each(|text| line(text));
    if entry.full_batch {
        line("    on the whole training set at each step, which backflow compare sees to");
    }
    line("");
    line("settings and their defaults");
    entry.defaults.split(", ").for_each(|setting| line(&format!("    {setting}")));
    line("");
    line("from");
    wrapped(entry.reference, "    ").iter().for_each(|text| line(text));
    line("");
    // A setting without a default has to be given.
    let first = entry.defaults.split(", ").find(|setting| setting.contains('…'));
    let first = first.or_else(|| entry.defaults.split(", ").next()).unwrap_or_default();
    line(&format!("backflow train --{} {}:{first}", entry.kind, entry.name));
}

/// The text in lines of at most [`WIDTH`], broken at spaces.
fn wrapped(text: &str, indent: &str) -> Vec<String> {
    let mut lines = vec![indent.to_owned()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is always one");
        let is_empty = last.len() == indent.len();
        if !is_empty && last.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("{indent}{word}"));
        } else {
            if !is_empty {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, plain, wrapped};

    #[test]
    fn lines_are_as_long_as_they_may_be_and_lose_no_word() {
        let text = ["θ"; 120].join(" ");
        let lines = wrapped(&text, "    ");
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH && line.starts_with("    θ")));
        assert_eq!(lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "), text);
    }

    #[test]
    fn names_match_whatever_their_case_and_hyphens() {
        assert_eq!(plain("Sign-SGD"), plain("sign_sgd"));
        assert_ne!(plain("sgd"), plain("asgd"));
    }
}
