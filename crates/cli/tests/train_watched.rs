//! `backflow train` when it is looked at, `--probe`, `--shadow`, `--profile`, and when it flushes: what a
//! person is shown, and that the weights stay the same.

#![allow(clippy::disallowed_methods, reason = "tests put files where the program must find them")]

mod program;

use program::{backflow, flow, quick, text};
use serde_json::Value;

#[test]
fn watching_changes_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let weights = |probe: &str| {
        let _ = quick(&["--probe", probe, "--optimizer", "sam", "--out", probe], folder.path());
        std::fs::read(folder.path().join(probe).join("model.safetensors")).unwrap()
    };
    let [off, basic, full] = ["off", "basic", "full"].map(weights);
    assert!(off == basic && off == full);
    assert!(!folder.path().join("off/flow.jsonl.gz").exists());
    let records = |probe: &str| flow(&folder.path().join(probe));
    assert_eq!((records("basic").lines().count(), records("full").lines().count()), (250, 250));
    assert!(records("full").contains("exponents\":{"), "histograms are made");
    assert!(!records("basic").contains("exponents\":{"));

    // The records, as they are shown again.
    let inspect = |args: &[&str]| backflow(&[&["inspect"], args].concat(), folder.path());
    let shown = text(
        &inspect(&["full", "--step", "7", "--report", "at-7.html", "--svg", "svg", "--tensorboard", "tb"])
            .stdout,
    );
    assert!(shown.contains("step 7: loss") && shown.contains("layers.1 "), "{shown}");
    // As they were last measured.
    for (step, last) in [("7", "1"), ("11", "11"), ("12", "11")] {
        let shown = text(&inspect(&["full", "--step", step]).stdout);
        for what in ["gradients of single samples: norm ", "signal-to-noise ratio of a weight, median: "] {
            assert!(shown.contains(&format!("\nstep {last}, {what}")), "{shown}");
        }
    }
    let at_step = std::fs::read_to_string(folder.path().join("at-7.html")).unwrap();
    assert!(at_step.contains("<span data-at=\"step\">7</span>"), "the report shows the step");
    let svg = std::fs::read_to_string(folder.path().join("svg/deltas.svg")).unwrap();
    assert!(svg.contains(">Deltas: RMS, step 7</text>"), "{svg}");
    let shown = text(&inspect(&["full", "--report", "again.html"]).stdout);
    assert!(
        shown.contains(", Hessian: sharpness ") && shown.contains(", Jacobian of the network: "),
        "{shown}"
    );
    assert!(shown.contains(", stable rank of the gradient: from "), "{shown}");
    let basic = text(&inspect(&["basic"]).stdout);
    assert!(
        ["Hessian", "Jacobian", "single samples", "signal-to-noise"].iter().all(|what| !basic.contains(what))
    );
    let page = std::fs::read_to_string(folder.path().join("again.html")).unwrap();
    assert!(
        page == std::fs::read_to_string(folder.path().join("full/report.html")).unwrap(),
        "the same page"
    );
    assert!(page.contains("id=\"deltas-t0\"") && page.contains("theory at initialisation"));
    assert!(
        ["sharpness-s0", "noise-scale-s0", "jacobians-s0", "gradient-cosines-s0", "gradient-stable-ranks-s0"]
            .iter()
            .all(|id| page.contains(id))
    );
    assert!(page.contains("<svg") && !page.contains("http://") && !page.contains("https://"));
    assert!(std::fs::read_dir(folder.path().join("svg")).unwrap().count() >= 4);
    assert!(folder.path().join("tb/full/events.out.tfevents.0000000000.backflow").is_file());
    let listed = text(&inspect(&["full/model.safetensors"]).stdout);
    assert!(listed.contains("layers.0.weight") && listed.contains("[32, 784]"), "{listed}");

    // What is damaged or missing is named.
    let log = folder.path().join("basic/flow.jsonl");
    std::fs::write(&log, records("basic") + "{\"step\":1\n").unwrap();
    std::fs::remove_file(folder.path().join("basic/flow.jsonl.gz")).unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("empty/flow.jsonl"), "").unwrap();
    std::fs::create_dir(folder.path().join("studied")).unwrap();
    std::fs::write(folder.path().join("studied/study.json"), "{}").unwrap();
    for (args, part) in [
        (&["basic"][..], "flow.jsonl: line 251: "),
        (&["empty"], "empty: its log holds no record: no step was looked at\n"),
        (
            &["off"],
            "off: holds no flow.jsonl.gz: either not a run of `backflow train`, or one with --probe off",
        ),
        (
            &["studied"],
            "is the folder of a study, made by `backflow study`, and no run: open its page, studied/study.html",
        ),
        (&["nowhere"], "nowhere: no such folder or file"),
        (&["full/config.json"], "not a valid safetensors file"),
        (&["full", "--step", "0"], "no step was looked at up to step 0"),
    ] {
        let output = inspect(args);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(part) && message.lines().count() == 1, "{part} in {message}");
    }
    let output = inspect(&["off/model.safetensors", "--step", "3"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("are for the folder of a run"));
}

/// What could not be measured is said once.
#[test]
fn a_jacobian_that_is_too_large_is_refused_once() {
    let folder = tempfile::tempdir().unwrap();
    let line = "conv:16,padding=same/relu/adaptiveavgpool/flatten/linear:10";
    let train = "train --limit 64 --epochs 1 --jacobians-every 1 --probe basic --out run --model";
    let train: Vec<&str> = train.split(' ').chain([line]).collect();
    for arguments in [&train[..], &["inspect", "run"]] {
        let printed = text(&backflow(arguments, folder.path()).stdout);
        assert_eq!(printed.matches("Jacobians not measured: ").count(), 1, "{printed}");
    }
}

/// 12 layers of sigmoid leave the first a gradient that Adam's ε swallows. The table of the run says so, and
/// that of its log.
#[test]
fn the_optimizers_eps_reaches_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let layers = format!("784,{}10", "32,".repeat(12));
    for (optimizer, floored) in [("adam", true), ("adam:eps=1e-30", false), ("sgd", false)] {
        let options =
            ["--activation", "sigmoid", "--layers", &layers, "--optimizer", optimizer, "--lr", "1e-6"];
        let arguments = [&["train", "--epochs", "1", "--out", "run"], &options[..]].concat();
        for arguments in [&arguments[..], &["inspect", "run"]] {
            let output = backflow(arguments, folder.path());
            assert!(output.status.success(), "{}", text(&output.stderr));
            let printed = text(&output.stdout);
            assert_eq!(printed.contains("EPS-FLOORED: "), floored, "{optimizer}: {printed}");
            assert!(!floored || printed.contains("are below the optimizer's eps (1e-8)"), "{printed}");
        }
    }
}

/// What f32 has lost at the end is settled by f64 in the table, the summary and the report. Where nothing is
/// suspected nothing is computed again.
#[test]
fn a_shadow_settles_what_looks_too_small() {
    let folder = tempfile::tempdir().unwrap();
    let deep = format!("784,{}10", "8,".repeat(90));
    let run = |layers: &str, out: &str| {
        let options = "train --activation sigmoid --epochs 1 --batch-size 1000 --optimizer sgd --out";
        let arguments: Vec<&str> = options.split_whitespace().chain([out, "--layers", layers]).collect();
        let output = backflow(&arguments, folder.path());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let read = |file: &str| std::fs::read_to_string(folder.path().join(out).join(file)).unwrap();
        (text(&output.stdout), read("report.html"), read("summary.json"))
    };
    let (printed, page, summary) = run(&deep, "deep");
    assert!(printed.contains("UNDERFLOW: from layers.") && printed.contains("  in f64  "), "{printed}");
    // A step by itself has no weights to compute with, and its verdict stays a guess.
    let (above, below) = page.split_once("</header>").unwrap();
    assert!(below.contains("look too small for f32; that is a guess"));
    for text in [&*printed, above] {
        assert!(text.contains("too small for f32, which has 0 there where f64 has"), "{text}");
        assert!(!text.contains("guess"));
    }
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let shadow = &summary["layers"][0]["shadow"];
    assert!(shadow["delta_rms"] == 0.0 && shadow["delta_rms_f64"].as_f64().unwrap() > 0.0, "{shadow}");
    // A log has no weights to compute with.
    let inspected = text(&backflow(&["inspect", "deep"], folder.path()).stdout);
    assert!(inspected.contains("look too small for f32; that is a guess"), "{inspected}");

    let (printed, _, summary) = run("784,8,8,10", "shallow");
    assert!(!printed.contains("in f64") && !summary.contains("shadow"));
}

/// What is computed again in f64 is a step of the training: with dropout, which makes a delta of those that come through
/// twice as large, and its RMS √2 times.
#[test]
fn a_shadow_is_that_of_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let line = "[linear:8/sigmoid]*90/linear:64/dropout:0.5/linear:10";
    let options = "train --epochs 1 --batch-size 1000 --optimizer sgd --json --out run --model";
    let arguments: Vec<&str> = options.split_whitespace().chain([line]).collect();
    let output = backflow(&arguments, folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let layers = summary["layers"].as_array().unwrap();
    let row = &layers[layers.len() - 3];
    let figures = [&row["delta_rms"], &row["shadow"]["delta_rms_f64"]].map(|figure| figure.as_f64().unwrap());
    assert!((figures[0] / figures[1] - 1.0).abs() < 0.15, "{row}");
}

#[test]
fn a_profile_shows_where_the_time_goes_and_changes_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let plain = quick(&["--out", "plain"], folder.path());
    assert!(plain.get("profile").is_none());
    let profiled = quick(&["--out", "profiled", "--profile"], folder.path());
    let weights = ["plain", "profiled"]
        .map(|run| std::fs::read(folder.path().join(run).join("model.safetensors")).unwrap());
    assert!(weights[0] == weights[1], "a profile changes bits");

    let profile = &profiled["profile"];
    let figure =
        |object: &Value, key: &str| object[key].as_f64().unwrap_or_else(|| panic!("{key} in {object}"));
    let parts = profile["parts"].as_array().unwrap();
    let part = |name: &str, kind: &str| {
        let found = parts.iter().find(|part| part["name"] == name && part["kind"] == kind);
        found.unwrap_or_else(|| panic!("{name} {kind} in {profile}"))
    };
    // 32 examples through 784-32-10, and back to the weights and the hidden layer.
    let products = [2.0 * 32.0 * 784.0 * 32.0, 2.0 * 32.0 * 32.0 * 10.0];
    let [forward, backward] = ["forward", "backward"].map(|kind| part("linear", kind));
    assert_eq!(figure(forward, "floating_point_operations"), products[0] + products[1]);
    assert_eq!(figure(backward, "floating_point_operations"), products[0] + 2.0 * products[1]);
    assert!(figure(forward, "gflop_per_s") > 0.0 && figure(part("relu", "backward"), "gb_per_s") > 0.0);
    for name in ["loader", "optimizer"] {
        assert_eq!(figure(part(name, "section"), "calls"), 1.0);
    }
    let sum: f64 = parts.iter().map(|part| figure(part, "ms")).sum::<f64>() + figure(profile, "around_ms");
    assert!(
        (sum / figure(profile, "sum_ms") - 1.0).abs() < 1e-9 && sum <= figure(profile, "step_ms"),
        "{profile}"
    );
    // 250 steps, of which two warm up, by the Thue-Morse sequence.
    assert_eq!(figure(profile, "profiled_steps") + figure(profile, "plain_steps"), 248.0);
    assert!(figure(profile, "slowdown").is_finite() && figure(profile, "discrepancy").is_finite());

    let printed = backflow(&["train", "--layers", "784,32,10", "--epochs", "1", "--profile"], folder.path());
    let printed = text(&printed.stdout);
    assert!(printed.contains("\nlinear backward ") && printed.contains("without a profile"), "{printed}");
}

#[test]
fn flushing_to_zero_is_asked_for_recorded_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    // Deltas of the first layers are far below the smallest normal number.
    let deep = format!("784,{}10", "16,".repeat(60));
    let run = |name: &str, extra: &[&str]| {
        let settings =
            ["train", "--json", "--epochs", "1", "--activation", "sigmoid", "--layers", &deep, "--out", name];
        let output = backflow(&[&settings[..], extra].concat(), folder.path());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let read = |file: &str| std::fs::read_to_string(folder.path().join(name).join(file)).unwrap();
        let config: Value = serde_json::from_str(&read("config.json")).unwrap();
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let smallest =
            result["layers"].as_array().unwrap().iter().filter_map(|row| row["delta_rms"].as_f64());
        let smallest = smallest.filter(|&delta| delta > 0.0).fold(f64::INFINITY, f64::min);
        let inspected = text(&backflow(&["inspect", name], folder.path()).stdout);
        let shown = [inspected, read("report.html")].map(|shown| shown.contains("flushed to zero"));
        assert_eq!(shown[0], shown[1]);
        (config["flush_to_zero"].clone(), smallest, shown[0])
    };
    let least = f64::from(f32::MIN_POSITIVE);
    let (recorded, smallest, shown) = run("kept", &[]);
    assert!(recorded == false && smallest < least && !shown, "{recorded}, {smallest:e}, {shown}");
    let (recorded, smallest, shown) = run("flushed", &["--flush-to-zero"]);
    // An rms over many zeros may be a little smaller than the numbers are.
    assert!(recorded == true && smallest > least / 100.0 && shown, "{recorded}, {smallest:e}, {shown}");
}

/// Curvature, Jacobians and units at steps of one's own, with and without all else.
#[test]
fn what_is_asked_for_by_itself_has_a_schedule_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let measured = |extra: &[&str]| {
        let fixed = ["--limit", "320", "--layers", "784,8,10", "--out", "run"];
        quick(&[&fixed, extra].concat(), folder.path());
        let records: Vec<Value> = flow(&folder.path().join("run"))
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let steps = |what: &str| -> Vec<u64> {
            let has = records.iter().filter(|record| !record[what].is_null());
            has.map(|record| record["step"].as_u64().unwrap()).collect()
        };
        let of_units = records.iter().filter(|record| !record["layers"][0]["unit_rms"].is_null());
        let of_units = of_units.map(|record| record["step"].as_u64().unwrap()).collect::<Vec<_>>();
        (records.len(), steps("curvature"), steps("jacobians"), of_units)
    };
    let (records, curvature, jacobians, units) = measured(&["--curvature-every", "7", "--probe", "off"]);
    assert_eq!((records, curvature, jacobians, units), (3, vec![1, 8, 15], vec![], vec![]));
    let every = ["--curvature-every", "10", "--jacobians-every", "6", "--units-every", "9"];
    let (records, curvature, jacobians, units) = measured(&every);
    assert_eq!((records, curvature), (20, vec![1, 11]));
    assert_eq!((jacobians, units), (vec![1, 7, 13, 19], vec![1, 10, 19]));
    let page = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(page.contains("<figcaption>Deltas by unit: layers.1 <span>"));
}

/// Two runs stand beside each other, and what an epoch came to is there.
#[test]
fn tensorboards_files_are_written_while_a_training_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    for run in ["one", "two"] {
        quick(
            &["--limit", "320", "--layers", "784,8,10", "--tensorboard", "tb", "--out", run],
            folder.path(),
        );
        let mut files: Vec<_> = std::fs::read_dir(folder.path().join("tb").join(run)).unwrap().collect();
        let file = files.pop().unwrap().unwrap();
        assert!(files.is_empty() && file.file_name().to_str().unwrap().contains("tfevents."));
        let bytes = std::fs::read(file.path()).unwrap();
        let count = |tag: &str| bytes.windows(tag.len()).filter(|window| *window == tag.as_bytes()).count();
        assert_eq!(["run/loss", "delta_rms/layers.0", "epoch/test_accuracy"].map(count), [20, 20, 2]);
    }
    let output = backflow(&["inspect", "one", "--tensorboard", "again"], folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let again =
        std::fs::read(folder.path().join("again/one/events.out.tfevents.0000000000.backflow")).unwrap();
    let has = |tag: &str| again.windows(tag.len()).any(|window| window == tag.as_bytes());
    assert!(has("epoch/test_accuracy") && has("epoch/train_loss") && has("run/loss"));
}
