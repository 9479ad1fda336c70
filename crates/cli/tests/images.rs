//! Images other than the embedded digits, and images that are changed in training.

#![allow(clippy::disallowed_methods, reason = "tests put files where the program must find them")]

mod program;

use program::{backflow, quick, text};
use serde_json::Value;
use std::path::Path;

/// CIFAR-100 of 40 pictures to train on and 20 to test on.
fn cifar(folder: &Path) {
    let pictures = |count: u8| -> Vec<u8> {
        (0..count)
            .flat_map(|label| [vec![label % 20, label], vec![label.wrapping_mul(37); 3072]].concat())
            .collect()
    };
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("train.bin"), pictures(40)).unwrap();
    std::fs::write(folder.join("test.bin"), pictures(20)).unwrap();
    let names: String = (0..100).map(|class| format!("{class}\n")).collect();
    std::fs::write(folder.join("fine_label_names.txt"), names).unwrap();
}

#[test]
fn a_folder_of_cifar_is_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    cifar(&folder.path().join("photos"));
    let train = ["train", "--data", "photos", "--epochs", "1", "--augment", "shift:4,flip", "--out", "run"];
    let output = backflow(&train, folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    for part in [
        "40 images to train on, 20 to test on (photos)",
        "3072-256-128-100",
        "cosine, images augmented by shift:4,flip; epochs: 1",
    ] {
        assert!(printed.contains(part), "{part} in:\n{printed}");
    }
    let config = std::fs::read_to_string(folder.path().join("run/config.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&config).unwrap()["augment"], "shift:4,flip");
    let page = std::fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(page.contains("images augmented by shift:4,flip"));
}

/// The weights of a run, which are a function of seed and words alone.
#[test]
fn augmented_training_is_the_same_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let weights = |name: &str, extra: &[&str]| {
        let _ = quick(&[&["--limit", "500", "--out", name], extra].concat(), folder.path());
        std::fs::read(folder.path().join(name).join("model.safetensors")).unwrap()
    };
    let augment = ["--augment", "flip,shift:2"];
    let one = weights("one", &[&augment[..], &["--threads", "1"]].concat());
    assert_eq!(weights("four", &[&augment[..], &["--threads", "4"]].concat()), one);
    let plain = weights("plain", &[]);
    assert_ne!(plain, one);
    assert_eq!(weights("none", &["--augment", "none"]), plain);
    let config = std::fs::read_to_string(folder.path().join("plain/config.json")).unwrap();
    assert!(!config.contains("augment"), "{config}");
}

#[test]
fn what_cannot_be_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    cifar(&folder.path().join("damaged"));
    std::fs::write(folder.path().join("damaged/test.bin"), vec![0; 3073]).unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    for (words, code, told) in [
        ("train --augment filp", 2, "there is no augmentation `filp`; did you mean flip?"),
        ("compare --augment shift", 2, "Write it like shift:2"),
        (
            "study --augment shift:28",
            2,
            "--augment: a shift by 28 can move pictures of 28 by 28 pixels out of sight",
        ),
        ("train --data damaged", 1, "test.bin: byte 3073: the data end here but 3074 bytes are needed"),
        (
            "train --data empty",
            1,
            "empty: an empty folder; known are CSV, NPY, NPZ, safetensors and IDX files",
        ),
    ] {
        let output = backflow(&words.split(' ').collect::<Vec<_>>(), folder.path());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words}: {message}");
        assert!(message.contains(told) && message.trim_end().lines().count() == 1, "{words}: {message}");
    }
}
