//! A run of the program that is cut, by whatever, goes on to the bytes that it would have written uncut.
#![cfg(unix)]

mod program;

use backflow_tensor::Rng;
use program::{backflow, flow, text};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Everything that remembers: dropout, normalisation, a schedule, clipping, augmentation, many looks.
const RUN: &str = "train --json --model flatten/linear:16/batchnorm/relu/dropout:0.2/linear:10 --clip-norm 1 --augment \
                   shift:1 --limit 960 --probe full --optimizer adam --seed 3 --out run --epochs";

/// The files that hold no clock; what a run was asked for is in another.
const FILES: [&str; 4] = ["model.safetensors", "metrics.jsonl", "flow.jsonl.gz", "report.html"];

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn spawn(line: &str, folder: &Path) -> Child {
    let mut program = Command::new(env!("CARGO_BIN_EXE_backflow"));
    program.args(words(line)).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    program.spawn().unwrap()
}

/// The run, uncut.
fn uncut(epochs: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let output = backflow(&words(&format!("{RUN} {epochs}")), folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    folder
}

#[track_caller]
fn is_same(found: &Path, expected: &Path, what: &str) {
    for file in FILES {
        let [found, expected] =
            [found, expected].map(|folder| std::fs::read(folder.join("run").join(file)).unwrap());
        assert!(found == expected, "{what}: {file} is another");
    }
}

fn metrics(folder: &Path) -> u64 {
    std::fs::metadata(folder.join("run/metrics.jsonl")).map_or(0, |log| log.len())
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Waits until the log is longer than that.
#[track_caller]
fn wait_for(child: &mut Child, folder: &Path, bytes: u64) {
    while metrics(folder) <= bytes {
        std::thread::sleep(Duration::from_millis(2));
        assert!(child.try_wait().unwrap().is_none(), "it runs until it is stopped");
    }
}

#[test]
fn a_run_that_is_stopped_by_signals_goes_on_to_the_same_bytes() {
    let (epochs, folder) = (40, tempfile::tempdir().unwrap());
    let expected = uncut(epochs);
    let line = format!("{RUN} {epochs} --checkpoint-every 50");
    for (begin, (name, threads)) in [("-TERM", 2), ("-HUP", 1), ("-INT", 3)].into_iter().enumerate() {
        let line =
            if begin == 0 { line.clone() } else { format!("train --resume run --json --threads {threads}") };
        let before = metrics(folder.path());
        let mut child = spawn(&line, folder.path());
        wait_for(&mut child, folder.path(), before + 9000);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(75), "{name}: {message}");
        assert!(message.ends_with("to go on: backflow train --resume run\n"), "{message}");
        // What is there is whole, and can be looked at.
        assert!(backflow(&["inspect", "run"], folder.path()).status.success());
    }
    let output = backflow(&words("train --resume run"), folder.path());
    let printed = text(&output.stdout);
    assert!(output.status.success() && printed.contains("run goes on behind step "), "{printed}");
    is_same(folder.path(), expected.path(), "stopped three times");
    // All is over, and stays so.
    let output = backflow(&words("train --resume run"), folder.path());
    assert!(output.status.success() && text(&output.stdout).starts_with("run has ended, after 40 epochs; "));
    is_same(folder.path(), expected.path(), "resumed once more");
}

/// Killed at any time, as by a power cut of the processor alone. `BACKFLOW_KILLS=1000` makes a long run of it.
#[test]
fn a_run_that_is_killed_goes_on_to_the_same_bytes() {
    let kills = std::env::var("BACKFLOW_KILLS").map_or(20, |kills| kills.parse().expect("a number of kills"));
    let epochs = 10;
    let expected = uncut(epochs);
    let mut rng = Rng::seed_from_u64(11);
    let (mut killed, mut runs) = (0, 0);
    while killed < kills {
        let folder = tempfile::tempdir().unwrap();
        let mut line = format!("{RUN} {epochs} --checkpoint-every 1 --keep 2");
        loop {
            let mut child = spawn(&line, folder.path());
            // As long as a process may live; some die before they have begun.
            let life = Duration::from_millis(rng.below(400) as u64);
            let (begin, is_last) = (Instant::now(), killed == kills);
            let ended = loop {
                match child.try_wait().unwrap() {
                    Some(status) => break Some(status),
                    None if !is_last && begin.elapsed() >= life => break None,
                    None => std::thread::sleep(Duration::from_millis(1)),
                }
            };
            if let Some(status) = ended {
                let output = child.wait_with_output().unwrap();
                assert!(status.success(), "after {killed} kills: {}", text(&output.stderr));
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            if folder.path().join("run/config.json").exists() {
                line = "train --json --resume run".to_owned();
            }
        }
        is_same(folder.path(), expected.path(), &format!("after {killed} kills, in run {runs}"));
        let left = std::fs::read_dir(folder.path().join("run/checkpoints")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        // The newest two, that of the best epoch, and one more where the last kill came before an older one was removed.
        let are_few = left.len() <= 4 && left.iter().all(|name| name.ends_with(".ckpt"));
        assert!(are_few, "what a kill has left stays: {left:?}");
        runs += 1;
    }
}

#[test]
fn a_second_process_is_told_who_works_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = spawn(&format!("{RUN} 100000"), folder.path());
    wait_for(&mut child, folder.path(), 1000);
    for line in ["train --resume run".to_owned(), format!("{RUN} 1")] {
        let output = backflow(&words(&line), folder.path());
        let message = text(&output.stderr);
        let expected = format!("backflow: run: process {} is working in it; ", child.id());
        assert!(output.status.code() == Some(1) && message.starts_with(&expected), "{message}");
    }
    // Nothing was done to the run.
    let before = metrics(folder.path());
    wait_for(&mut child, folder.path(), before);
    child.kill().unwrap();
    child.wait().unwrap();
    // A run that was cut before its first checkpoint begins again, and its leavings are in nobody's way.
    assert!(backflow(&words(&format!("{RUN} 1")), folder.path()).status.success());
}

#[test]
fn a_time_limit_stops_with_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let output = backflow(&words(&format!("{RUN} 100000 --time-limit 1s")), folder.path());
    assert_eq!(output.status.code(), Some(75), "{}", text(&output.stderr));
    let before = metrics(folder.path());
    let output = backflow(&words("train --resume run --json --time-limit 1s"), folder.path());
    assert_eq!(output.status.code(), Some(75), "{}", text(&output.stderr));
    assert!(metrics(folder.path()) > before);
    let lines = std::fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    let step =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap();
    assert!(lines.lines().map(step).eq(1..=lines.lines().count() as u64), "each step stands there once");
    assert!(flow(&folder.path().join("run")).lines().count() > 0);
}

#[test]
fn what_was_asked_for_at_the_beginning_holds() {
    let folder = tempfile::tempdir().unwrap();
    let begin = "train --json --layers 784,8,10 --limit 320 --optimizer sgd --lr 0.1 --out run --epochs 2 \
                 --checkpoint-every 100 --schedule";
    assert!(backflow(&words(&format!("{begin} constant")), folder.path()).status.success());
    for (asked, message) in [
        (
            "--lr 0.2",
            "--lr 0.2: the run was begun with 0.1, and goes on as it was begun; leave the option out",
        ),
        (
            "--clip-norm 1",
            "--clip-norm 1: the run was begun without it, and goes on as it was begun; leave the option out",
        ),
        ("--epochs 1", "--epochs 1: the run was asked for 2; a run goes on with as many or more"),
        (
            "--out other",
            "--out other: the run was begun with run, and goes on as it was begun; leave the option out",
        ),
    ] {
        let output = backflow(&words(&format!("train --resume run {asked}")), folder.path());
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), format!("backflow: {message}\n")));
    }
    // The same again is no difference.
    assert!(backflow(&words("train --resume run --lr 0.1"), folder.path()).status.success());
    let output = backflow(&words("train --resume nothing"), folder.path());
    assert_eq!(
        text(&output.stderr),
        "backflow: nothing: holds no run to go on with; name the folder of one\n"
    );
    // More epochs, as if there had been as many from the beginning.
    let output = backflow(&words("train --json --resume run --epochs 3"), folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = backflow(&words("train --json --resume run --epochs 4"), folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let other = tempfile::tempdir().unwrap();
    let line = format!("{begin} constant --epochs 4");
    assert!(backflow(&words(&line), other.path()).status.success());
    for file in ["model.safetensors", "metrics.jsonl"] {
        let [found, expected] =
            [&folder, &other].map(|folder| std::fs::read(folder.path().join("run").join(file)).unwrap());
        assert!(found == expected, "{file}");
    }
    // Nor without a checkpoint, of which weights alone are none.
    let begin_without = begin.replace("--checkpoint-every 100", "");
    assert!(
        backflow(&words(&format!("{begin_without} constant --out other")), folder.path()).status.success()
    );
    let output = backflow(&words("train --json --resume other --epochs 4"), folder.path());
    assert!(text(&output.stderr).contains("has no checkpoint to go on from"), "{}", text(&output.stderr));
    // Not where the rates so far would have been others.
    assert!(backflow(&words(&format!("{begin} cosine")), folder.path()).status.success());
    let output = backflow(&words("train --json --resume run --epochs 4"), folder.path());
    let message = text(&output.stderr);
    let expected = "backflow: --epochs 4: cosine goes by the length of the run, so that the steps so far would have been";
    assert!(output.status.code() == Some(2) && message.starts_with(expected), "{message}");
}

/// A step so small that it changes nothing: the test loss never falls.
#[test]
fn a_run_ends_where_it_no_longer_learns() {
    for (held_out, set) in [("", "test"), (" --validation 0.2", "validation")] {
        let folder = tempfile::tempdir().unwrap();
        let line = "train --layers 784,8,10 --limit 320 --optimizer sgd --lr 1e-30 --out run --epochs 50 --patience 2";
        let output = backflow(&words(&format!("{line}{held_out}")), folder.path());
        let printed = text(&output.stdout);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let summary = std::fs::read_to_string(folder.path().join("run/summary.json")).unwrap();
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["epochs"], 3);
        let loss = summary[format!("{set}_loss")].as_f64().unwrap();
        let told =
            format!("\nended after epoch 3, since the {set} loss was lowest, {loss:.4}, after epoch 1");
        assert!(printed.contains(&told), "{printed}");
        // Killed before it could say so, it is over all the same.
        let weights = || std::fs::read(folder.path().join("run/model.safetensors")).unwrap();
        let before = weights();
        std::fs::remove_file(folder.path().join("run/summary.json")).unwrap();
        let output = backflow(&words("train --json --resume run"), folder.path());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(
            std::fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap().lines().count(),
            30
        );
        assert!(weights() == before);
    }
}

/// The newest checkpoint is damaged: the one before is taken, and it is told.
#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let expected = uncut(3);
    let mut child = spawn(&format!("{RUN} 3 --checkpoint-every 10"), folder.path());
    wait_for(&mut child, folder.path(), 4000);
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(75));
    let mut checkpoints: Vec<_> = std::fs::read_dir(folder.path().join("run/checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    checkpoints.sort();
    let newest = checkpoints.last().unwrap();
    let mut bytes = std::fs::read(newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    backflow_store::atomic::write(newest, &bytes).unwrap();
    let output = backflow(&words("train --json --resume run"), folder.path());
    let message = text(&output.stderr);
    assert!(output.status.success() && message.contains("it was damaged; passed over"), "{message}");
    is_same(folder.path(), expected.path(), "from the checkpoint before");
}
