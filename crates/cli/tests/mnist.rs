//! The whole MNIST, where it is at hand:
//! `BACKFLOW_MNIST=DIR cargo test --release -p backflow-cli --test mnist`.
#![allow(clippy::print_stderr, reason = "a test that has nothing to work on says so")]

use serde_json::Value;
use std::process::Command;

#[test]
fn a_relu_mlp_reaches_0_977_on_mnist_with_every_seed() {
    let Some(folder) = std::env::var_os("BACKFLOW_MNIST") else {
        eprintln!("skipped: BACKFLOW_MNIST names no folder with the four MNIST files");
        return;
    };
    let runs = tempfile::tempdir().unwrap();
    for seed in ["0", "1", "2"] {
        let settings = "train --json --layers 784,256,128,10 --activation relu --optimizer adam --lr 1e-3 \
                        --batch-size 64 --epochs 10 --out run --seed";
        let mut program = Command::new(env!("CARGO_BIN_EXE_backflow"));
        program
            .args(settings.split_whitespace())
            .arg(seed)
            .arg("--data")
            .arg(&folder)
            .current_dir(runs.path());
        let output = program.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let accuracy = result["test_accuracy"].as_f64().unwrap();
        eprintln!("seed {seed}: accuracy {accuracy}, {} s", result["seconds"]);
        assert!(accuracy >= 0.977, "seed {seed}: {accuracy}");
    }
}
