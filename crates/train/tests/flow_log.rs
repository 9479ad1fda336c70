//! The log of a flow through its versions.

use backflow_probe::{FlowStep, ParameterFlow};
use backflow_train::{FlowLog, RunFolder, TrainError};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::io::{Read, Write};
use std::path::Path;

/// As 0.1 wrote it.
const OLDER: &str = include_str!("../../probe/tests/logs/version-0.1.jsonl");

fn read_log(folder: &Path, text: &str) -> Result<FlowLog, TrainError> {
    let mut file = tempfile::NamedTempFile::new_in(folder).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.persist(folder.join("flow.jsonl")).unwrap();
    RunFolder::read_flow(folder)
}

fn read(folder: &Path, text: &str) -> Result<Vec<FlowStep>, TrainError> {
    read_log(folder, text).map(|log| log.steps)
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
    let mut text = String::new();
    GzDecoder::new(&*std::fs::read(run.join("flow.jsonl.gz")).unwrap()).read_to_string(&mut text).unwrap();
    (steps, text)
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
    for damaged in ["{\"step\":1\n", "{\"version\":2}", "{\"version\":\"two\",\"step\":1}", "[]"] {
        let error = read(folder.path(), &(text.clone() + damaged)).unwrap_err();
        assert!(matches!(error, TrainError::Flow { line: 3, .. }), "{damaged}: {error:?}");
    }
}

/// What editors, copies and crashes do to a log.
#[test]
fn a_mark_before_it_blank_lines_and_a_cut_last_line_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (steps, text) = written(folder.path());
    let lines: Vec<&str> = text.lines().collect();
    let same = |came: &[FlowStep], went: &[FlowStep]| format!("{came:?}") == format!("{went:?}");
    for changed in [
        format!("\u{feff}{text}"),
        format!("\n{}\n  \n\r\n{}\n\n", lines[0], lines[1]),
        text.replace('\n', "\r\n"),
        // Whole, without the line break.
        text.trim_end().to_owned(),
    ] {
        let log = read_log(folder.path(), &changed).unwrap();
        assert!(same(&log.steps, &steps) && log.cut_off.is_none(), "{changed}");
    }
    for kept in [1, 11, 40, lines[1].len() - 1] {
        let cut = format!("{}\n\n{}", lines[0], &lines[1][..kept]);
        let log = read_log(folder.path(), &cut).unwrap();
        assert!(same(&log.steps, &steps[..1]) && log.cut_off == Some(3), "{cut}");
        // In the middle it is damage.
        let error = read(folder.path(), &format!("{cut}\n{}\n", lines[0])).unwrap_err();
        assert!(matches!(error, TrainError::Flow { line: 3, .. }), "{error:?}");
    }
    for nothing in ["", "\n", "\u{feff}\n"] {
        assert!(read(folder.path(), nothing).unwrap().is_empty());
    }
}

/// A pipe into which nobody writes is not waited for.
#[cfg(unix)]
#[test]
fn a_log_that_is_a_pipe_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("flow.jsonl");
    assert!(std::process::Command::new("mkfifo").arg(&log).status().unwrap().success());
    let message = RunFolder::read_flow(folder.path()).unwrap_err().to_string();
    assert!(message.ends_with("flow.jsonl: cannot be read: it is a pipe, not a file"), "{message}");
}

/// 64 kB that stand for 64 MB: no log says so little with so much.
#[test]
fn a_packed_log_that_is_made_to_exhaust_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("flow.jsonl.gz");
    let read = |bytes: usize| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&vec![b'\n'; bytes]).unwrap();
        backflow_store::atomic::write(&log, &packed.finish().unwrap()).unwrap();
        RunFolder::read_flow(folder.path())
    };
    assert!(read((1 << 26) - 1).unwrap().steps.is_empty());
    let message = read(1 << 26).unwrap_err().to_string();
    assert!(message.contains("it holds 67108864 bytes or more, which no log of "), "{message}");
}

/// A packed log that is cut off anywhere holds what came before the cut; one that is damaged is refused.
#[test]
fn packed_logs_are_read_as_far_as_they_go() {
    let folder = tempfile::tempdir().unwrap();
    let steps: Vec<FlowStep> =
        (1..=200).map(|step| FlowStep { step, loss: 1.0 / step as f64, ..FlowStep::default() }).collect();
    let same = |came: &[FlowStep], went: &[FlowStep]| format!("{came:?}") == format!("{went:?}");
    let run = folder.path().join("run");
    RunFolder::create(&run, &"config").unwrap().save_flow(&steps, "").unwrap();
    let log = run.join("flow.jsonl.gz");
    let packed = std::fs::read(&log).unwrap();
    let whole = RunFolder::read_flow(&run).unwrap();
    assert!(same(&whole.steps, &steps) && whole.cut_off.is_none());
    let put = |bytes: &[u8]| backflow_store::atomic::write(&log, bytes).unwrap();
    for kept in (20..packed.len()).step_by(97) {
        put(&packed[..kept]);
        let cut = RunFolder::read_flow(&run).unwrap();
        assert!(same(&cut.steps, &steps[..cut.steps.len()]), "{kept}");
        assert!(cut.cut_off.is_some_and(|line| line == cut.steps.len() + 1), "{kept}: {:?}", cut.cut_off);
    }
    let mut damaged = packed.clone();
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    put(&damaged);
    assert!(RunFolder::read_flow(&run).unwrap_err().to_string().contains("flow.jsonl.gz: cannot be read: "));
    // Logs are joined as files are.
    put(&packed.repeat(2));
    assert!(same(&RunFolder::read_flow(&run).unwrap().steps, &[&steps[..], &steps].concat()));
    // One that is not packed is read where there is none that is, and goes with an earlier run.
    std::fs::remove_file(&log).unwrap();
    let mut text = String::new();
    GzDecoder::new(&*packed).read_to_string(&mut text).unwrap();
    assert!(same(&read(&run, &text).unwrap(), &steps));
    RunFolder::create(&run, &"config").unwrap();
    assert!(RunFolder::read_flow(&run).is_err());
}
