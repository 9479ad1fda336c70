//! The program, run as a person or a script would.

#![allow(dead_code, reason = "not every test needs everything")]

use flate2::read::GzDecoder;
use serde_json::Value;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

pub(crate) fn backflow(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_backflow")).args(arguments).current_dir(folder).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The log of a run's flow, unpacked.
pub(crate) fn flow(run: &Path) -> String {
    let packed = std::fs::read(run.join("flow.jsonl.gz")).unwrap();
    let mut text = String::new();
    GzDecoder::new(&*packed).read_to_string(&mut text).unwrap();
    text
}

/// Runs with `--json` and two epochs of a small network.
pub(crate) fn quick(extra: &[&str], folder: &Path) -> Value {
    let arguments = [&["train", "--json", "--layers", "784,32,10", "--epochs", "2"], extra].concat();
    let output = backflow(&arguments, folder);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{arguments:?}");
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON object and nothing else")
}
