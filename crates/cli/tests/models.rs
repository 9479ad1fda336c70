//! Networks in a line of text: trained, compared, read back, and listed.

#![allow(clippy::disallowed_methods, reason = "tests look into files that the program wrote")]

mod program;

use backflow_nn::WORDS;
use program::{backflow, text};
use serde_json::Value;
use std::path::Path;

/// A small network with all that a perceptron has not.
const LINE: &str = "conv:4,stride=2/batchnorm/relu/residual(conv:4,padding=1/batchnorm/relu)/maxpool:2/dropout:0.1/flatten/linear:10";

fn train(extra: &[&str], folder: &Path) -> Value {
    let arguments = [&["train", "--json", "--limit", "300", "--epochs", "1"], extra].concat();
    let output = backflow(&arguments, folder);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a JSON object")
}

#[test]
fn a_network_of_images_is_trained_and_inspected() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--model", LINE, "--probe", "full", "--epochs", "3", "--lr", "0.02", "--out", "run"];
    let results = train(&arguments, folder.path());
    let loss = |epoch: usize| results["history"][epoch]["train_loss"].as_f64().unwrap();
    assert!(loss(2) < 0.8 * loss(0), "{results}");
    let config = std::fs::read_to_string(folder.path().join("run/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    let model = serde_json::json!({"language": 1, "line": LINE, "input": [1, 28, 28], "classes": 10});
    assert_eq!(config["model"], model);
    assert_eq!((&config["layers"], &config["activation"]), (&Value::Null, &Value::Null));

    // Normalisation is no activation, and a sum of branches has a row.
    let output = backflow(&["inspect", "run", "--json"], folder.path());
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let paths: Vec<&str> =
        facts["layers"].as_array().unwrap().iter().map(|row| row["layer"].as_str().unwrap()).collect();
    assert!(["0", "1", "3.0", "3"].iter().all(|path| paths.contains(path)), "{paths:?}");
    let state = backflow(&["inspect", "run/model.safetensors"], folder.path());
    assert!(text(&state.stdout).contains("1.running_mean"), "{}", text(&state.stdout));
}

/// The weights are a function of seed and words alone.
#[test]
fn threads_change_no_bit_of_a_network_of_images() {
    let folder = tempfile::tempdir().unwrap();
    let weights = |name: &str, threads: &str| {
        train(&["--model", LINE, "--threads", threads, "--out", name], folder.path());
        std::fs::read(folder.path().join(name).join("model.safetensors")).unwrap()
    };
    assert_eq!(weights("one", "1"), weights("three", "3"));
}

#[test]
fn a_perceptron_by_name_is_the_one_of_layer_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let weights = |name: &str, network: [&str; 2]| {
        train(&[&network[..], &["--out", name]].concat(), folder.path());
        std::fs::read(folder.path().join(name).join("model.safetensors")).unwrap()
    };
    let sizes = weights("sizes", ["--layers", "784,16,10"]);
    assert_eq!(weights("line", ["--model", "mlp:16"]), sizes);
    let config = std::fs::read_to_string(folder.path().join("line/config.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&config).unwrap()["layers"], serde_json::json!([784, 16, 10]));
}

#[test]
fn optimizers_are_compared_on_a_network_of_images() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["compare", "--json", "--limit", "64", "--epochs", "1", "--seeds", "1", "--model", LINE];
    let output = backflow(&[&arguments[..], &["--optimizers", "sgd,adam"]].concat(), folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results["config"]["model"]["line"], LINE);
}

#[test]
fn a_wrong_line_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    for (line, expected) in [
        ("conv:8/maxpol:2", "column 8, \"maxpol\": there is no word \"maxpol\"; did you mean maxpool?"),
        ("conv:8/maxpool:40/flatten/linear:10", "column 8, \"maxpool:40\": no room"),
        ("linear:7", "column 1, \"linear:7\": the network ends in [7], and the data need [10]"),
        ("resnet:9", "column 1, \"resnet:9\": the depth is 6n + 2"),
    ] {
        let output = backflow(&["train", "--model", line], folder.path());
        let message = text(&output.stderr);
        assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{line}: {message}");
        assert!(message.contains("--model") && message.contains(expected), "{line}: {message}");
    }
    let both = backflow(&["train", "--model", "cnn", "--layers", "784,10"], folder.path());
    assert_eq!(both.status.code(), Some(2), "{}", text(&both.stderr));
}

/// One number is its own mean: that is told before anything is computed, and what is enough is trained.
#[test]
fn batches_that_normalisation_cannot_go_by_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let line = "linear:8/batchnorm/relu/linear:10";
    let run = |command: &[&str], line: &str, extra: &[&str]| {
        let fixed = ["--model", line, "--epochs", "1"];
        let output = backflow(&[command, &fixed, extra].concat(), folder.path());
        (output.status.code(), text(&output.stderr))
    };
    let (train, compare) = (&["train"][..], &["compare", "--seeds", "1", "--optimizers", "sgd"][..]);
    for (command, extra, expected) in [
        (train, &["--limit", "33"][..], "33 to train on in batches of 32; change --limit, or --batch-size"),
        (train, &["--limit", "32", "--batch-size", "1"], "in batches of 1; change"),
        (
            train,
            &["--limit", "32", "--accumulate", "17"],
            "of 32, each in 17 parts; change --limit, or --batch-size, or",
        ),
        (compare, &["--limit", "33"], "33 to train on in batches of 32"),
        // Two folds leave 22, the third 21.
        (compare, &["--limit", "32", "--batch-size", "20", "--tune"], "21 to train on in batches of 20"),
    ] {
        let (code, message) = run(command, line, extra);
        assert_eq!((code, message.lines().count()), (Some(2), 1), "{extra:?}: {message}");
        assert!(
            message.contains("batchnorm, layer 2, needs two examples") && message.contains(expected),
            "{message}"
        );
    }
    assert!(!folder.path().join("runs").exists());
    for (command, line, extra) in [
        (train, line, &["--limit", "34"][..]),
        (train, line, &["--limit", "32", "--accumulate", "16"]),
        (compare, line, &["--limit", "34"]),
        // An image has more than one number for a channel.
        (train, "conv:2/batchnorm/flatten/linear:10", &["--limit", "33"]),
    ] {
        let (code, message) = run(command, line, extra);
        assert_eq!(code, Some(0), "{extra:?}: {message}");
    }
}

/// What no memory holds is told with the layer that is to blame, whatever command would compute it.
#[test]
fn what_is_too_large_for_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let image = "conv:64,padding=1000/relu/flatten/linear:10";
    let memory = "conv:64,padding=1000, layer 0, makes 262,699,264 numbers of an example, and a ";
    let weights = "more than 1000000000 parameters up to this layer of [40000]; make the network smaller";
    for (command, line, expected) in [
        (&["train"][..], "conv:64,padding=1000/relu/adaptiveavgpool/flatten/linear:10", memory),
        (
            &["compare", "--optimizers", "sgd", "--seeds", "1"],
            "conv:64,padding=1000/relu/adaptiveavgpool/flatten/linear:10",
            memory,
        ),
        (&["study", "--seeds", "1"], "conv:64,padding=1000/relu/adaptiveavgpool/flatten/linear:10", memory),
        (&["train"], image, "more than 1000000000 parameters up to this layer of [10]"),
        (&["train"], "linear:40000/relu/linear:40000/linear:10", weights),
        (&["compare", "--optimizers", "sgd"], "linear:40000/relu/linear:40000/linear:10", weights),
        (&["study"], "linear:40000/relu/linear:40000/linear:10", weights),
        (
            &["train", "--batch-size", "4000"],
            "mlp:1000000",
            "the widest layer makes 1,000,000 numbers of an example, and a batch of 4,000 would take",
        ),
        (&["train"], "sequential([relu]*9999)/sequential([relu]*9999)", "more than 10000 words in all"),
        (&["study"], "linear:10/[[relu]*9999]*9999", "more than 10000 words in all"),
        (
            &["train"],
            "linear:{width}/linear:10",
            "column 8, \"{width}\": nothing stands for this placeholder: only `study`",
        ),
    ] {
        let output = backflow(&[command, &["--model", line]].concat(), folder.path());
        let message = text(&output.stderr);
        assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{command:?}: {message}");
        assert!(message.contains(expected), "{command:?}: {message}");
    }
    assert!(!folder.path().join("runs").exists());
}

/// Where gradients vanish or explode, what theory has to say of a line stands below, as it does of a perceptron.
#[test]
fn theory_of_a_line_has_a_say_on_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    for bias in ["true", "false"] {
        let line = format!("[linear:64,bias={bias}/silu]*80/linear:10,bias={bias}");
        let fixed = ["train", "--limit", "64", "--epochs", "1", "--optimizer", "sgd", "--lr", "1e-9"];
        let output = backflow(
            &[&fixed[..], &["--init", "xavier-uniform", "--model", &line, "--out", bias]].concat(),
            folder.path(),
        );
        let printed = text(&output.stdout);
        assert!(output.status.success() && printed.contains("EXPLODING"), "{printed}");
        assert!(printed.contains("Theory, of the network before it is trained: finite width"), "{printed}");
    }
}

#[test]
fn words_are_listed_and_a_network_is_shown_in_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let listed = text(&backflow(&["models"], folder.path()).stdout);
    for word in WORDS {
        assert!(listed.lines().any(|line| line == word.name), "{}", word.name);
    }
    assert!(listed.lines().all(|line| line.chars().count() <= 80), "{listed}");
    // PyTorch's example for MNIST has 1,199,882 parameters.
    let shown = text(&backflow(&["models", "cnn"], folder.path()).stdout);
    assert!(shown.lines().last().unwrap().contains("1199882"), "{shown}");
    // Of each layer 4 (E² + E) of the attention, (E + 1) F and (F + 1) E of the perceptron, and 4 E of normalisations.
    let line = "linear:8/positions/transformer:8,heads=2,layers=3,feedforward=5/mean/linear:10";
    let shown = text(&backflow(&["models", line, "--input", "6x4"], folder.path()).stdout);
    let row: Vec<&str> = shown.lines().skip_while(|row| !row.starts_with("2 ")).take(1).collect();
    let (parameters, multiply_adds) = (3 * (4 * 72 + 45 + 48 + 32), 3 * (6 * (4 * 64 + 80) + 2 * 36 * 8));
    assert!(row[0].ends_with(&format!("  {parameters}           {multiply_adds}")), "{shown}");
    assert!(row[0].contains("[6, 8]"), "{shown}");
    let wide = text(&backflow(&["models", "resnet:20", "--input", "3x32x32"], folder.path()).stdout);
    assert!(wide.contains("[64, 8, 8]"), "{wide}");
    assert!(wide.lines().all(|line| line.chars().count() <= 80), "{wide}");
}
