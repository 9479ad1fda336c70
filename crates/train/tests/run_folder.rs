//! What becomes of an earlier run in a folder, wherever the run that replaces it is cut short.

#![allow(clippy::disallowed_methods, reason = "tests put files where an earlier run would have left them")]

use backflow_nn::Linear;
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

/// The files that are there, by name.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let files = entries.map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file());
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

/// Two runs with weights: a later one that did not end does not take the place of one that did.
#[test]
fn of_two_runs_with_weights_one_that_ended_is_kept() {
    let without_summary: Vec<&str> =
        OTHERS.into_iter().filter(|name| *name != "summary.json").chain([MODEL]).collect();
    let with_summary = [&OTHERS[..], &[MODEL]].concat();
    for (first, second, kept) in [
        (&with_summary, &without_summary, "first"),
        (&with_summary, &with_summary, "second"),
        (&without_summary, &with_summary, "second"),
        (&without_summary, &without_summary, "second"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let earlier = folder.path().join("earlier-run");
        put(&earlier, "first", first);
        put(folder.path(), "second", second);
        let whole = if kept == "first" { files(&earlier) } else { files(folder.path()) };
        kept_until_the_end(folder.path(), &whole);
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
