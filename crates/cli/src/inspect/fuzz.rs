//! Whatever a run's folder holds, `inspect` shows it or says what is wrong. `backflow_testkit::fuzz` says how a long run is
//! made.

use super::runs::{differing, settings, shared};
use super::{
    Results, RunFacts, VerdictFacts, epochs, event_file, header, last_epoch, measured, missing, record_at,
    rising,
};
use crate::config::RunConfig;
use backflow_probe::GradFlow;
use backflow_probe::text::printable;
use backflow_report::{FlowPage, FlowRun, RunsPage, runs_table};
use backflow_testkit::{Seed, fuzz};
use backflow_train::RunFolder;
use std::path::Path;

const OLDER: &str = include_str!("../../../probe/tests/logs/version-0.1.jsonl");
const PRESENT: &str = include_str!("../../../probe/tests/logs/version-2.jsonl");

/// Of a run of the network in these logs.
const CONFIG: &str = r#"{"version":"0.1.0","data":"embedded","layers":[4,4,4,4],"activation":"relu","init":"he-normal:gain=1.2",
    "optimizer":"adam","learning_rate":0.001,"schedule":"cosine","schedule_of":["beta1=cosine"],"clip_norm":1.0,"batch_size":32,
    "epochs":2,"seed":0,"dtype":"f32","threads":2,"loss":"mse","limit":1500,"accumulate":4,"flush_to_zero":true,"input_mean_square":1.5}"#;

const SUMMARY: &str = r#"{"steps":4,"history":[{"epoch":1,"train_loss":2.3,"test_loss":2.2,"test_accuracy":0.5},
    {"epoch":2,"train_loss":1.3,"test_loss":1.2,"test_accuracy":0.6}]}"#;

/// What no page and no figure has by itself.
const MARK: &str = "<hostile";

/// A name in JSON that ends attributes, scripts and paths.
const HOSTILE: &str = r#"\"'></script></title><hostile>/../../x"#;

#[allow(clippy::disallowed_methods, reason = "a crash of this test may leave half a file in its folder")]
pub(super) fn put(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// All that `inspect` makes of a run, but that nothing is written or printed.
fn shown(path: &Path) -> Result<(), String> {
    let log = RunFolder::read_flow(path).map_err(|error| missing(path, error).message())?;
    let flow = rising(log.steps);
    let config: Option<RunConfig> = RunFolder::read_config(path);
    for step in [None, flow.first().map(|record| record.step)] {
        let index = record_at(path, &flow, step).map_err(|failure| failure.message())?;
        let shown = GradFlow::of(&flow[index..=index]);
        let _ = shown.lines(Some(40));
        let facts = RunFacts {
            run: String::new(),
            records: flow.len(),
            first_step: 0,
            last_step: 0,
            config: config.as_ref(),
            record: &flow[index],
            layers: shown.rows(),
            verdicts: shown.verdicts().iter().map(VerdictFacts::from).collect(),
        };
        serde_json::to_string(&facts).unwrap();
    }
    measured(&flow);
    let _ = GradFlow::of(&flow).lines(None);
    let last_epoch = GradFlow::of(last_epoch(&flow, config.as_ref()));
    let header = header(&flow, &last_epoch, config.as_ref());
    let page = FlowPage::new(&flow, &header);
    let mut drawn: Vec<String> = vec![page.html(), FlowPage::new(&flow, &header).at(2).html()];
    let mut files = Vec::new();
    drawn.extend(page.svgs().into_iter().map(|(name, svg)| (files.push(name), svg).1));
    let _ = event_file(path, &flow).into_bytes();
    // Beside itself, as if it were another.
    let configs = [settings(config.as_ref()), settings(None)];
    let differing = differing(&configs);
    let run = |name: &str| FlowRun {
        name: name.to_owned(),
        steps: &flow,
        settings: differing.iter().map(|name| (name.clone(), String::new())).collect(),
        verdicts: last_epoch.verdicts(),
        epochs: epochs(path),
    };
    let runs = [run("a"), run("b")];
    let page = RunsPage { setup: shared(&configs, &differing), runs: &runs, step: None };
    let _ = runs_table(&page).lines(Some(80));
    drawn.push(page.html());
    drawn.extend(page.svgs().into_iter().map(|(name, svg)| (files.push(name), svg).1));
    // What a browser would obey is written as escapes.
    for text in &drawn {
        let at = text.find(MARK).map(|at| &text[at.saturating_sub(200)..]);
        assert!(at.is_none(), "a name is markup: {at:?}");
        let hidden = text.lines().find(|line| printable(line) != *line);
        assert!(hidden.is_none(), "{hidden:?}");
    }
    let is_file = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    assert!(files.iter().all(is_file), "{files:?}");
    Ok(())
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("config.json", CONFIG), ("summary.json", SUMMARY), ("flow.jsonl", PRESENT)] {
        put(&folder.path().join(name), text.as_bytes());
    }
    folder
}

#[test]
fn runs_of_any_log_are_shown() {
    let seeds = [
        Seed::taken("of this version", PRESENT),
        Seed::taken("of version 0.1", OLDER),
        Seed::taken("the last line is cut off", &PRESENT[..PRESENT.len() - 40]),
        Seed::taken("one record", PRESENT.lines().next().unwrap()),
        Seed::taken("steps that fall", PRESENT.replace(r#""step":1,"#, r#""step":18446744073709551615,"#)),
        Seed::taken("a layer of 70,000 bytes", PRESENT.replace("activations.0", &"l".repeat(70_000))),
        Seed::taken(
            "a layer that a terminal would obey",
            PRESENT.replace("layers.1", r"a\u001b[31m\u202e\nb"),
        ),
        Seed::taken("counts at the end of their type", PRESENT.replace(":4,", ":18446744073709551615,")),
        Seed::taken(
            "chains at the end of their type",
            PRESENT.replace(r#""chain":1"#, r#""chain":18446744073709551615"#),
        ),
        Seed::taken(
            "bins at the end of their type",
            PRESENT.replace("[3,9,4]", "[18446744073709551615,18446744073709551615]"),
        ),
        Seed::taken(
            "exponents at the end of their range",
            PRESENT.replace(r#""first":-20"#, r#""first":1023"#),
        ),
        Seed::taken("figures at the end of their range", PRESENT.replace("0.9,", "1.7976931348623157e308,")),
        Seed::taken(
            "bins that are more together than their type holds",
            PRESENT.replace(
                r#""first":-20,"counts":[3,9,4]"#,
                r#""first":-1000,"counts":[18446744073709551615,18446744073709551615]"#,
            ),
        ),
        Seed::taken("layers that are markup", PRESENT.replace("layers.", HOSTILE)),
        Seed::taken("parameters that are markup", PRESENT.replace("weight\"", &format!("{HOSTILE}\""))),
        Seed::taken(
            "functions that are markup",
            PRESENT.replace(r#""name":"relu""#, &format!(r#""name":"{HOSTILE}""#)),
        ),
        Seed::taken("quantities that are markup", PRESENT.replace("made_up", HOSTILE)),
        Seed::taken("reasons that are markup", PRESENT.replace("the loss is", HOSTILE)),
        Seed::refused("no record", ""),
        Seed::refused("a million bins", PRESENT.replace("[3,9,4]", &format!("[{}1]", "1,".repeat(999_999)))),
    ];
    let folder = folder();
    fuzz("a run's log", &seeds, 60, |bytes| {
        put(&folder.path().join("flow.jsonl"), bytes);
        shown(folder.path())
    });
}

#[test]
fn runs_of_any_configuration_and_summary_are_shown() {
    let configured = |from: &str, to: &str| {
        assert!(CONFIG.contains(from), "{from}");
        CONFIG.replace(from, to)
    };
    let summed = |from: &str, to: &str| {
        assert!(SUMMARY.contains(from), "{from}");
        SUMMARY.replace(from, to)
    };
    // What is not read as it should be is done without, so that a file is taken if it is one.
    let seeds = [
        Seed::taken("a configuration", CONFIG),
        Seed::taken("a summary", SUMMARY),
        Seed::taken("layers of 2⁶³", configured("[4,4,4,4]", "[4,9223372036854775808,4]")),
        Seed::taken("no layers", configured("[4,4,4,4]", "[]")),
        Seed::taken("ten thousand layers", configured("[4,4,4,4]", &format!("[{}4]", "4,".repeat(9999)))),
        Seed::taken("epochs without end", configured(r#""epochs":2"#, r#""epochs":18446744073709551615"#)),
        Seed::taken("no epochs", configured(r#""epochs":2"#, r#""epochs":0"#)),
        Seed::taken("an infinite input", configured("1.5}", "1.7976931348623157e308}")),
        Seed::taken("a rule that a terminal would obey", configured("adam", r"a\u001b[31m\u202e\nb")),
        Seed::taken("a rule of 70,000 letters", configured("adam", &"a".repeat(70_000))),
        Seed::taken("an init that is none", configured("he-normal:gain=1.2", "uniform:-1e308:1e308")),
        Seed::taken("steps without end", summed(r#""steps":4"#, r#""steps":18446744073709551615"#)),
        Seed::taken("an epoch without end", summed(r#""epoch":2"#, r#""epoch":18446744073709551615"#)),
        Seed::taken("a figure of another type", summed("0.6", r#""many""#)),
        Seed::taken("an optimizer that is markup", configured("adam", HOSTILE)),
        Seed::taken("a folder that is markup", configured("embedded", HOSTILE)),
        Seed::taken("a figure that is markup", summed("test_accuracy", HOSTILE)),
        Seed::taken("a figure that a terminal would obey", summed("test_accuracy", r"a\u001b[31m\u202e\nb")),
        Seed::taken("a figure of 70,000 letters", summed("test_accuracy", &"a".repeat(70_000))),
        Seed::refused("empty", ""),
        Seed::refused("not JSON", "<html>404"),
        Seed::refused("lists in lists", "[".repeat(10_000)),
    ];
    let folder = folder();
    fuzz("a run's configuration", &seeds, 60, |bytes| {
        put(&folder.path().join("config.json"), bytes);
        put(&folder.path().join("summary.json"), bytes);
        shown(folder.path()).expect("the log is there");
        let is_one = RunFolder::read_config::<RunConfig>(folder.path()).is_some()
            || RunFolder::read_summary::<Results>(folder.path()).is_some();
        if is_one { Ok(()) } else { Err("neither a configuration nor a summary".to_owned()) }
    });
}
