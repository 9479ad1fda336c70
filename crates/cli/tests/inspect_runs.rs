//! `backflow inspect RUN RUN …`: runs over each other.

#![allow(clippy::disallowed_methods, reason = "tests put files where the program must find them")]

mod program;

use program::{backflow, quick, text};
use serde_json::Value;

#[test]
fn runs_stand_over_each_other_with_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    for (out, optimizer, activation) in
        [("a/run", "adam", "relu"), ("b/run", "sgd", "relu"), ("c", "adam", "tanh")]
    {
        let _ = quick(&["--optimizer", optimizer, "--activation", activation, "--out", out], folder.path());
    }
    let inspect = |args: &[&str]| backflow(&[&["inspect"], args].concat(), folder.path());
    let shown =
        inspect(&["a/run", "b/run", "c", "--report", "page.html", "--svg", "svg", "--tensorboard", "tb"]);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let shown = text(&shown.stdout);
    // Both are called `run`, so that their folders are said too.
    for name in ["a/run", "b/run", "adam", "sgd", "tanh", "alike: "] {
        assert!(shown.contains(name), "{shown}");
    }
    assert!(shown.contains("optimizer") && !shown.contains("batch_size  "), "only what differs: {shown}");
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("id=\"difference-2\"") && page.contains(">Test accuracy <span>"));
    for file in ["svg/deltas.svg", "svg/difference-1.svg", "svg/map-3.svg"] {
        let svg = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(svg.starts_with("<svg xmlns"), "{file}");
    }
    // Three runs in TensorBoard, none over another.
    assert_eq!(std::fs::read_dir(folder.path().join("tb")).unwrap().count(), 3);

    let output = inspect(&["a/run", "b/run", "--step", "7", "--json"]);
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let differing: Vec<&str> =
        object["differing"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(differing.contains(&"optimizer") && !differing.contains(&"layers"), "{differing:?}");
    for run in object["runs"].as_array().unwrap() {
        assert_eq!(run["record"]["step"], 7);
        assert!(run["verdicts"][0]["name"].is_string());
        // As that of the run by itself.
        let alone = inspect(&[run["run"].as_str().unwrap(), "--step", "7", "--json"]);
        assert_eq!(serde_json::from_slice::<Value>(&alone.stdout).unwrap(), *run);
    }
    let shown = text(&inspect(&["a/run", "b/run", "--step", "7"]).stdout);
    assert!(
        shown.lines().filter(|line| line.contains("/run ")).all(|line| line.contains("  7  ")),
        "{shown}"
    );
    // What was damaged is said, and the rest is shown.
    std::fs::write(folder.path().join("c/config.json"), "{").unwrap();
    let output = inspect(&["a/run", "c"]);
    assert!(
        output.status.success() && text(&output.stderr).contains("c: its config.json is missing or damaged")
    );
    // Names that are one without their separators stay two.
    for (from, to) in [("c", "x-y/z"), ("c", "x/y-z"), ("c", "w/z")] {
        let to = folder.path().join(to);
        std::fs::create_dir_all(&to).unwrap();
        std::fs::copy(folder.path().join(from).join("flow.jsonl.gz"), to.join("flow.jsonl.gz")).unwrap();
    }
    assert!(inspect(&["x-y/z", "x/y-z", "w/z", "--tensorboard", "tb2"]).status.success());
    assert_eq!(std::fs::read_dir(folder.path().join("tb2")).unwrap().count(), 3);
}

/// The last batch of an epoch has what is left over, and is not what a run is known by. Of a model its line is shown.
#[test]
fn what_is_shown_is_a_step_of_a_full_batch() {
    let folder = tempfile::tempdir().unwrap();
    let line = "flatten/[residual(linear:784/relu/linear:784)]*2/linear:16/relu/linear:10";
    for (out, lr) in [("a", "0.001"), ("b", "0.002")] {
        let fixed = ["train", "--limit", "100", "--epochs", "2", "--model", line, "--out", out, "--lr", lr];
        assert!(backflow(&fixed, folder.path()).status.success());
    }
    let shown =
        |arguments: &[&str]| text(&backflow(&[&["inspect"], arguments].concat(), folder.path()).stdout);
    let alone = shown(&["a", "--report", "page.html"]);
    assert!(alone.contains("\nstep 7: loss "), "{alone}");
    assert!(alone.contains("the last of a full batch; step 8 is of 4 of 32 examples"), "{alone}");
    // Of batches in parts nobody knows how many examples there were.
    let fixed = ["train", "--limit", "100", "--epochs", "2", "--layers", "784,8,10", "--accumulate", "4"];
    assert!(backflow(&[&fixed[..], &["--out", "parts"]].concat(), folder.path()).status.success());
    let parts = shown(&["parts"]);
    assert!(parts.contains("the last of a full batch; step 8 is of fewer examples"), "{parts}");
    for page in ["page.html", "a/report.html"] {
        let page = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(page.contains("<span data-at=\"step\">7</span>"));
    }
    assert!(shown(&["a", "--step", "8"]).contains("\nstep 8: loss "));
    let both = shown(&["a", "b"]);
    assert!(
        both.lines().filter(|line| line.starts_with(['a', 'b'])).skip(1).all(|line| line.contains("  7  ")),
        "{both}"
    );
    assert!(both.contains(&format!("model {line}")) && !both.contains("language"), "{both}");
}

#[test]
fn a_page_is_written_over_a_page_alone() {
    let folder = tempfile::tempdir().unwrap();
    let _ = quick(&["--out", "run"], folder.path());
    let inspect = |file: &str| backflow(&["inspect", "run", "--report", file], folder.path());
    for file in ["page.html", "page.html", "run/report.html"] {
        assert!(inspect(file).status.success(), "{file}");
    }
    for file in ["run/model.safetensors", "run/flow.jsonl.gz", "run/config.json"] {
        let before = std::fs::read(folder.path().join(file)).unwrap();
        let output = inspect(file);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("is there and is no page"), "{}", text(&output.stderr));
        assert_eq!(std::fs::read(folder.path().join(file)).unwrap(), before);
    }
}

#[test]
fn what_cannot_stand_over_each_other_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _ = quick(&["--out", "run"], folder.path());
    let _ = quick(&["--out", "off", "--probe", "off"], folder.path());
    let refused = |paths: &[&str], code: i32, message: &str| {
        let output = backflow(&[&["inspect"], paths].concat(), folder.path());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{paths:?}: {said}");
        assert!(said.contains(message) && said.lines().count() == 1, "{paths:?}: {said}");
    };
    refused(&["run", "run/"], 2, "run/: is there twice");
    refused(&["run", "run/model.safetensors"], 2, "of several paths, each is the folder of a run");
    refused(&["run", "off"], 1, "off: holds no flow.jsonl.gz");
    refused(&["run", "nothing"], 1, "nothing: no such folder or file");
    refused(&[], 2, "RUN|FILE");
}
