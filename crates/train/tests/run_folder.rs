//! What becomes of an earlier run in a folder, wherever the run that replaces it is cut short.

#![allow(clippy::disallowed_methods, reason = "tests put files where an earlier run would have left them")]

use backflow_nn::Linear;
use backflow_store::{Checkpoint, Checkpoints};
use backflow_tensor::Rng;
use backflow_train::RunFolder;
use std::collections::BTreeMap;
use std::fs;
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
    assert_eq!(resumed.checkpoint.step(), 5);
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
