//! What becomes of an earlier run in a folder, wherever the run that replaces it is cut short.

#![allow(clippy::disallowed_methods, reason = "tests put files where an earlier run would have left them")]

use backflow_nn::Linear;
use backflow_probe::FlowStep;
use backflow_store::{Checkpoint, Checkpoints};
use backflow_tensor::Rng;
use backflow_train::{Listener, RunFolder, StepRecord};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

const MODEL: &str = "model.safetensors";
const OTHERS: [&str; 6] =
    ["config.json", "metrics.jsonl", "summary.json", "flow.jsonl.gz", "flow.jsonl", "report.html"];

/// A run of which each file says whose it is and what it is.
fn put(folder: &Path, whose: &str, names: &[&str]) {
    fs::create_dir_all(folder).unwrap();
    names.iter().for_each(|name| fs::write(folder.join(name), format!("{whose} {name}")).unwrap());
}

/// The files that are there, by name, but for the lock, which stays.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let is_of_run = |entry: &fs::DirEntry| entry.path().is_file() && entry.file_name() != ".lock";
    let files = entries.map(|entry| entry.unwrap()).filter(is_of_run);
    files
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

/// A run in the folder keeps what was there, `whole`, in `earlier-run` until it has ended, and then is alone.
#[track_caller]
fn kept_until_the_end(folder: &Path, whole: &BTreeMap<String, String>) {
    let earlier = folder.join("earlier-run");
    for _ in 0..2 {
        // The first of them is killed here.
        RunFolder::create(folder, &"new").unwrap();
        assert_eq!(&files(&earlier), whole);
    }
    let run = RunFolder::create(folder, &"new").unwrap();
    assert_eq!(files(folder).into_keys().collect::<Vec<_>>(), ["config.json", "metrics.jsonl"]);
    run.save_model(&Linear::new(1, 1, &mut Rng::seed_from_u64(0))).unwrap();
    assert_eq!(&files(&earlier), whole);
    run.save_summary(&1).unwrap();
    assert!(!earlier.exists());
    assert_eq!(fs::read_to_string(folder.join("summary.json")).unwrap(), "1\n");
}

/// Killed while files are moved, the weights being the last: behind each of them, in two orders.
#[test]
fn nothing_is_lost_wherever_the_move_is_cut_short() {
    let backwards: Vec<&str> = OTHERS.into_iter().rev().chain([MODEL]).collect();
    for order in [[&OTHERS[..], &[MODEL]].concat(), backwards] {
        for moved in 0..=order.len() {
            let folder = tempfile::tempdir().unwrap();
            put(folder.path(), "first", &order);
            let whole = files(folder.path());
            put(&folder.path().join("earlier-run"), "first", &order[..moved]);
            order[..moved].iter().for_each(|name| fs::remove_file(folder.path().join(name)).unwrap());
            kept_until_the_end(folder.path(), &whole);
        }
    }
}

/// Whichever file cannot be moved, the weights are where they were, and the next run goes on with the move.
#[test]
fn the_weights_are_moved_last() {
    for name in OTHERS {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "first", &[&OTHERS[..], &[MODEL]].concat());
        let whole = files(folder.path());
        let in_the_way = folder.path().join("earlier-run").join(name);
        put(&in_the_way, "some", &["file"]);
        assert!(RunFolder::create(folder.path(), &"new").is_err(), "{name}");
        assert!(folder.path().join(MODEL).is_file(), "{name}");
        fs::remove_dir_all(&in_the_way).unwrap();
        kept_until_the_end(folder.path(), &whole);
    }
}

/// Whatever runs there were, ended or not: each with weights is kept, and all go once a run has ended.
#[test]
fn several_runs_with_weights_are_kept_each_in_a_folder() {
    let without_summary: Vec<&str> =
        OTHERS.into_iter().filter(|name| *name != "summary.json").chain([MODEL]).collect();
    let with_summary = [&OTHERS[..], &[MODEL]].concat();
    for first in [&with_summary, &without_summary] {
        for second in [&with_summary, &without_summary] {
            let folder = tempfile::tempdir().unwrap();
            let earlier = [folder.path().join("earlier-run"), folder.path().join("earlier-run-2")];
            put(&earlier[0], "first", first);
            put(folder.path(), "second", second);
            let whole = [files(&earlier[0]), files(folder.path())];
            let run = RunFolder::create(folder.path(), &"new").unwrap();
            assert_eq!(earlier.each_ref().map(|folder| files(folder)), whole);
            run.save_model(&Linear::new(1, 1, &mut Rng::seed_from_u64(0))).unwrap();
            run.save_summary(&1).unwrap();
            assert!(earlier.iter().all(|folder| !folder.exists()));
        }
    }
}

/// A run that was cut has its weights in a checkpoint.
#[test]
fn a_run_that_was_cut_is_kept_with_its_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let earlier = folder.path().join("earlier-run");
    let mut cut = RunFolder::create(folder.path(), &"cut").unwrap();
    assert!(!cut.has_checkpoint() && RunFolder::resume(folder.path()).is_err());
    assert!(cut.save_checkpoint(Checkpoint::new(5), None).unwrap().is_empty() && cut.has_checkpoint());
    drop(cut);
    let run = RunFolder::create(folder.path(), &"new").unwrap();
    assert!(!run.has_checkpoint());
    let steps = || Checkpoints::new(earlier.join("checkpoints")).steps().unwrap();
    assert_eq!((steps(), files(&earlier)["config.json"].as_str()), (vec![5], "\"cut\"\n"));
    drop(run);
    assert!(RunFolder::resume(folder.path()).unwrap().is_none());
    // Put back, it goes on.
    let run = RunFolder::create(folder.path(), &"new").unwrap();
    assert_eq!(steps(), [5]);
    drop(run);
    let resumed = RunFolder::resume(&earlier).unwrap().unwrap();
    assert_eq!(resumed.checkpoint().step(), 5);
    drop(resumed);
    let run = RunFolder::create(folder.path(), &"new").unwrap();
    run.save_model(&Linear::new(1, 1, &mut Rng::seed_from_u64(0))).unwrap();
    run.save_summary(&1).unwrap();
    assert!(steps().is_empty());
}

/// What a crash leaves is no reason to refuse a folder, and what is no run of ours is.
#[test]
fn leftovers_of_a_crash_are_taken_for_what_they_are() {
    for left in [&["config.json"][..], &[".backflow.17.0.tmp"], &[".lock"], &["metrics.jsonl", ".lock"]] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "old", left);
        RunFolder::create(folder.path(), &"new").unwrap();
        assert_eq!(files(folder.path()).into_keys().collect::<Vec<_>>(), ["config.json", "metrics.jsonl"]);
    }
    for foreign in [&["notes.txt"][..], &["config.json", "tokenizer.json"], &["earlier-run.txt"]] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "other", foreign);
        let before = files(folder.path());
        assert!(RunFolder::create(folder.path(), &"new").is_err());
        assert!(files(folder.path()) == before && !folder.path().join(".lock").exists(), "{foreign:?}");
    }
}

/// A summary alone is no reason to let an earlier run go: its weights may not have been written.
#[test]
fn an_earlier_run_stays_where_there_are_no_weights() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "first", &[&OTHERS[..], &[MODEL]].concat());
    let whole = files(folder.path());
    RunFolder::create(folder.path(), &"new").unwrap().save_summary(&1).unwrap();
    assert_eq!(files(&folder.path().join("earlier-run")), whole);
    // What is no run is left alone, also beside files of such names.
    let other = tempfile::tempdir().unwrap();
    put(other.path(), "other", &["config.json", MODEL]);
    assert!(RunFolder::create(other.path(), &"new").is_err() && files(other.path()).len() == 2);
}

fn step(step: u64) -> StepRecord {
    StepRecord { step, epoch: 1, loss: 0.5, learning_rate: 0.1, gradient_norm: 1.0 }
}

fn looked(step: u64) -> FlowStep {
    FlowStep { step, loss: 0.5, gradient_norm: 1.0, learning_rate: f64::NAN, ..FlowStep::default() }
}

/// A run of steps up to `last`, a checkpoint behind each of `saved`; what is behind the last was not known to be.
fn run_up_to(folder: &mut RunFolder, first: u64, last: u64, saved: &[u64]) {
    for number in first..=last {
        folder.step(&step(number), 100).unwrap();
        folder.looked(&looked(number)).unwrap();
        if saved.contains(&number) {
            assert!(folder.save_checkpoint(Checkpoint::new(number), None).unwrap().is_empty());
        }
    }
}

/// The steps in both logs.
fn steps_of(folder: &Path) -> (Vec<u64>, Vec<u64>) {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let number =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap();
    let flow = RunFolder::read_flow(folder).unwrap().steps.iter().map(|record| record.step).collect();
    (text.lines().map(number).collect(), flow)
}

/// Lines behind the checkpoint are cut off, whatever a crash has made of them, and written again; none is missing.
#[test]
fn logs_have_each_line_once_wherever_a_run_was_cut() {
    type Damage = fn(&Path, &mut Vec<u8>);
    let damages: [Damage; 5] = [
        |_, _| {},
        // A member that is cut off, bytes that are none, and a log of a run that has ended, in one member.
        |_, packed| packed.extend(packed.clone().iter().take(15)),
        |_, packed| packed.extend([0; 40]),
        |_, packed| packed.extend(b"\x1f\x8bno member at all"),
        |folder, packed| {
            let flow: Vec<FlowStep> = (1..=9).map(looked).collect();
            let run = RunFolder::create(&folder.join("other"), &"other").unwrap();
            run.save_flow(&flow, "").unwrap();
            *packed = fs::read(folder.join("other/flow.jsonl.gz")).unwrap();
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        run_up_to(&mut RunFolder::create(&path, &"run").unwrap(), 1, 9, &[3, 4, 7]);
        let log = path.join("flow.jsonl.gz");
        let mut packed = fs::read(&log).unwrap();
        damage(folder.path(), &mut packed);
        fs::write(&log, packed).unwrap();
        let cut = RunFolder::resume(&path).unwrap().unwrap();
        assert_eq!(cut.checkpoint().step(), 7);
        let (mut run, flow) = cut.go_on(&"run").unwrap();
        assert!(flow.iter().map(|record| record.step).eq(1..=7), "damage {number}");
        assert_eq!(steps_of(&path), ((1..=7).collect(), (1..=7).collect()), "damage {number}");
        run_up_to(&mut run, 8, 11, &[10]);
        assert_eq!(steps_of(&path), ((1..=11).collect(), (1..=10).collect()), "damage {number}");
    }
}

/// A log that somebody has changed is not the log of that checkpoint; nothing is touched.
#[test]
fn other_logs_are_refused() {
    for name in ["metrics.jsonl", "flow.jsonl.gz"] {
        for shorten in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            run_up_to(&mut RunFolder::create(folder.path(), &"run").unwrap(), 1, 9, &[7]);
            let log = folder.path().join(name);
            let mut bytes = fs::read(&log).unwrap();
            if shorten {
                bytes.truncate(20);
            } else if name == "metrics.jsonl" {
                bytes[8] ^= 1;
            } else {
                let mut other = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                other.write_all(&[b'x'; 5000]).unwrap();
                bytes = other.finish().unwrap();
            }
            fs::write(&log, &bytes).unwrap();
            let error =
                RunFolder::resume(folder.path()).unwrap().unwrap().go_on(&"run").unwrap_err().to_string();
            assert!(error.contains("is not the log that the checkpoint was made with"), "{name}: {error}");
            assert_eq!(fs::read(&log).unwrap(), bytes);
        }
    }
}
