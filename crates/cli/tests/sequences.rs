//! Sequences: problems that are made, images row by row, and texts, from the command line to the folder of the run.

#![allow(clippy::disallowed_methods, reason = "tests put files where the program must find them")]

mod program;

use program::{backflow, flow, text};
use serde_json::{Value, json};
use std::path::Path;

fn run(words: &str, folder: &Path) -> String {
    let output = backflow(&words.split(' ').collect::<Vec<_>>(), folder);
    assert!(output.status.success(), "{words}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn object(words: &str, folder: &Path) -> Value {
    serde_json::from_str(&run(words, folder)).expect("standard output is one JSON object and nothing else")
}

fn config(run: &str, folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(run).join("config.json")).unwrap()).unwrap()
}

/// A text in which one byte follows from the one before.
fn write_text(folder: &Path) {
    std::fs::write(folder.join("abc.txt"), "abcdefg ".repeat(100)).unwrap();
}

/// The sum of two numbers: the loss falls, and stands beside that of a guess.
#[test]
fn adding_is_learned_and_a_guess_is_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let words = "train --data adding:T=6,n=2000 --model lstm:16 --epochs 6 --lr 0.02 --out run";
    let printed = run(words, folder.path());
    for part in [
        "2,000 sequences to train on, 200 to test on (adding:T=6,n=2000); 6 steps of 2",
        "a guess, without memory, gets a loss of 0.1667",
        "loss mse; epochs: 6",
        "epoch  train loss  test loss  test mae  test rmse",
        "; 0.1667 is what a guess gets",
    ] {
        assert!(printed.contains(part), "{part} in:\n{printed}");
    }
    let config = config("run", folder.path());
    assert_eq!((&config["data"], &config["loss"]), (&json!("adding:T=6,n=2000"), &json!("mse")));
    assert_eq!(config["model"], json!({"language": 1, "line": "lstm:16", "input": [6, 2], "classes": 1}));
    let summary: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("run/summary.json")).unwrap()).unwrap();
    assert!(summary["test_loss"].as_f64().unwrap() < 0.05, "{summary}");
    assert!((summary["guess_loss"].as_f64().unwrap() - 1.0 / 6.0).abs() < 1e-12);
    let shown = run("inspect run --report again.html", folder.path());
    assert!(!shown.contains("NOT CALLED"), "{shown}");
    let page = std::fs::read_to_string(folder.path().join("again.html")).unwrap();
    assert!(page.contains("lstm:16, ") && page.contains("data: adding:T=6,n=2000"));
}

/// The same seeds make the same data, and `--seed` is that of the weights alone.
#[test]
fn data_are_a_function_of_their_own_seed() {
    let folder = tempfile::tempdir().unwrap();
    let losses = |data: &str, seed: u64| {
        let words = format!(
            "train --json --data {data} --model rnn:4 --epochs 1 --lr 1e-9 --seed {seed} --out run{seed}"
        );
        object(&words, folder.path())["test_loss"].clone()
    };
    let usual = losses("adding:T=5,n=64", 0);
    assert_eq!(losses("adding:T=5,n=64,seed=0", 0), usual);
    assert_ne!(losses("adding:T=5,n=64,seed=1", 0), usual);
    assert_ne!(losses("adding:T=5,n=64", 1), usual);
}

/// A class at each step; what is best without memory is 10 ln 8 / (T + 20).
#[test]
fn copying_is_trained_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let results =
        object("train --json --data copying:T=3,n=96 --model gru:8 --epochs 1 --out run", folder.path());
    let guess = 10.0 * 8.0_f64.log2() * std::f64::consts::LN_2 / 23.0;
    assert!((results["guess_loss"].as_f64().unwrap() - guess).abs() < 1e-12, "{results}");
    assert!(results["test_accuracy"].is_number());
    let model =
        json!({"language": 1, "line": "gru:8", "input": [23], "classes": 10, "words": 10, "each_step": true});
    assert_eq!(config("run", folder.path())["model"], model);
    let words = "compare --json --data copying:T=3,n=64 --model embedding:4/gru:4/linear:10 --optimizers sgd,adam \
                 --epochs 1 --seeds 1 --out both";
    let compared = object(&words.split_whitespace().collect::<Vec<_>>().join(" "), folder.path());
    assert_eq!(compared["runs"].as_array().unwrap().len(), 2);
}

/// Images row by row and pixel by pixel, from a folder, too, and changed as images; lstm:128 is what nobody asked for.
#[test]
fn images_are_sequences_of_rows_or_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let printed = run("train --data rows --limit 320 --epochs 1 --augment shift:2 --out run", folder.path());
    assert!(
        printed.contains("320 digits to train on, 1,000 to test on (rows); 28 steps of 28\nlstm:128, "),
        "{printed}"
    );
    assert_eq!(config("run", folder.path())["model"]["input"], json!([28, 28]));
    // A perceptron takes them flat, and is the one of images.
    let loss = |data: &str| {
        let words =
            format!("train --json --data {data} --layers 784,8,10 --limit 100 --epochs 1 --out flat-{data}");
        object(&words, folder.path())["test_loss"].clone()
    };
    assert_eq!(loss("pixels"), loss("embedded"));
    let pixels = run("models rnn:8 --data pixels", folder.path());
    assert!(pixels.contains("[784, 8]") && pixels.contains("[10]"), "{pixels}");

    // Two images of 2 × 3 to train on, and as many to test on.
    let idx = |dims: &[u8], bytes: &[u8]| {
        let sizes = dims.iter().flat_map(|&size| [0, 0, 0, size]);
        [0, 0, 8, dims.len() as u8].into_iter().chain(sizes).chain(bytes.iter().copied()).collect::<Vec<u8>>()
    };
    std::fs::create_dir(folder.path().join("tiny")).unwrap();
    for set in ["train", "t10k"] {
        let images = idx(&[2, 2, 3], &[0, 50, 100, 150, 200, 250, 1, 2, 3, 4, 5, 6]);
        std::fs::write(folder.path().join(format!("tiny/{set}-images-idx3-ubyte")), images).unwrap();
        std::fs::write(folder.path().join(format!("tiny/{set}-labels-idx1-ubyte")), idx(&[2], &[0, 1]))
            .unwrap();
    }
    for (data, input) in [("rows:tiny", json!([2, 3])), ("pixels:./tiny", json!([6, 1]))] {
        let printed = run(&format!("train --data {data} --model rnn:3 --epochs 1"), folder.path());
        assert!(printed.contains("2 images to train on, 2 to test on"), "{printed}");
        let name = data.split_once(':').unwrap().0;
        assert_eq!(
            config(&format!("runs/{name}-tiny-rnn-3-adam-seed0"), folder.path())["model"]["input"],
            input
        );
    }
}

/// A study of depth in time: its data are classes of sequences.
#[test]
fn recurrent_networks_are_studied() {
    let folder = tempfile::tempdir().unwrap();
    let words = "study --json --data rows --model rnn:{width} --width 4,8 --seeds 1 --out study";
    let results = object(words, folder.path());
    assert_eq!(results["configurations"].as_array().map(Vec::len), Some(2), "{results}");
}

/// The model sees a window and says what comes next at each step; at the end it writes.
#[test]
fn a_text_is_learned_byte_by_byte() {
    let folder = tempfile::tempdir().unwrap();
    write_text(folder.path());
    let words = "train --data text:abc.txt,steps=8 --model lstm:24 --epochs 40 --lr 0.02 --batch-size 16";
    let printed = run(&format!("{words} --out run"), folder.path());
    for part in [
        "89 windows of bytes to train on, 9 to test on (text:abc.txt,steps=8); 8 steps, each one of 256 tokens",
        "epoch  train loss  test loss  test accuracy  test perplexity",
        "held-out bytes: perplexity 1.",
        " bits per byte; the network writes:\n",
        "abcdefg abcdefg ",
    ] {
        assert!(printed.contains(part), "{part} in:\n{printed}");
    }
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let summary: Value = serde_json::from_slice(&read("run/summary.json")).unwrap();
    assert_eq!(summary["sample"].as_str().map(str::len), Some(300));
    let bits = summary["bits_per_byte"].as_f64().unwrap();
    assert!((bits.exp2() - summary["test_perplexity"].as_f64().unwrap()).abs() < 1e-6, "{summary}");
    // The same again is the same to the bit, what is written included.
    let again = object(&format!("{words} --json --threads 3 --out again"), folder.path());
    assert_eq!((&again["sample"], &again["bits_per_byte"]), (&summary["sample"], &summary["bits_per_byte"]));
    assert_eq!(read("run/model.safetensors"), read("again/model.safetensors"));
}

/// Nothing in the line says that steps see no later ones: it is what the data ask for. Without that, a loss near 0 would be
/// no memory of what came before, and what is written would be noise.
#[test]
fn a_transformer_learns_a_text() {
    let folder = tempfile::tempdir().unwrap();
    write_text(folder.path());
    let line = "embedding:16/positions/transformer:16,heads=2,feedforward=32,dropout=0/linear:256";
    let words =
        format!("train --json --data text:abc.txt,steps=9 --model {line} --epochs 30 --lr 0.02 --out run");
    let summary = object(&words, folder.path());
    assert!(summary["test_perplexity"].as_f64().unwrap() < 1.1, "{summary}");
    let sample = summary["sample"].as_str().unwrap();
    let right =
        sample.as_bytes().windows(2).filter(|pair| b"abcdefg abc".windows(2).any(|of| of == *pair)).count();
    assert!(right > 270, "{right} of 299 pairs: {sample}");
    assert_eq!(config("run", folder.path())["model"]["causal"], json!(true));
    // The word alone is such a network.
    let table = run("models transformer:16,heads=2 --data text:abc.txt,steps=8", folder.path());
    for part in ["embedding:16", "positions", "transformer:16,heads=2", "linear:256", "[8, 256]"] {
        assert!(table.contains(part), "{part} in:\n{table}");
    }
}

/// What is asked for reaches cells and transformers, and is in the configuration; what is not leaves them as they were.
#[test]
fn initial_weights_are_those_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for model in ["rnn:6", "transformer:8,heads=2,feedforward=4"] {
        let weights = |init: &str| {
            let words = format!(
                "train --json --data adding:T=5,n=64 --model {model} --epochs 1 --lr 1e-9{init} --out run"
            );
            let _ = object(&words, folder.path());
            (
                std::fs::read(folder.path().join("run/model.safetensors")).unwrap(),
                config("run", folder.path()),
            )
        };
        let (unasked, asked) = (weights(""), weights(" --init xavier-uniform"));
        assert_eq!((&unasked.1["init"], &unasked.1["init_asked"]), (&json!("xavier-uniform"), &Value::Null));
        assert_eq!((&asked.1["init"], &asked.1["init_asked"]), (&json!("xavier-uniform"), &json!(true)));
        assert!(unasked.0 != asked.0, "{model}");
    }
}

/// Of numbers and of tokens, whatever is looked at.
#[test]
fn watching_changes_no_bit_of_a_network_of_sequences() {
    let folder = tempfile::tempdir().unwrap();
    write_text(folder.path());
    let all = ["adding:T=7,n=96", "text:abc.txt,steps=8", "copying:T=2,n=64"];
    let transformer = "transformer:6,heads=2,layers=2,feedforward=8";
    let models = [("rnn:6", "rnn"), ("gru:4,layers=2,dropout=0.3", "gru"), (transformer, "attention")];
    for (data, (model, seen)) in all.into_iter().flat_map(|data| models.map(|model| (data, model))) {
        let weights = |probe: &str| {
            let words = format!(
                "train --json --data {data} --model {model} --epochs 2 --probe {probe} --out {probe}"
            );
            let _ = object(&words, folder.path());
            std::fs::read(folder.path().join(probe).join("model.safetensors")).unwrap()
        };
        let [off, basic, full] = ["off", "basic", "full"].map(weights);
        assert!(off == basic && off == full, "{data}");
        assert!(flow(&folder.path().join("full")).contains(seen), "{data}, {model}: the layer is seen");
        let shown = run("inspect full --report again.html", folder.path());
        assert!(shown.contains("stable rank of the gradient") && !shown.contains("NOT CALLED"), "{shown}");
    }
}

#[test]
fn what_cannot_be_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    write_text(folder.path());
    for (words, code, told) in [
        ("train --data adding:t=5", 2, "adding has no setting \"t\"; "),
        ("train --data addin", 1, "addin: no such file or folder; did you mean adding? "),
        ("train --data text:nothing.txt", 1, "no file with the text; looked for nothing.txt"),
        ("train --data text:abc.txt,steps=80", 1, "abc.txt: holds 800 bytes, expected at least 810 bytes"),
        (
            "train --data adding --augment flip",
            2,
            "--augment: only pictures of floating-point numbers are augmented",
        ),
        (
            "train --data adding --loss bce",
            2,
            "--loss: numbers, not classes, are to be learned from these data",
        ),
        (
            "train --data text:abc.txt --loss mse",
            2,
            "--loss: the next byte of a text is learned by cross-entropy",
        ),
        ("train --data copying --layers 120,10", 2, "--layers: a perceptron takes numbers"),
        ("train --data adding --layers 200,8,2", 2, "200 numbers and 1 outputs; try --layers 200,8,1"),
        ("train --model lstm:8", 2, "gets images [1, 28, 28]; --data rows gives them row by row"),
        (
            "train --data text:abc.txt --model gru:8,bidirectional=true",
            2,
            "the way back sees what is to be predicted",
        ),
        (
            "train --data text:abc.txt --model transformer:8,causal=false",
            2,
            "a step would see what is to be predicted; leave causal=false out",
        ),
        ("train --data rows --model transformer:20", 2, "8 heads do not divide 20 numbers; write heads=5"),
        (
            "train --data pixels --model transformer:64,layers=50 --batch-size 64",
            2,
            "transformer:64,layers=50, layer 2, makes ",
        ),
        (
            "train --data copying --model linear:10",
            2,
            "column 1, \"linear:10\": linear takes numbers, and gets tokens",
        ),
        (
            "compare --data adding --optimizers sgd",
            2,
            "--data: optimizers are ranked by accuracy, and numbers have none",
        ),
        (
            "study --data copying",
            2,
            "--data: a study is about classes of examples, which these data have not",
        ),
        ("models cnn --data adding:n=10", 2, "it takes images"),
    ] {
        let output = backflow(&words.split(' ').collect::<Vec<_>>(), folder.path());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words}: {message}");
        assert!(message.contains(told) && message.trim_end().lines().count() == 1, "{words}: {message}");
    }
    assert!(!folder.path().join("runs").exists());
}
