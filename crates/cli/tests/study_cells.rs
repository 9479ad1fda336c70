//! `backflow study --cell` as a person or a script meets it.

use backflow_tensor::Float;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn backflow(arguments: &str, folder: &Path) -> Output {
    let arguments = arguments.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_backflow")).args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn object(options: &str, folder: &Path) -> Value {
    let output = backflow(&format!("study --json --out out {options}"), folder);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else");
    let saved = std::fs::read(folder.join("out/study.json")).unwrap();
    assert_eq!(object, serde_json::from_slice::<Value>(&saved).unwrap(), "what is printed is what is saved");
    object
}

#[test]
fn every_combination_that_makes_sense_is_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        "--cell rnn,irnn,lstm --steps 5,10 --init orthogonal,identity --gain 0.7,1 --width 8 --seeds 2";
    let found = object(options, folder.path());
    let rows = found["configurations"].as_array().unwrap();
    let mut expected = Vec::new();
    for (cell, inits) in [
        ("rnn", &["orthogonal", "identity"][..]),
        ("irnn", &["identity"]),
        ("lstm", &["orthogonal", "identity"]),
    ] {
        for steps in [5, 10] {
            expected.extend(inits.iter().flat_map(|init| [0.7, 1.0].map(|gain| (cell, steps, *init, gain))));
        }
    }
    assert_eq!(rows.len(), expected.len());
    for (row, (cell, steps, init, gain)) in rows.iter().zip(expected) {
        assert_eq!((&row["cell"], &row["steps"]), (&cell.into(), &steps.into()));
        assert_eq!((&row["init"], &row["gain"]), (&init.into(), &gain.into()));
        assert!(row["slope_decades_per_step"].is_f64() && row["line"]["fit"].is_f64(), "{row}");
        assert_eq!(row["delta_rms"].as_array().unwrap().len(), steps);
        let is_known =
            (cell, init) == ("rnn", "orthogonal") || cell == "lstm" || (cell, gain) == ("irnn", 1.0);
        assert_eq!(row["theory_slope"].is_f64(), is_known, "{row}");
        assert_eq!(row["bound_slope"].is_f64(), cell != "lstm", "{row}");
        assert!(row["training"].is_null());
    }
    let notes: Vec<&str> = found["notes"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
    assert!(notes.iter().any(|note| note.starts_with("irnn begins with the identity")), "{notes:?}");
    let page = std::fs::read_to_string(folder.path().join("out/study.html")).unwrap();
    for part in ["Deltas over time", "Measured slopes beside theory", "lstm, 10 steps", "over steps"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn networks_are_trained_on_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let found = object(
        "--cell gru --steps 6 --gain 1 --width 8 --seeds 2 --problem copying --updates 7",
        folder.path(),
    );
    let training = &found["configurations"][0]["training"];
    assert!((training["baseline"].as_f64().unwrap() - 10.0 * Float::ln(8.0) / 26.0).abs() < 1e-12);
    assert_eq!((training["by_seed"].as_array().unwrap().len(), &training["learns"]), (2, &false.into()));
    assert_eq!((&found["config"]["updates"], &found["config"]["problem"]), (&7.into(), &"copying".into()));
    let shown =
        backflow("study --cell rnn --steps 4 --gain 1 --width 4 --problem adding --updates 2", folder.path());
    let shown = text(&shown.stdout);
    assert!(shown.contains("learns") && shown.contains("0 of 1 learn where they do neither"), "{shown}");
}

#[test]
fn what_makes_no_sense_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("--cell lsmt", "there is no cell \"lsmt\"; did you mean lstm?"),
        ("--cell rnn --steps 2", "--steps: 2: with --cell it is the length of sequences, from 3 to 100,000"),
        (
            "--cell rnn --init torch-linear",
            "--init: torch-linear: recurrent weights begin with the gain of --gain",
        ),
        ("--cell rnn --init orthogonal:gain=2", "--init: orthogonal:gain=2: recurrent weights begin"),
        ("--cell rnn --gain 0", "0 is not a gain"),
        ("--cell rnn --width 4,8", "--width: write one number of units up to 1,024 with --cell"),
        ("--cell rnn --width 2000", "--width: write one number"),
        ("--cell rnn --depth 3", "--depth"),
        (
            "--cell rnn --optimizer sgd",
            "--optimizer: only a training has one; say what to learn with --problem",
        ),
        ("--cell rnn --problem none --updates 3", "--updates: only a training has one"),
        ("--cell rnn --problem adding --optimizer lbfgs", "--optimizer: lbfgs takes all examples at once"),
        ("--cell rnn --problem xor", "there is no problem \"xor\"; there are adding and copying"),
        ("--gain 2", "--cell"),
        ("--problem adding", "--cell"),
        ("--steps 20,50", "--steps: several are lengths of sequences; say of which layers with --cell"),
    ];
    for (options, part) in cases {
        let output = backflow(&format!("study {options}"), folder.path());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options}: {error}");
        assert!(error.starts_with("backflow: ") && error.contains(part), "{options}: {error}");
        assert_eq!(error.lines().count(), 1, "{options}: {error}");
    }
    assert!(!folder.path().join("runs").exists(), "nothing is left behind by a wrong command line");
}
