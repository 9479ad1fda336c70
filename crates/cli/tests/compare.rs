//! `backflow compare` as a person or a script meets it: what it prints, what it leaves behind, how it fails
//! and stops.

#![allow(clippy::disallowed_methods, reason = "tests put files where the program must find them")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn backflow(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_backflow")).args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A network and a training so small that a comparison takes a moment.
const SMALL: &str = "compare --layers 784,16,10 --epochs 1 --batch-size 100";

/// Runs a small comparison with `--json` and these options, into `out`.
fn quick(options: &str, out: &str, folder: &Path) -> Value {
    let arguments: Vec<&str> =
        SMALL.split(' ').chain(["--json", "--out", out]).chain(options.split(' ')).collect();
    let output = backflow(&arguments, folder);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{options}");
    let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else");
    let saved = std::fs::read(folder.join(out).join("compare.json")).unwrap();
    assert_eq!(object, serde_json::from_slice::<Value>(&saved).unwrap(), "what is printed is what is saved");
    object
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["optimizer"].as_str().unwrap()).collect()
}

#[test]
fn the_object_has_every_run_with_its_curve_and_the_ranking() {
    let folder = tempfile::tempdir().unwrap();
    let object =
        quick("--optimizers adam,sgd:lr=0.1,momentum=0.9,gd --seeds 2 --steps-to 0.3", "out", folder.path());
    let contenders = ["adam", "sgd:lr=0.1,momentum=0.9", "gd"];
    assert_eq!(object["config"]["optimizers"], serde_json::json!(contenders));
    assert_eq!(names(&object["runs"]), [contenders, contenders].concat(), "seed by seed");
    assert_eq!((&object["planned_runs"], &object["interrupted"]), (&6.into(), &false.into()));
    for run in object["runs"].as_array().unwrap() {
        assert_eq!(run["outcome"], "finished", "{run}");
        for key in ["seed", "lr", "test_accuracy", "test_loss", "train_loss"] {
            assert!(run[key].is_number(), "{key} in {run}");
        }
        let curve = run["curve"].as_array().unwrap();
        let (steps, batch_size) = if run["optimizer"] == "gd" { (1, 4000) } else { (40, 100) };
        assert_eq!((&run["steps"], &run["batch_size"]), (&steps.into(), &batch_size.into()));
        assert_eq!(curve.len(), if steps == 1 { 2 } else { 21 });
        let last = curve.last().unwrap();
        assert_eq!((&last["step"], &last["epoch"]), (&steps.into(), &1.0.into()));
        for key in ["test_accuracy", "test_loss", "train_loss"] {
            assert_eq!(run[key], last[key], "{key}");
        }
        let best =
            curve[1..].iter().map(|point| point["test_accuracy"].as_f64().unwrap()).fold(0.0, f64::max);
        assert_eq!(run["best_test_accuracy"], best);
        // The first step is looked at too, unless it leads to a point anyway.
        let flow = run["flow"].as_array().unwrap();
        assert_eq!(flow.len(), if steps == 1 { 1 } else { 21 });
        assert_eq!((&flow[0]["step"], &flow[0]["epoch"]), (&1.into(), &0.0.into()));
        assert_eq!(flow.last().unwrap()["step"], steps);
        for look in flow {
            assert_eq!(
                (&look["terms"], &look["slope"]),
                (&f64::from(batch_size).into(), &Value::Null),
                "{look}"
            );
            let layers = look["layers"].as_array().unwrap();
            assert_eq!(
                layers.iter().map(|layer| &layer["layer"]).collect::<Vec<_>>(),
                ["layers.0", "layers.1"]
            );
            for key in ["delta_rms", "weight_gradient_rms", "update_ratio"] {
                assert!(layers.iter().all(|layer| layer[key].as_f64() > Some(0.0)), "{key} in {look}");
            }
        }
        let reached = curve.iter().find(|point| point["test_accuracy"].as_f64().unwrap() >= 0.3);
        assert_eq!(run["steps_to_target"], reached.map_or(Value::Null, |point| point["step"].clone()));
    }
    let mean = |name: &str| {
        let runs = object["runs"].as_array().unwrap().iter().filter(|run| run["optimizer"] == name);
        runs.map(|run| run["test_accuracy"].as_f64().unwrap()).sum::<f64>() / 2.0
    };
    let ranking = object["ranking"].as_array().unwrap();
    assert_eq!(ranking.len(), 3);
    for (rank, standing) in (1..).zip(ranking) {
        assert_eq!(standing["rank"], rank);
        let expected = mean(standing["optimizer"].as_str().unwrap());
        assert!((standing["test_accuracy"]["mean"].as_f64().unwrap() - expected).abs() < 1e-12);
        assert!(standing["test_accuracy"]["std"].is_number());
    }
    assert!(ranking.windows(2).all(|pair| {
        pair[0]["test_accuracy"]["mean"].as_f64() >= pair[1]["test_accuracy"]["mean"].as_f64()
    }));
}

#[test]
fn figures_are_the_same_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let figures = |threads: &str, one_by_one: bool| {
        let pace = if one_by_one { "--one-by-one" } else { "" };
        let options = format!(
            "--optimizers adam,lbfgs,muon --seeds 2 --tune --folds 2 --rates 0.001,0.01 --threads {threads} \
             {pace}"
        );
        let mut object = quick(options.trim(), &format!("{threads}{pace}"), folder.path());
        assert_eq!(object["config"]["threads"].to_string(), threads);
        for run in object["runs"].as_array_mut().unwrap() {
            // Steps that others were made beside are not timed.
            assert_eq!(run.as_object_mut().unwrap().remove("seconds_per_step").is_some(), one_by_one);
        }
        [object["runs"].take(), object["tuning"].take(), object["notes"].take()]
    };
    let one = figures("1", true);
    for (threads, one_by_one) in [("2", true), ("1", false), ("2", false), ("5", false)] {
        assert_eq!(figures(threads, one_by_one), one, "{threads} threads");
    }
}

#[test]
fn a_diverging_optimizer_is_reported_and_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let options = "--optimizers sgd:lr=1e6,adam --seeds 2 --batch-size 10";
    let object = quick(options, "out", folder.path());
    assert_eq!(names(&object["ranking"]), ["adam", "sgd:lr=1e6"]);
    assert_eq!(object["ranking"][1]["diverged"], 2);
    assert_eq!(object["ranking"][1]["test_accuracy"], Value::Null);
    for run in object["runs"].as_array().unwrap() {
        let diverged = run["optimizer"] == "sgd:lr=1e6";
        assert_eq!(run["outcome"], if diverged { "diverged" } else { "finished" });
        assert_eq!(run["diverged_at_step"].is_u64(), diverged, "{run}");
        assert_eq!(run["test_accuracy"].is_null(), diverged, "{run}");
    }
    let arguments: Vec<&str> = SMALL.split(' ').chain(options.split(' ')).chain(["--out", "out"]).collect();
    let printed = text(&backflow(&arguments, folder.path()).stdout);
    let row = printed.lines().find(|line| line.starts_with("2  sgd:lr=1e6 ")).unwrap_or_default();
    assert!(row.contains("diverged, step "), "{printed}");
    assert!(printed.contains("adam reached a test accuracy of"), "{printed}");
}

#[test]
fn rates_are_tuned_where_no_spec_states_one() {
    let folder = tempfile::tempdir().unwrap();
    // A rate of 1e12 leaves the range of f32 within some steps; 1e-9 learns nothing.
    let options = "--optimizers sgd,sgd:lr=0.5 --seeds 1 --tune --rates 1e-9,0.1,1e12";
    let object = quick(options, "out", folder.path());
    assert_eq!((&object["runs"][0]["lr"], &object["runs"][1]["lr"]), (&0.1.into(), &0.5.into()));
    let tuning = &object["tuning"];
    assert_eq!(names(tuning), ["sgd"]);
    assert_eq!(tuning[0]["lr"], 0.1);
    let grid = tuning[0]["grid"].as_array().unwrap();
    assert_eq!(grid.iter().map(|trial| trial["lr"].as_f64().unwrap()).collect::<Vec<_>>(), [1e-9, 0.1, 1e12]);
    assert!(grid.iter().all(|trial| trial["folds"].as_array().unwrap().len() == 3));
    assert_eq!((&grid[2]["validation_loss"], &grid[2]["validation_accuracy"]), (&Value::Null, &0.0.into()));

    let printed = quick("--optimizers sgd --seeds 1 --tune --rates 1e-9,0.1", "edge", folder.path());
    assert!(
        printed["notes"].to_string().contains("At the upper end of the grid, so that higher --rates"),
        "{}",
        printed["notes"]
    );
}

#[test]
fn the_table_is_ranked_and_the_conclusion_is_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let output = backflow(
        &[&SMALL.split(' ').collect::<Vec<_>>()[..], &["--optimizers", "sgd,Adam,lbfgs", "--seeds", "2"]]
            .concat(),
        folder.path(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "no bar where there is no terminal");
    let printed = text(&output.stdout);
    for part in [
        "seed 1: lbfgs: test accuracy 0.",
        "#  optimizer",
        "steps to 0.9",
        " ± 0.",
        "more than",
        "seed by seed +",
        "--tune chooses",
        "3 optimizers, schedule constant; 1 epoch, batch size 100; 2 seeds",
        " times in 1 step.",
        "One step per epoch on the whole training set (4,000 examples) as one batch: lbfgs. To choose its \
         steps, lbfgs went",
        "runs/compare-embedded-784-16-10-relu/compare.html",
    ] {
        assert!(printed.contains(part), "{part} in:\n{printed}");
    }
    let rows: Vec<&str> = printed.lines().filter(|line| line.contains(" finished")).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows[2].starts_with("3  sgd "), "{printed}");
    assert!(folder.path().join("runs/compare-embedded-784-16-10-relu/compare.json").exists());
}

#[test]
fn rates_that_all_diverge_are_not_chosen_and_runs_that_all_diverge_are_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        |options: &'static str| -> Vec<&str> { SMALL.split(' ').chain(options.split(' ')).collect() };
    let options = "--optimizers sgd,sgd:lr=1e30 --seeds 1 --tune --folds 2 --rates 1e20,1e30 --out out";
    let output = backflow(&arguments(options), folder.path());
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        printed.contains("Every rate diverged, so that the default stayed; try lower --rates: sgd."),
        "{printed}"
    );
    let saved = || -> Value {
        serde_json::from_slice(&std::fs::read(folder.path().join("out/compare.json")).unwrap()).unwrap()
    };
    assert_eq!((&saved()["tuning"][0]["lr"], &saved()["runs"][0]["lr"]), (&Value::Null, &0.001.into()));

    let output = backflow(&arguments("--optimizers sgd:lr=1e30 --seeds 1 --tune --out out"), folder.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(!text(&output.stdout).contains("cross-validation"), "nothing is announced that is not done");
    assert_eq!(text(&output.stderr), "backflow: every run diverged; the figures are in out\n");
    assert_eq!(names(&saved()["runs"]), ["sgd:lr=1e30"]);
    let notes = serde_json::json!([
        "No optimizer finished every run; try lower learning rates.",
        "Nothing was tuned: every optimizer's learning rate is written."
    ]);
    assert_eq!(saved()["notes"], notes);
}

#[test]
fn a_batch_is_no_larger_than_the_training_set_and_notes_say_only_what_applies() {
    let folder = tempfile::tempdir().unwrap();
    let object = quick("--optimizers sgd:lr=0.1 --seeds 1 --batch-size 100000", "out", folder.path());
    assert_eq!(
        (&object["config"]["batch_size"], &object["runs"][0]["batch_size"]),
        (&4000.into(), &4000.into())
    );
    assert_eq!(
        object["notes"].as_array().unwrap().len(),
        1,
        "no defaults and no tuning: {}",
        object["notes"]
    );
}

#[test]
fn lbfgs_goes_unclipped_and_a_note_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let curves = |options| {
        let object = quick(options, "out", folder.path());
        assert_eq!(object["notes"].to_string().contains("Without --clip-norm"), options.contains("clip"));
        [object["runs"][0]["curve"].clone(), object["runs"][1]["curve"].clone()]
    };
    let [lbfgs, sgd] = curves("--optimizers L-BFGS,sgd --seeds 1");
    let [unclipped, clipped] = curves("--optimizers lbfgs,sgd --seeds 1 --clip-norm 1e-3");
    assert_eq!(lbfgs, unclipped);
    assert_ne!(sgd, clipped);
}

/// Four examples of 2 × 2 pixels to train on and four to test on.
fn tiny_digits(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let images: Vec<u8> =
        [&[0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 2][..], &(0..16).collect::<Vec<u8>>()].concat();
    for name in ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"] {
        std::fs::write(folder.join(name), &images).unwrap();
    }
    for name in ["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"] {
        std::fs::write(folder.join(name), [0, 0, 8, 1, 0, 0, 0, 4, 3, 9, 3, 9]).unwrap();
    }
}

#[test]
fn the_page_needs_nothing_from_outside_and_shows_every_optimizer() {
    let folder = tempfile::tempdir().unwrap();
    tiny_digits(&folder.path().join("<i>&\"'"));
    let options =
        ["compare", "--optimizers", "all,sgd:lr=1e30", "--seeds", "2", "--epochs", "2", "--batch-size", "2"];
    let data = ["--data", "<i>&\"'", "--layers", "4,3,10", "--out", "out"];
    let output = backflow(&[&options[..], &data].concat(), folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = std::fs::read_to_string(folder.path().join("out/compare.html")).unwrap();
    let object: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("out/compare.json")).unwrap()).unwrap();

    // The script is that of the buttons, which fetches nothing.
    let (before, rest) = page.split_once("<script>").unwrap();
    let (script, after) = rest.split_once("</script>").unwrap();
    let page = before.to_owned() + after;
    for outside in
        ["http:", "https:", "//", "src=", "href", "@import", "<script", "<link", "<iframe", "data:"]
    {
        assert!(!page.contains(outside), "{outside} in the page");
    }
    for outside in ["http", "fetch(", "import", "XMLHttpRequest", "<script"] {
        assert!(!script.contains(outside), "{outside} in the script");
    }
    let references: Vec<&str> = page.match_indices("url(").map(|(at, _)| &page[at..at + 5]).collect();
    assert!(references.iter().all(|reference| *reference == "url(#"), "{references:?}");
    assert!(
        !page.contains("<i>") && page.contains("&lt;i&gt;&amp;&quot;&#39;"),
        "the name of the data is text"
    );
    assert!(!page.contains("NaN") && !page.contains("inf"), "no number of the drawing is lost");

    let ranking = object["ranking"].as_array().unwrap();
    assert!(ranking.len() > 27, "{}", ranking.len());
    for (n, standing) in ranking.iter().enumerate() {
        let name = standing["optimizer"].as_str().unwrap();
        for chart in ["accuracy", "test-loss", "train-loss"] {
            let group = format!("<g class=\"curve s{n}\" id=\"{chart}-s{n}\"><title>{name}: ");
            assert_eq!(page.matches(&group).count(), 1, "{group}");
        }
        for chart in ["delta-layers", "delta-first", "update-ratio"] {
            let group = format!("<g class=\"curve s{n}\" id=\"{chart}-s{n}\"><title>{name}</title>");
            assert_eq!(page.matches(&group).count(), 1, "{group}");
        }
        assert_eq!(page.matches(&format!("</svg>{name}</label>")).count(), 1, "{name} in the table");
    }
    let diverged = ranking.iter().position(|standing| standing["optimizer"] == "sgd:lr=1e30").unwrap();
    assert!(page.contains(&format!("<tr class=\"r{diverged} diverged\">")), "a diverged run is in the table");
    // Whatever is opened is closed, in this order.
    let mut open = Vec::new();
    for tag in page.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag) {
        let name = tag.split([' ', '\n']).next().unwrap();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "…{tag}"),
            None if tag.ends_with('/') || ["!DOCTYPE", "meta", "br", "input"].contains(&name) => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_folder_of_an_earlier_comparison_is_taken_over_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    quick("--optimizers adam --seeds 1", "out", folder.path());
    let object = quick("--optimizers sgd --seeds 1", "out", folder.path());
    assert_eq!(names(&object["runs"]), ["sgd"]);
    let mut left: Vec<_> = std::fs::read_dir(folder.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["compare.html", "compare.json"], "no temporary file stays");
}

#[test]
fn bad_input_ends_with_one_line_and_an_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "in the way").unwrap();
    tiny_digits(&folder.path().join("tiny"));
    let cases: [(&str, i32, &[&str]); 27] = [
        ("", 2, &["--optimizers", "is missing", "see backflow compare --help"]),
        ("--optimizers adam --optimiser sgd --x", 2, &["--optimiser"]),
        ("--optimizers adamx", 2, &["--optimizers", "adamx", "did you mean adam?", "adamw"]),
        ("--optimizers lr=0.1", 2, &["--optimizers", "NAME:lr=0.1"]),
        ("--optimizers adam,lr=0.1", 2, &["write adam:lr=0.1"]),
        ("--optimizers adam,,sgd", 2, &["--optimizers", "between two commas"]),
        ("--optimizers adam,ADAM", 2, &["adam is there twice"]),
        ("--optimizers sgd:momentum=2", 2, &["momentum=2", "[0, 1)"]),
        ("--optimizers sgd:lr=1e999", 2, &["lr=1e999"]),
        ("--optimizers adam --epochs 0", 2, &["--epochs", "from 1 up"]),
        (
            "--optimizers adam --epochs 18446744073709551615",
            2,
            &["--epochs", "more steps than can be counted"],
        ),
        ("--optimizers adam --seeds 0", 2, &["--seeds", "from 1 up"]),
        ("--optimizers adam --seeds -1", 2, &["--seeds", "from 1 up"]),
        ("--optimizers adam --schedule cosin", 2, &["--schedule", "cosin"]),
        ("--optimizers adam --steps-to 1.5", 2, &["--steps-to", "at most 1"]),
        ("--optimizers adam --steps-to NaN", 2, &["--steps-to", "at most 1"]),
        ("--optimizers adam --rates 0.1", 2, &["--rates", "--tune"]),
        ("--optimizers adam --folds 3", 2, &["--folds", "--tune"]),
        ("--optimizers adam --tune --rates 0.1,,1", 2, &["--rates", "1e-3,1e-2,0.1"]),
        ("--optimizers adam --tune --rates 0.1,0.1", 2, &["--rates", "twice"]),
        ("--optimizers adam --tune --rates -1", 2, &["--rates", "positive"]),
        ("--optimizers adam --tune --folds 1", 2, &["--folds", "expected 2 to 4000"]),
        ("--optimizers adam --tune --data tiny --folds 5", 2, &["--folds", "expected 2 to 4"]),
        ("--optimizers adam --clip-norm 0", 2, &["--clip-norm", "positive"]),
        ("--optimizers adam --data nowhere", 1, &["nowhere"]),
        ("--optimizers adam --out file", 1, &["file", "is a file"]),
        ("--optimizers adam --out .", 1, &["not empty", "no earlier comparison"]),
    ];
    for (options, code, parts) in cases {
        let arguments: Vec<&str> = ["compare"].into_iter().chain(options.split_whitespace()).collect();
        let output = backflow(&arguments, folder.path());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{options}: {message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{options}: {message}");
        assert_eq!(text(&output.stdout), "", "{options}");
        for part in parts {
            assert!(message.contains(part), "{options}: {part} in {message}");
        }
    }
    assert!(!folder.path().join("runs").exists(), "nothing is left of a comparison that never began");
}

#[cfg(unix)]
#[test]
fn ctrl_c_before_the_first_run_is_complete_leaves_everything_as_it_was() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    let folder = tempfile::tempdir().unwrap();
    quick("--optimizers adam --seeds 1", "earlier", folder.path());
    let page = || std::fs::read(folder.path().join("earlier/compare.html")).unwrap();
    let before = page();
    for out in ["earlier", "new"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_backflow"));
        program.args(["compare", "--optimizers", "sgd", "--epochs", "1000000", "--out", out]);
        program.current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        let mut introduction = String::new();
        // Ctrl-C is listened to before the first line is printed.
        printed.read_line(&mut introduction).unwrap();
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        printed.read_to_string(&mut introduction).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
        let message = "backflow: interrupted; no run was finished, and nothing was written\n";
        assert_eq!(text(&output.stderr), message);
        assert!(introduction.ends_with("No run was finished, and nothing was written.\n"), "{introduction}");
    }
    assert_eq!(page(), before);
    assert_eq!(
        std::fs::read_dir(folder.path().join("earlier")).unwrap().count(),
        2,
        "no file of the trial stays"
    );
    assert!(!folder.path().join("new").exists());
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_prints_and_says_what_is_complete() {
    use std::process::Stdio;
    use std::time::Duration;

    let folder = tempfile::tempdir().unwrap();
    for (json, seeds) in [(false, "100000"), (true, "100000")] {
        let out = folder.path().join(if json { "json" } else { "table" });
        let mut program = Command::new(env!("CARGO_BIN_EXE_backflow"));
        program
            .args(SMALL.split(' '))
            .args(["--optimizers", "adam,sgd", "--seeds", seeds, "--out"])
            .arg(&out);
        program.args(json.then_some("--json")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = program.spawn().unwrap();
        let object = || -> Option<Value> {
            serde_json::from_slice(&std::fs::read(out.join("compare.json")).ok()?).expect("never half a file")
        };
        let complete = |object: &Value| object["runs"].as_array().unwrap().len();
        while object().is_none_or(|object| complete(&object) < 3) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));

        let object = object().unwrap();
        let runs = complete(&object);
        assert!(
            runs >= 3 && object["runs"].as_array().unwrap().iter().all(|run| run["outcome"] == "finished")
        );
        assert_eq!((&object["interrupted"], &object["planned_runs"]), (&true.into(), &200_000.into()));
        let message = format!(
            "backflow: interrupted; {runs} of 200000 runs are complete, and kept in {}\n",
            out.display()
        );
        assert_eq!(text(&output.stderr), message);
        let printed = text(&output.stdout);
        if json {
            assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), object);
        } else {
            assert!(
                printed.contains(&format!("Interrupted: {runs} of 200000 runs are complete")),
                "{printed}"
            );
            assert_eq!(printed.lines().filter(|line| line.contains(" finished")).count(), 2, "{printed}");
        }
        assert!(std::fs::read_to_string(out.join("compare.html")).unwrap().contains("Interrupted: "));
    }
}
