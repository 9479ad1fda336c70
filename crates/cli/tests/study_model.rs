//! `backflow study --model`: lines with placeholders, every combination of which is a row.

#![allow(clippy::disallowed_methods, reason = "tests look into files that the program wrote")]

mod program;

use program::{backflow, text};
use serde_json::Value;
use std::path::Path;

const BLOCKS: &str = "conv:{width},padding=same/[{skip}(conv:{width},padding=same/{norm}/relu)]*{depth}\
                      /adaptiveavgpool/flatten/linear:10";

fn study(extra: &[&str], folder: &Path) -> Value {
    let arguments = [&["study", "--json", "--seeds", "1", "--limit", "64"], extra].concat();
    let output = backflow(&arguments, folder);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a JSON object")
}

#[test]
fn every_combination_is_a_row_with_what_its_placeholders_are() {
    let folder = tempfile::tempdir().unwrap();
    let axes =
        ["--depth", "2,3", "--width", "4", "--norm", "none,group:2", "--skip", "on,off", "--steps", "2"];
    let object = study(&[&["--model", BLOCKS, "--out", "out"], &axes[..]].concat(), folder.path());
    let configurations = object["configurations"].as_array().unwrap();
    assert_eq!((configurations.len(), &object["config"]["models"][0]), (8, &BLOCKS.into()));
    let mut expected = configurations.iter();
    for norm in ["none", "group:2"] {
        for skip in [true, false] {
            for depth in [2, 3] {
                let of = expected.next().unwrap();
                assert_eq!(
                    (&of["norm"], &of["skip"], &of["depth"]),
                    (&norm.into(), &skip.into(), &depth.into())
                );
                assert_eq!((&of["width"], of.get("activation")), (&4.into(), None));
                // Digits have different backgrounds: no theory of relu, or of normalisation by groups.
                assert!(of["theory_slope"].is_null(), "{of}");
                let word = if skip { "residual" } else { "sequential" };
                let norm = if norm == "none" { "" } else { "/groupnorm:2" };
                let line = format!(
                    "conv:4,padding=same/[{word}(conv:4,padding=same{norm}/relu)]*{depth}/adaptiveavgpool/flatten/linear:10"
                );
                assert_eq!(of["model"]["line"], line);
                assert_eq!(of["model"]["input"], serde_json::json!([1, 28, 28]));
                let layers = of["layers"].as_array().unwrap();
                assert_eq!(of["judged_layers"], depth + 1, "{of}");
                assert_eq!(of["delta_rms"].as_array().unwrap().len(), layers.len());
                assert!(
                    of["slope_decades_per_layer"].is_number() && of["training"]["final_loss"].is_number()
                );
            }
        }
    }
    let page = std::fs::read_to_string(folder.path().join("out/study.html")).unwrap();
    for part in
        ["no norm + skip", "group:2 norm + no skip", "data-name=\"map-slope-norm-1\"", "depth 2, group:2: "]
    {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("<tr class=\"r").count(), 8);
}

/// In a window of 80 columns, what tells rows apart stays.
#[test]
fn the_table_names_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "[linear:{width}/{activation}]*2/linear:10; mlp:8,8";
    let arguments =
        ["study", "--model", lines, "--width", "8", "--activation", "tanh", "--seeds", "1", "--limit", "64"];
    let output = backflow(&arguments, folder.path());
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let row = |start: &str| {
        printed.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{printed}"))
    };
    assert!(row("line 1: ").ends_with("[linear:{width}/{activation}]*2/linear:10"));
    assert!(row("model").contains("activation") && !row("model").contains("norm"), "{printed}");
    assert!(row("line 1  ").contains("tanh") && row("mlp:8,8  ").contains(" - "), "{printed}");
    assert!(printed.contains("line 1 + tanh + xavier-uniform, width 8: "), "{printed}");
}

/// Sentences, table and figures say the same: what chance decides, and per what slopes are.
#[test]
fn what_finite_width_decides_and_slopes_per_block_are_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let chance = "[linear:32,bias=false/silu]*40/linear:10";
    let common = ["--init", "xavier-normal", "--out", "out"];
    let object = study(&[&["--model", chance], &common[..]].concat(), folder.path());
    let of = &object["configurations"][0];
    assert!(of["finite_width"].is_object() && of["theory_slope"].is_null(), "{of}");
    let note = object["notes"][0].as_str().unwrap();
    assert!(
        note.contains("theory leaves it to finite width") && !note.contains("theory says nothing"),
        "{note}"
    );

    let blocks = "linear:16/[residual(linear:16/tanh/linear:16)]*4/linear:10";
    let object = study(&[&["--model", blocks], &common[..]].concat(), folder.path());
    assert_eq!(object["configurations"][0]["slope_per"], "block");
    let note = object["notes"][0].as_str().unwrap();
    assert!(note.contains(" per residual block on the way back") && !note.contains("per layer"), "{note}");
}

#[test]
fn figures_are_the_same_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let figures = |threads: &str| {
        let axes = ["--depth", "2", "--width", "4", "--norm", "batch", "--skip", "on", "--steps", "3"];
        let more = ["--model", BLOCKS, "--threads", threads, "--out", threads];
        study(&[&more[..], &axes[..]].concat(), folder.path())["configurations"].take()
    };
    assert_eq!(figures("1"), figures("3"));
}

#[test]
fn what_is_wrong_is_told_with_its_place_in_the_filled_line() {
    let folder = tempfile::tempdir().unwrap();
    let pools = "[conv:{width}/maxpool:2]*{depth}/flatten/linear:10";
    let cases: &[(&[&str], &str)] = &[
        (
            &["--model", pools, "--width", "4", "--depth", "2,4"],
            "--model \"[conv:4/maxpool:2]*4/flatten/linear:10\" (depth 4, width 4): column 2, \"conv:4\": no room",
        ),
        (
            &["--model", pools, "--width", "4"],
            "--model: column 26, \"{depth}\": nothing stands for it; write --depth 2,4,8",
        ),
        (
            &["--model", "linear:10", "--width", "4"],
            "--width: no line of --model has {width}; write it where",
        ),
        (
            &["--model", "linear:{widht}", "--width", "4"],
            "column 8, \"{widht}\": there is no such placeholder; did you mean width?",
        ),
        (
            &["--model", "linear:4/{norm}/linear:10", "--norm", "group:3"],
            "(norm group:3): column 10, \"groupnorm:3\": 4 channels cannot",
        ),
        (&["--model", "linear:{width}/linear:10", "--width", "4,2000000"], "is not a number of units"),
        (
            &["--model", "[linear:{width}]*4/linear:10", "--width", "20000"],
            "(width 20000): column 2, \"linear:20000\": more than 1000000000 parameters",
        ),
        (
            &["--model", "linear:4/{norm}/linear:10", "--norm", "bach"],
            "there is no normalisation \"bach\"; did you mean batch? There are none, batch, layer, rms, instance, group:N, or \
             the words of a line: batchnorm, groupnorm:N, …",
        ),
        // The word of the line is the same.
        (&["--model", "linear:4/{norm}/linear:10", "--norm", "batch,batchnorm"], "batch is there twice"),
        (
            &["--model", "linear:4/{norm}/linear:10", "--norm", "groupnorm:groups=3"],
            "(norm group:3): column 10, \"groupnorm:3\": 4 channels cannot",
        ),
        (&["--model", "{skip}(linear:4)/linear:10", "--skip", "yes"], "\"yes\" is not on or off"),
        (&["--model", "cnn;cnn"], "--model: \"cnn\" is there twice"),
        (&["--model", "cnn;"], "--model \"\": column 1: a word is missing here"),
        (&["--norm", "batch"], "--model"),
        (
            &["--model", "linear:8/batchnorm/relu/linear:10", "--limit", "33", "--steps", "2"],
            "--model: batchnorm, layer 2, needs two examples at least, and would get one: 33 to train on in batches of 32; \
             change --limit, or --batch-size",
        ),
        (
            &["--model", "linear:8/batchnorm/linear:10", "--limit", "1"],
            "1 to train on in batches of 1; change",
        ),
    ];
    for (arguments, expected) in cases {
        let output = backflow(&[&["study"], *arguments].concat(), folder.path());
        let message = text(&output.stderr);
        assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    assert!(!folder.path().join("runs").exists());
}
