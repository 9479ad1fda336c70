//! `backflow optimizers`: everything there is, in lines that fit, and one thing in full.

use backflow_optim::{RULES, SCHEDULES};
use std::process::{Command, Output};

fn backflow(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_backflow")).args(arguments).output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = backflow(arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What is left when it does not matter where lines were broken.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_rule_and_schedule_is_listed_with_formula_defaults_and_reference() {
    let list = printed(&["optimizers"]);
    for line in list.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    let lines: Vec<&str> = list.lines().collect();
    let flowing = joined(&list);
    let rules = RULES.iter().map(|rule| (rule.name, rule.formula, rule.defaults(), rule.reference));
    let schedules = SCHEDULES.iter().map(|it| (it.name, it.formula, it.defaults(), it.reference));
    for (name, formula, defaults, reference) in rules.chain(schedules) {
        assert_eq!(lines.iter().filter(|line| **line == name).count(), 1, "{name}");
        let entry = joined(&format!("{name} {formula} {defaults} {reference}"));
        assert!(flowing.contains(&entry), "{entry} in:\n{list}");
    }
    for part in ["for=500/cosine", "milestones=500:1000", "it observes the mean training loss of each epoch"]
    {
        assert!(flowing.contains(part), "{part} in:\n{list}");
    }
}

#[test]
fn each_is_shown_in_full_under_any_spelling_of_its_name() {
    for name in RULES.iter().map(|rule| rule.name).chain(SCHEDULES.iter().map(|schedule| schedule.name)) {
        let text = printed(&["optimizers", name]);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.starts_with(&format!("{name}, a")), "{text}");
        assert_eq!(text, printed(&["optimizers", &name.to_uppercase().replace('-', "_")]), "{name}");
    }
    let adam = printed(&["optimizers", "adam"]);
    for part in [
        "adam, an optimizer",
        "    lr=0.001\n",
        "    beta2=0.999\n",
        "torch.optim.Adam",
        "--optimizer adam:lr=0.001",
    ] {
        assert!(adam.contains(part), "{part} in:\n{adam}");
    }
    for (name, part) in
        [("multistep", "milestones=500:1000"), ("plateau", "it observes"), ("linear", "for=500/")]
    {
        assert!(printed(&["optimizers", name]).contains(part), "{name}");
    }
    let cosine = printed(&["optimizers", "cosine"]);
    assert!(cosine.contains("cosine, a schedule") && cosine.contains("--schedule cosine:"), "{cosine}");
}

#[test]
fn an_unknown_name_is_one_line_that_lists_the_known_ones() {
    let output = backflow(&["optimizers", "adamx"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), message.lines().count(), output.stdout.len()), (Some(2), 1, 0));
    assert!(
        message.contains("\"adamx\"; did you mean adam? There are gd, ")
            && message.contains("adamw")
            && message.contains("cosine"),
        "{message}"
    );
}
