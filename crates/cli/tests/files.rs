//! Files that no program should write, and places that cannot be written to: one line that says what and where,
//! an exit code, and never a panic.
#![cfg(unix)]

mod program;

use program::{backflow, flow, quick, text};
use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[allow(clippy::disallowed_methods, reason = "a crash of this test may leave half a file in its folder")]
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// A safetensors file with this header, and bytes behind it.
fn safetensors(path: &Path, header: &str, bytes: &[u8]) {
    write(path, &[&(header.len() as u64).to_le_bytes(), header.as_bytes(), bytes].concat());
}

/// It ends with this code and says one line, which ends so.
#[track_caller]
fn refused(output: &Output, code: i32, end: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(
        said.starts_with("backflow: ") && said.lines().count() == 1 && said.trim_end().ends_with(end),
        "{said}"
    );
}

#[test]
fn tensors_of_any_name_shape_and_type_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let list = || {
        let output = backflow(&["inspect", "model.safetensors"], folder.path());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let one = 1_f32.to_le_bytes();
    safetensors(&path, r#"{"x":{"dtype":"F32","shape":[18446744073709551615,0],"data_offsets":[0,0]}}"#, b"");
    assert!(list().contains("x       [18446744073709551615, 0]  f32      -"), "{}", list());
    let name = "n".repeat(65_536);
    safetensors(&path, &format!(r#"{{"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#), &one);
    assert!(list().lines().all(|line| line.chars().count() < 160), "{}", list());
    assert!(list().contains("nnn…nnn") && list().ends_with("1 tensor, 1 element\n"), "{}", list());
    // What a terminal would obey is shown, and what is not known hides nothing.
    let header = r#"{"a\u001b[31m\u202e\nb":{"dtype":"F8_E4M3","shape":[1,4],"data_offsets":[0,4]},
        "z":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    safetensors(&path, header, &[one, one].concat());
    let listed = list();
    assert!(listed.contains(r"a\u{1b}[31m\u{202e}\nb ") && listed.contains("  f8_e4m3       -"), "{listed}");
    assert!(listed.lines().count() == 5 && listed.lines().nth(2).unwrap().contains("1.0000"), "{listed}");
}

#[test]
fn logs_of_any_layer_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    quick(&["--out", "run", "--limit", "200"], folder.path());
    // As it was before logs were packed, so that it can be changed.
    let (log, whole) = (folder.path().join("run/flow.jsonl"), flow(&folder.path().join("run")));
    std::fs::remove_file(folder.path().join("run/flow.jsonl.gz")).unwrap();
    for path in ["l".repeat(70_000), r"a\u001b[31m\u202e\nb".to_owned()] {
        write(&log, whole.replace("layers.0", &path).as_bytes());
        let output =
            backflow(&["inspect", "run", "--report", "page.html", "--svg", "figures"], folder.path());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let shown = text(&output.stdout);
        let table = shown.lines().filter(|line| line.contains('#'));
        assert!(
            table.clone().count() == 2 && table.into_iter().all(|line| line.chars().count() < 160),
            "{shown}"
        );
        let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
        assert!(![&shown, &page].iter().any(|text| text.contains(['\u{1b}', '\u{202e}'])), "{shown}");
    }
    // Sizes that no network has, where theory would count weights.
    write(&log, whole.as_bytes());
    let config = folder.path().join("run/config.json");
    let asked = std::fs::read_to_string(&config).unwrap();
    write(&config, asked.replacen("784,", "9223372036854775808,", 1).as_bytes());
    assert!(backflow(&["inspect", "run"], folder.path()).status.success());
    // The last line is cut off: the others are there.
    write(&log, whole.trim_end().strip_suffix('}').unwrap().as_bytes());
    let output = backflow(&["inspect", "run"], folder.path());
    let last = whole.lines().count();
    let said = format!("backflow: run: its log is cut off at line {last}, which is left out\n");
    assert!(output.status.success() && text(&output.stderr) == said, "{}", text(&output.stderr));
    write(&log, b"");
    let output = backflow(&["inspect", "run"], folder.path());
    refused(&output, 1, "run: its log holds no record: no step was looked at");
}

#[test]
fn devices_and_pipes_are_neither_read_nor_replaced() {
    let folder = tempfile::tempdir().unwrap();
    quick(&["--out", "run", "--limit", "200"], folder.path());
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (target, why) in [("/dev/null", "it is a device, not a file"), ("pipe", "it is a pipe, not a file")] {
        refused(&backflow(&["inspect", target], folder.path()), 1, why);
        refused(&backflow(&["inspect", "run", "--report", target], folder.path()), 1, why);
    }
    // Standard output is a pipe here.
    refused(&backflow(&["inspect", "run", "--report", "/dev/stdout"], folder.path()), 1, "not a file");
    assert!(
        !std::fs::metadata("/dev/null").unwrap().is_file() && !std::fs::metadata(&pipe).unwrap().is_file()
    );
}

/// `/dev/full` is there on Linux: every write to it fails.
fn full() -> Option<Stdio> {
    OpenOptions::new().write(true).open("/dev/full").ok().map(Stdio::from)
}

#[test]
fn answers_that_cannot_be_written_end_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &str, out: Stdio, err: Stdio| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_backflow"));
        program.args(arguments.split_whitespace()).current_dir(folder.path()).stdout(out).stderr(err);
        program.output().unwrap()
    };
    let train = "train --json --limit 200 --epochs 1 --out run";
    for arguments in [train, "inspect run", "optimizers", "--help", "train --help", "--version"] {
        let Some(out) = full() else { return };
        refused(&run(arguments, out, Stdio::piped()), 1, "(os error 28)");
    }
    // The run is there all the same.
    assert!(folder.path().join("run/summary.json").is_file());
    for (arguments, code) in [("optimizers nope", 2), ("inspect nothing", 1), ("optimizers adam", 0)] {
        let Some(err) = full() else { return };
        assert_eq!(run(arguments, Stdio::piped(), err).status.code(), Some(code), "{arguments}");
    }
}

/// Whoever stops reading wants no more, and is told nothing.
#[test]
fn an_answer_that_nobody_reads_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_backflow"));
    program.arg("optimizers").current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = program.spawn().unwrap();
    drop(running.stdout.take());
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn what_cannot_be_written_keeps_nothing_else_from_being_written() {
    let folder = tempfile::tempdir().unwrap();
    // A folder is where a file should be.
    for (file, others) in [
        ("model.safetensors", ["flow.jsonl.gz", "report.html", "summary.json"]),
        ("flow.jsonl.gz", ["model.safetensors", "report.html", "summary.json"]),
        ("report.html", ["model.safetensors", "flow.jsonl.gz", "summary.json"]),
        ("summary.json", ["model.safetensors", "flow.jsonl.gz", "report.html"]),
    ] {
        let run = folder.path().join(file);
        let arguments = ["train", "--limit", "200", "--epochs", "2", "--out", file];
        let mut training = Command::new(env!("CARGO_BIN_EXE_backflow"));
        let training = training.args(arguments).current_dir(folder.path());
        let running = training.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The run's folder is emptied before the first step, and written to after the last.
        while !run.join("metrics.jsonl").exists() {
            std::thread::yield_now();
        }
        std::fs::create_dir(run.join(file)).unwrap();
        let output = running.wait_with_output().unwrap();
        refused(&output, 1, &format!("{file}/{file}: cannot be written: it is a folder, not a file"));
        assert!(others.iter().all(|other| run.join(other).is_file()), "{file}");
        assert!(
            text(&output.stdout).contains("The layers in the last epoch"),
            "results are shown all the same"
        );
    }
}

#[test]
fn a_network_of_many_layers_has_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let run = |hidden: usize| {
        let layers = format!("784,{}10", "16,".repeat(hidden));
        let arguments = ["train", "--json", "--limit", "64", "--epochs", "1", "--layers", &layers];
        let output = backflow(&arguments, folder.path());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let out = Path::new(result["out"].as_str().unwrap()).to_owned();
        assert!(folder.path().join(&out).join("summary.json").is_file());
        out.file_name().unwrap().to_str().unwrap().to_owned()
    };
    let (many, again, more) = (run(75), run(75), run(76));
    assert!(many.len() <= 120 && many.starts_with("embedded-784-16-16-"), "{many}");
    assert_eq!(again, format!("{many}-2"));
    // With the same beginning and another end.
    assert!(many[..100] == more[..100] && many != more, "{many} {more}");
    assert_eq!(run(2), "embedded-784-16-16-10-relu-adam-seed0");
}
