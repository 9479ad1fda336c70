//! `backflow train` as a person or a script meets it: what it prints, what it leaves behind, how it fails.

#![allow(clippy::disallowed_methods, reason = "tests put files where the program must find them")]

mod program;

use program::{backflow, flow, quick, text};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn defaults_learn_the_embedded_digits_and_leave_a_run_behind() {
    let folder = tempfile::tempdir().unwrap();
    let output = backflow(&["train"], folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "no bar where there is no terminal");
    let printed = text(&output.stdout);
    for part in [
        "epoch  train loss  test loss  test accuracy",
        "layers.0 ",
        "layers.1 ",
        "layers.2 ",
        "delta rms",
        "|dW|/|W|",
    ] {
        assert!(printed.contains(part), "{part} in:\n{printed}");
    }

    let run = folder.path().join("runs/embedded-784-256-128-10-relu-adam-seed0");
    let read = |name: &str| std::fs::read_to_string(run.join(name)).unwrap();
    let config: Value = serde_json::from_str(&read("config.json")).unwrap();
    assert_eq!(config["optimizer"], "adam");
    // MNIST has a mean of 0.1307 and a standard deviation of 0.3081: 0.112 for all of its pixels.
    assert!((config["input_mean_square"].as_f64().unwrap() - 0.112).abs() < 0.02, "{config}");
    let summary: Value = serde_json::from_str(&read("summary.json")).unwrap();
    assert!(summary["test_accuracy"].as_f64().unwrap() >= 0.93, "{summary}");
    let metrics: Vec<Value> =
        read("metrics.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(metrics.len() as u64, summary["steps"].as_u64().unwrap());
    assert_eq!(metrics.last().unwrap()["step"], summary["steps"]);
    assert!(metrics.iter().all(|step| step["loss"].is_number() && step["gradient_norm"].is_number()));

    // Another run of the same name gets a folder of its own.
    assert!(backflow(&["train", "--epochs", "1"], folder.path()).status.success());
    assert!(folder.path().join("runs/embedded-784-256-128-10-relu-adam-seed0-2/model.safetensors").exists());
}

/// Weights with a gain and biases of their own are asked for, told and kept by the same words, and a flow
/// that vanishes has the depth in depth scales beside it.
#[test]
fn weights_may_have_a_gain_and_biases_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let init = "he-normal:gain=0.5,bias_var=0.05";
    let arguments = [
        "train",
        "--epochs",
        "1",
        "--activation",
        "tanh",
        "--layers",
        "784,32,32,32,32,32,32,32,10",
        "--optimizer",
    ];
    let arguments = [&arguments[..], &["sgd:lr=1e-3", "--init", init, "--out", "run"]].concat();
    let output = backflow(&arguments, folder.path());
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(printed.contains(&format!("tanh, {init}: ")), "{printed}");
    let config = std::fs::read_to_string(folder.path().join("run/config.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&config).unwrap()["init"], init);
    assert!(printed.contains("VANISHING"), "{printed}");
    let depth = "Theory, of the network before it is trained: 7 hidden layers are ";
    let page = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(printed.contains(depth) && page.contains(depth), "{printed}");
}

#[test]
fn json_has_the_promised_keys_and_the_files_agree_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let result = quick(&["--out", out.to_str().unwrap()], folder.path());
    assert_eq!(result["params"], 784 * 32 + 32 + 32 * 10 + 10);
    assert_eq!((result["steps"].as_u64(), result["epochs"].as_u64()), (Some(250), Some(2)));
    for key in ["train_loss", "test_loss", "test_accuracy", "seconds"] {
        assert!(result[key].is_number(), "{key} in {result}");
    }
    let rows = result["layers"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| &row["layer"]).collect::<Vec<_>>(), ["layers.0", "layers.1"]);
    for key in ["activation_mean", "activation_std", "delta_rms", "weight_gradient_rms", "update_ratio"] {
        assert!(rows.iter().all(|row| row[key].is_number()), "{key} in {rows:?}");
    }
    // Relu leaves nothing below zero, and the last layer has no activation function.
    assert!(rows[0]["activation_mean"].as_f64().unwrap() > 0.0);

    let weights = std::fs::read(out.join("model.safetensors")).unwrap();
    let header_length = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&weights[8..8 + header_length]).unwrap();
    let names: Vec<&String> = header.as_object().unwrap().keys().collect();
    assert_eq!(names, ["layers.0.bias", "layers.0.weight", "layers.1.bias", "layers.1.weight"]);
    assert_eq!(header["layers.0.weight"]["shape"], serde_json::json!([32, 784]));
    let mut files: Vec<_> = std::fs::read_dir(&out).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    let expected =
        ["config.json", "flow.jsonl.gz", "metrics.jsonl", "model.safetensors", "report.html", "summary.json"];
    assert_eq!(files[0], ".lock");
    assert_eq!(files[1..], expected, "no temporary file stays");
}

#[test]
fn more_threads_than_any_machine_has_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["train", "compare --optimizers adam", "study"] {
        for (variable, number) in [("RAYON_NUM_THREADS", "99999999"), ("RAYON_RS_NUM_CPUS", "1025")] {
            let mut program = Command::new(env!("CARGO_BIN_EXE_backflow"));
            program.args(command.split_whitespace()).current_dir(folder.path()).env(variable, number);
            let output = program.output().unwrap();
            let message = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command}: {message}");
            assert_eq!(message.trim_end().lines().count(), 1, "{message}");
            assert!(
                message.contains(&format!("{variable}={number}")) && message.contains("1024"),
                "{message}"
            );
        }
    }
    // What rayon does not take for a number, it does not go by.
    let settings = "train --json --epochs 1 --layers 784,10 --limit 100 --out run";
    let mut program = Command::new(env!("CARGO_BIN_EXE_backflow"));
    program.args(settings.split_whitespace()).current_dir(folder.path()).env("RAYON_NUM_THREADS", "many");
    assert!(program.output().unwrap().status.success());
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, variable: Option<&str>, extra: &[&str]| {
        // Products large enough for threads to share them.
        let settings = "train --json --layers 784,256,10 --batch-size 128 --clip-norm 1 --epochs 2 --out";
        let mut program = Command::new(env!("CARGO_BIN_EXE_backflow"));
        program.args(settings.split_whitespace()).arg(name).args(extra).current_dir(folder.path());
        program.env_remove("RAYON_NUM_THREADS").envs(variable.map(|threads| ("RAYON_NUM_THREADS", threads)));
        let output = program.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let weights = std::fs::read(folder.path().join(name).join("model.safetensors")).unwrap();
        (result["train_loss"].as_f64().unwrap().to_bits(), weights)
    };
    let one = run("one", Some("1"), &[]);
    assert!(one == run("again", Some("1"), &[]), "twice on one thread");
    for threads in ["2", "4"] {
        assert!(one == run("variable", Some(threads), &[]), "RAYON_NUM_THREADS={threads}");
        assert!(one == run("option", None, &["--threads", threads]), "--threads {threads}");
    }
    assert!(one != run("other", Some("1"), &["--seed", "1"]), "another seed must give other weights");
}

#[test]
fn every_choice_of_every_option_trains() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let choices = [
        (
            "--activation",
            &["relu", "sigmoid", "tanh", "gelu", "silu", "elu", "selu", "softplus", "leaky-relu:0.1"][..],
        ),
        (
            "--init",
            &["xavier-uniform", "xavier-normal", "he-uniform", "he-normal", "lecun-normal", "orthogonal"],
        ),
        (
            "--optimizer",
            &["sgd:momentum=0.9,nesterov=true,lr=0.05", "adagrad", "rmsprop:lr=1e-3", "adam", "adamw"],
        ),
        (
            "--schedule",
            &[
                "constant",
                "step:every=100,gamma=0.5",
                "cosine",
                "cosine:steps=200,warmup=20",
                "one-cycle",
                "constant:for=60,warmup=10/linear:start=1,end=0",
            ],
        ),
        ("--dtype", &["f32", "f64"]),
        ("--loss", &["cross-entropy", "mse", "bce"]),
        ("--accumulate", &["1", "5"]),
        ("--limit", &["1000", "1000000"]),
        ("--schedule-of", &["beta1=linear:start=1,end=0.9", "beta2=constant"]),
    ];
    for (option, values) in choices {
        for value in values {
            let result =
                quick(&[option, value, "--epochs", "1", "--out", out.to_str().unwrap()], folder.path());
            let loss = result["train_loss"].as_f64().unwrap();
            assert!(loss < 2.3, "{option} {value}: {loss} is not better than guessing, ln 10 = 2.303");
        }
    }
}

/// Parts of a batch are put together to the batch: in f64 three of them differ from one by rounding alone,
/// some 10⁻¹⁶, which forty steps of Adam enlarge by far less than 10⁷.
#[test]
fn the_task_of_a_run_is_in_its_configuration_and_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, extra: &[&str]| {
        let common = ["--limit", "640", "--dtype", "f64", "--out", name];
        quick(&[&common[..], extra].concat(), folder.path())
    };
    let config = |name: &str| -> Value {
        let path = folder.path().join(name).join("config.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let whole = run("whole", &["--loss", "mse"]);
    let parts = run("parts", &["--loss", "mse", "--accumulate", "3", "--schedule-of", "beta1=constant"]);
    assert_eq!(whole["steps"], 40, "two epochs of 640 examples in batches of 32");
    for key in ["train_loss", "test_loss"] {
        let [whole, parts] = [&whole, &parts].map(|run| run[key].as_f64().unwrap());
        // Squares of outputs less one-hot rows: 0.1 for outputs of 0.
        assert!(whole < 0.4 && (whole / parts - 1.0).abs() < 1e-9, "{key}: {whole}, {parts}");
    }
    assert_eq!(whole["test_accuracy"], parts["test_accuracy"]);
    let config = ["whole", "parts"].map(config);
    assert_eq!([&config[0]["loss"], &config[0]["limit"]], [&Value::from("mse"), &Value::from(640)]);
    assert_eq!([&config[0]["accumulate"], &config[1]["accumulate"]], [1, 3].map(Value::from).each_ref());
    assert_eq!(config[1]["schedule_of"], serde_json::json!(["beta1=constant"]));
    let report = std::fs::read_to_string(folder.path().join("parts/report.html")).unwrap();
    assert!(report.contains("loss mse, batches in 3 parts"));
}

#[test]
fn bad_input_ends_with_one_line_and_an_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "in the way").unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let cases: [(&[&str], i32, &[&str]); 26] = [
        (&["train", "--optimizer", "adamx"], 2, &["--optimizer", "adamx", "gd, sgd, momentum, nesterov"]),
        (&["train", "--optimizer", "sgd:momentum=2"], 2, &["momentum=2", "[0, 1)"]),
        (&["train", "--lr", "-1"], 2, &["'-1'", "--lr", "positive"]),
        (&["train", "--lr", "NaN"], 2, &["--lr", "positive"]),
        (&["train", "--layers", "100,10"], 2, &["784 pixels", "10 classes", "--layers 784,10"]),
        (&["train", "--layers", "784,0,10"], 2, &["'0'", "784,128,10"]),
        (&["train", "--layers", "784,1048576,1048576,10"], 2, &["1,000,000,000 weights", "narrower"]),
        (&["train", "--activation", "step"], 2, &["step", "relu", "sigmoid"]),
        (&["train", "--init", "he"], 2, &["he", "he-normal", "orthogonal"]),
        (&["train", "--schedule", "cosin"], 2, &["cosin", "constant, step, multistep, "]),
        (&["train", "--clip-norm", "0"], 2, &["--clip-norm", "positive"]),
        (&["train", "--batch-size", "-3"], 2, &["--batch-size", "from 1 up"]),
        (&["train", "--batch-size", "0"], 2, &["--batch-size", "from 1 up"]),
        (&["train", "--limit", "0"], 2, &["--limit", "from 1 up"]),
        (&["train", "--accumulate", "0"], 2, &["--accumulate", "from 1 up"]),
        (&["train", "--loss", "l2"], 2, &["l2", "cross-entropy, mse, bce"]),
        (
            &["train", "--schedule-of", "momentum=cosine"],
            2,
            &["--schedule-of", "momentum", "it has lr, beta1"],
        ),
        (&["train", "--schedule-of", "beta1=cyclic:max=2"], 2, &["--schedule-of", "[0, 1)"]),
        (&["train", "--epochs", "0"], 2, &["--epochs", "from 1 up"]),
        (&["train", "--epoch", "3"], 2, &["--epoch", "--epochs"]),
        (&["tran"], 2, &["tran", "train"]),
        (&["train", "--data", "empty"], 1, &["empty", "an empty folder; known are"]),
        (&["train", "--out", "file/run"], 1, &["file/run", "cannot be written"]),
        (&["train", "--out", "file"], 1, &["file", "is a file"]),
        (&["train", "--out", "."], 1, &["not empty", "no earlier run"]),
        (&["train", "--threads", "1000000"], 2, &["--threads", "1 to 1024"]),
    ];
    for (arguments, code, parts) in cases {
        let output = backflow(arguments, folder.path());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{arguments:?}: {message}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        for part in parts {
            assert!(message.contains(part), "{arguments:?}: {part} in {message}");
        }
    }
    assert!(!folder.path().join("runs").exists(), "nothing is left of a run that never began");
}

#[test]
fn damaged_data_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let images: Vec<u8> = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2][..], &[7; 8]].concat();
    let labels = [0, 0, 8, 1, 0, 0, 0, 2, 3, 4];
    let names = [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ];
    let damages: [(&str, Vec<u8>, &str); 4] = [
        (names[0], images[..images.len() - 1].to_vec(), names[0]),
        (
            names[0],
            [&[0, 0, 8, 3, 255, 255, 255, 255, 0, 0, 0, 28, 0, 0, 0, 28][..], &[0; 8]].concat(),
            names[0],
        ),
        (names[1], vec![0, 0, 8, 1, 0, 0, 0, 2, 3, 10], "expected 0 to 9"),
        (names[3], vec![0, 0, 8, 1, 0, 0, 0, 1, 3], "1 labels"),
    ];
    for (name, bytes, part) in damages {
        for (name, bytes) in names.iter().zip([&images[..], &labels, &images, &labels]) {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let output = backflow(&["train", "--data", "."], folder.path());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
        assert!(message.contains(part), "{part} in {message}");
        assert!(!folder.path().join("runs").exists());
    }
}

#[test]
fn a_run_that_diverges_says_so_and_leaves_no_weights() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    // Weights of an earlier run must not stand beside the log of this one, nor be lost for it.
    quick(&["--out", out.to_str().unwrap()], folder.path());
    let output = backflow(&["train", "--optimizer", "sgd", "--lr", "1e9", "--out", "run"], folder.path());
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    // The origin: by the third step the weights of two layers are so large that their product is not in f32.
    for part in [
        "the training diverged at step 3 (epoch 1): the loss is NaN because linear makes the first infinity",
        " at crates/nn/src/mlp.rs:",
        ", in layers.1: ",
        "([32, 128], f32) from x up to ",
        "lower the learning rate",
        "the last update was that of step 2 (loss ",
        "log, flow and report.html are in ",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let mut left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(
        left,
        [".lock", "config.json", "earlier-run", "flow.jsonl.gz", "metrics.jsonl", "report.html"]
    );
    // The page shows the step that went wrong, and calls nothing healthy.
    let read = |file: &str| std::fs::read_to_string(out.join(file)).unwrap();
    let last: Value = serde_json::from_str(flow(&out).lines().last().unwrap()).unwrap();
    assert_eq!((&last["step"], &last["loss"]), (&3.into(), &"NaN".into()));
    let page = read("report.html");
    for word in ["STOPPED</strong>: the training diverged", "NOT FINITE</strong>"] {
        assert!(page.contains(&format!("<strong class=\"bad\">{word}")), "{word}");
    }
    assert!(!page.contains("class=\"good\""));
    // A single update that leaves f32.
    let output = backflow(&["train", "--optimizer", "sgd", "--lr", "1e300", "--out", "run"], folder.path());
    let message = text(&output.stderr);
    let (weights, step) =
        ("step 2 (epoch 1): the parameter layers.0.weight holds ", "so since the update of step 1 (loss ");
    assert!(message.contains(weights) && message.contains(step), "{message}");
    let kept = backflow(&["inspect", "run/earlier-run"], folder.path());
    assert!(kept.status.success() && text(&kept.stdout).contains("HEALTHY"), "{}", text(&kept.stderr));
    assert!(out.join("earlier-run/model.safetensors").is_file());
    // It goes when there are others.
    quick(&["--out", "run"], folder.path());
    assert!(out.join("model.safetensors").is_file() && !out.join("earlier-run").exists());
}

/// The last update leaves weights of which every loss is NaN, and no step is left to see it.
#[test]
fn a_test_loss_that_is_no_number_is_not_called_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let train = "train --limit 32 --epochs 1 --optimizer sgd --lr 1e38 --schedule constant --out run";
    let trained = backflow(&train.split(' ').collect::<Vec<_>>(), folder.path());
    let printed = text(&trained.stdout);
    assert!(trained.status.success() && printed.contains("NaN"), "{printed}");
    let inspected = text(&backflow(&["inspect", "run"], folder.path()).stdout);
    let page = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    let (above, _) = page.split_once("</header>").unwrap();
    for shown in [&printed, &inspected, above] {
        assert!(shown.contains("NaN or infinity at the loss on the test set"), "{shown}");
        assert!(!shown.contains("HEALTHY"), "{shown}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut child = Command::new(env!("CARGO_BIN_EXE_backflow"))
        .args(["train", "--epochs", "100000", "--out", out.to_str().unwrap(), "--layers", "784,8,10"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The log is written step by step.
    while std::fs::metadata(out.join("metrics.jsonl")).map_or(0, |log| log.len()) < 1000 {
        std::thread::sleep(Duration::from_millis(5));
        assert!(child.try_wait().unwrap().is_none(), "it runs until it is stopped");
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{message}");
    assert!(message.starts_with("backflow: stopped after step "), "{message}");
    assert!(message.contains("; its checkpoint, weights, log, flow and report.html are in "), "{message}");
    assert!(message.contains("; to go on: backflow train --resume "), "{message}");
    let mut left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    let files = ["config.json", "flow.jsonl.gz", "metrics.jsonl", "model.safetensors", "report.html"];
    assert_eq!(left, [&[".lock", "checkpoints"], &files[..]].concat());
    assert!(backflow(&["inspect", "run"], folder.path()).status.success());
}
