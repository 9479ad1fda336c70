//! The log of a flow through its versions.

use backflow_probe::{FlowStep, ParameterFlow};
use backflow_train::{RunFolder, TrainError};
use std::io::Write;
use std::path::Path;

/// As 0.1 wrote it.
const OLDER: &str = include_str!("../../probe/tests/logs/version-0.1.jsonl");

fn read(folder: &Path, text: &str) -> Result<Vec<FlowStep>, TrainError> {
    let mut file = tempfile::NamedTempFile::new_in(folder).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.persist(folder.join("flow.jsonl")).unwrap();
    RunFolder::read_flow(folder)
}

/// Two records, as they are in a log.
fn written(folder: &Path) -> (Vec<FlowStep>, String) {
    let mut steps: Vec<FlowStep> =
        (1..=2).map(|step| FlowStep { step, loss: f64::NAN, ..FlowStep::default() }).collect();
    let mut parameter = ParameterFlow { path: "weight".to_owned(), ..ParameterFlow::default() };
    parameter.more.insert("quantity".to_owned(), 1.0 / 3.0);
    steps[1].parameters.push(parameter);
    let run = folder.join("run");
    RunFolder::create(&run, &"config").unwrap().save_flow(&steps, "").unwrap();
    (steps, std::fs::read_to_string(run.join("flow.jsonl")).unwrap())
}

#[test]
fn older_logs_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let steps = read(folder.path(), OLDER).unwrap();
    assert!(!steps.is_empty() && steps.len() == OLDER.lines().count());
    assert!(!OLDER.contains("\"version\""));
    assert!(steps.iter().all(|flow| flow.parameters.iter().all(|parameter| parameter.more.is_empty())));
}

/// Wherever it is cut and whatever it is joined with.
#[test]
fn each_line_says_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let (steps, text) = written(folder.path());
    assert!(text.lines().all(|line| line.starts_with("{\"version\":2,\"step\":")), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let same = |came: &[FlowStep], went: &[FlowStep]| format!("{came:?}") == format!("{went:?}");
    assert!(same(&read(folder.path(), &text).unwrap(), &steps));
    assert!(same(&read(folder.path(), lines[1]).unwrap(), &steps[1..]));
    let joined = read(folder.path(), &(OLDER.to_owned() + &text)).unwrap();
    assert!(same(&joined[OLDER.lines().count()..], &steps));
    // A field that a later program adds without a new version is passed over.
    let added = lines[1].replacen("{\"version\":2,", "{\"version\":2,\"added\":[1],", 1);
    assert!(same(&read(folder.path(), &added).unwrap(), &steps[1..]));
}

#[test]
fn later_logs_are_refused_by_line_and_version() {
    let folder = tempfile::tempdir().unwrap();
    let (_, text) = written(folder.path());
    // What such a line holds besides may be anything.
    let error = read(folder.path(), &(text.clone() + "{\"version\":3,\"steps\":[]}\n")).unwrap_err();
    assert!(matches!(error, TrainError::LaterFlow { line: 3, version: 3, known: 2, .. }), "{error:?}");
    let message = error.to_string();
    assert!(
        message.contains("flow.jsonl: line 3: of version 3, and this program reads versions up to 2"),
        "{message}"
    );
    // What is damaged is called so.
    for damaged in ["{\"step\":1", "{\"version\":2}", "{\"version\":\"two\",\"step\":1}", "[]"] {
        let error = read(folder.path(), &(text.clone() + damaged)).unwrap_err();
        assert!(matches!(error, TrainError::Flow { line: 3, .. }), "{damaged}: {error:?}");
    }
}
