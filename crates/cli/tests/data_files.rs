//! Data of people's own: tables, arrays, pictures, from the command line to the folder of the run.

#![allow(clippy::disallowed_methods, reason = "tests put files where the program must find them")]

mod program;

use backflow_data::formats::npy;
use backflow_data::formats::numbers::Numbers;
use flate2::Crc;
use flate2::write::ZlibEncoder;
use program::{backflow, text};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// What the program prints.
fn run(words: &str, folder: &Path) -> String {
    let output = backflow(&words.split_whitespace().collect::<Vec<_>>(), folder);
    assert!(output.status.success(), "{words}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn object(words: &str, folder: &Path) -> Value {
    serde_json::from_str(&run(words, folder)).expect("standard output is one JSON object and nothing else")
}

fn config(run: &str, folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(run).join("config.json")).unwrap()).unwrap()
}

/// Flowers of three kinds, 20 of each, whose petals tell them apart; each number made another by `change`.
fn flowers(change: impl Fn(f64) -> f64) -> String {
    let rows = (0..60).map(|nth| {
        let (kind, noise) = (nth / 20, f64::from(nth * 37 % 20) / 40.0);
        let (petal, sepal) = (change(1.0 + 2.0 * f64::from(kind) + noise), change(5.0 + noise));
        format!("{sepal},{petal},{}\n", ["setosa", "versicolor", "virginica"][kind as usize])
    });
    "sepal length,petal length,species\n".to_owned() + &rows.collect::<String>()
}

/// y = 3a − 2b + 1 on a grid, with semicolons and no header.
fn plane() -> String {
    let row = |nth: i32| {
        let (a, b) = (f64::from(nth % 10) / 5.0 - 1.0, f64::from(nth / 10) / 5.0 - 1.0);
        format!("{a};{b};{}\n", 3.0 * a - 2.0 * b + 1.0)
    };
    (0..100).map(row).collect()
}

/// A grey PNG file, of pixels of one brightness.
fn png(rows: u32, columns: u32, brightness: u8) -> Vec<u8> {
    let chunk = |kind: &[u8], data: &[u8]| {
        let mut crc = Crc::new();
        crc.update(&[kind, data].concat());
        [&(data.len() as u32).to_be_bytes()[..], kind, data, &crc.sum().to_be_bytes()].concat()
    };
    let mut pixels = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    for _ in 0..rows {
        pixels.write_all(&[vec![0], vec![brightness; columns as usize]].concat()).unwrap();
    }
    let header = [&columns.to_be_bytes()[..], &rows.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let chunks =
        [chunk(b"IHDR", &header), chunk(b"IDAT", &pixels.finish().unwrap()), chunk(b"IEND", b"")].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks].concat()
}

/// Pictures of two kinds, dark and bright.
fn pictures(folder: &Path, of_each: u32) {
    for nth in 0..of_each {
        write(folder, &format!("photos/dark/{nth}.png"), png(4, 6, nth as u8));
        write(folder, &format!("photos/bright/{nth}.png"), png(4, 6, 255 - nth as u8));
    }
}

/// An archive of arrays, as `numpy.savez` makes it.
fn npz(arrays: &[(&str, Numbers, &[usize])]) -> Vec<u8> {
    let (mut entries, mut directory) = (Vec::new(), Vec::new());
    for (name, numbers, shape) in arrays {
        let (name, file) = (format!("{name}.npy"), npy::write(numbers, shape).unwrap());
        let mut crc = Crc::new();
        crc.update(&file);
        let size = (file.len() as u32).to_le_bytes();
        let facts = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &crc.sum().to_le_bytes(), &size, &size].concat();
        let lengths = [name.len() as u8, 0, 0, 0];
        let begin = (entries.len() as u32).to_le_bytes();
        directory
            .extend([b"PK\x01\x02\x14\0", &facts[..], &lengths, &[0; 10], &begin, name.as_bytes()].concat());
        entries.extend([b"PK\x03\x04", &facts[..], &lengths, name.as_bytes(), &file].concat());
    }
    let count = [arrays.len() as u8, 0];
    let [len, begin] = [directory.len(), entries.len()].map(|size| (size as u32).to_le_bytes());
    let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &len, &begin, &[0, 0]].concat();
    [entries, directory, end].concat()
}

/// A file of tensors.
fn safetensors(tensors: &[(&str, &str, Vec<u8>, &[usize])]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, bytes, shape) in tensors {
        let ends = [data.len(), data.len() + bytes.len()];
        header.insert((*name).to_owned(), json!({"dtype": dtype, "shape": shape, "data_offsets": ends}));
        data.extend_from_slice(bytes);
    }
    let header = Value::from(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

#[test]
fn a_table_of_classes_is_found_out_split_and_learned() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "iris.csv", flowers(|x| x));
    let printed = run(
        "train --data iris.csv --standardize --epochs 30 --batch-size 8 --lr 0.01 --out run",
        folder.path(),
    );
    for part in [
        "CSV: 60 examples of 2 numbers (sepal length, petal length), to learn species, which of 3 classes (setosa, \
         versicolor, virginica)\n48 examples to train on, 12 to test on (iris.csv); there is no test set, so a fifth was \
         split off; inputs standardized by those to train on\n2-256-128-3, relu, ",
        "epoch  train loss  test loss  test accuracy\n",
        "\n   30  ",
        "  1.0000\n",
    ] {
        assert!(printed.contains(part), "{part} in:\n{printed}");
    }
    let config = config("run", folder.path());
    let predictor = &config["predictor"];
    let treatment = &predictor["treatment"];
    assert_eq!(predictor["class_names"], json!(["setosa", "versicolor", "virginica"]));
    assert_eq!((&predictor["input"], &predictor["task"]), (&json!([2]), &json!("class")));
    assert_eq!((&predictor["layers"], &predictor["outputs"]), (&json!([2, 256, 128, 3]), &json!(3)));
    assert_eq!(treatment["columns"], json!(["sepal length", "petal length"]));
    assert_eq!((&treatment["target"], &treatment["pixels"]), (&json!("species"), &json!(false)));
    assert_eq!(treatment["standardize"]["mean"].as_array().map(Vec::len), Some(2));
    // The page says it, too, and is made again from the folder.
    let shown = run("inspect run --report again.html", folder.path());
    assert!(!shown.contains("NOT CALLED"), "{shown}");
    let page = std::fs::read_to_string(folder.path().join("again.html")).unwrap();
    assert!(page.contains("data: iris.csv, standardized"), "{page}");
    // Beside another run it is said how data were treated, and not what that came to.
    let _ = run("train --data iris.csv --epochs 1 --out plain", folder.path());
    let beside = object("inspect run plain --json", folder.path());
    let differing = beside["differing"].as_array().unwrap();
    assert!(
        differing.contains(&json!("standardize")) && !differing.contains(&json!("predictor")),
        "{differing:?}"
    );
    // All commands that have data take it.
    let words =
        "compare --json --data iris.csv --standardize --optimizers sgd,adam --epochs 1 --seeds 1 --out both";
    let compared = object(words, folder.path());
    assert_eq!(compared["config"]["data_options"], json!({"standardize": true}));
    let studied =
        object("study --json --data iris.csv --depth 2 --width 8 --seeds 1 --out study", folder.path());
    assert_eq!(studied["configurations"].as_array().map(Vec::len), Some(2), "{studied}");
    assert!(run("models mlp:7 --data iris.csv", folder.path()).contains("linear:3"));
    let words = "inspect run/model.safetensors --flow --model mlp:256,128 --data iris.csv --standardize";
    let flow = run(words, folder.path());
    assert!(flow.contains("mlp:256,128, f32; on 32 examples of iris.csv"), "{flow}");
}

#[test]
fn numbers_of_a_table_are_met() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "plane.txt", plane());
    let words =
        "train --data plane.txt --model mlp:32 --epochs 60 --lr 0.01 --batch-size 8 --validation 0.25";
    let printed = run(&format!("{words} --out run"), folder.path());
    for part in [
        "CSV: 100 examples of 2 numbers, to learn a number\n60 examples to train on, 20 to validate on, 20 to test on \
         (plane.txt); there is no test set, so a fifth was split off\n2-32-1, relu, ",
        "\nepoch  train loss  val loss  val mae  val rmse   val r2\n",
        "\non the test set: loss ",
        ", r2 0.99",
    ] {
        assert!(printed.contains(part), "{part} in:\n{printed}");
    }
    let summary = std::fs::read(folder.path().join("run/summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    for figure in ["test_r2", "validation_r2"] {
        assert!(summary[figure].as_f64().unwrap() > 0.99, "{figure}: {summary}");
    }
    let last = &summary["history"][59];
    assert_eq!(summary["validation_rmse"], last["validation_rmse"]);
    assert!((last["test_rmse"].as_f64().unwrap().powi(2) - last["test_loss"].as_f64().unwrap()).abs() < 1e-6);
    let config = config("run", folder.path());
    assert_eq!((&config["loss"], &config["predictor"]["task"]), (&json!("mse"), &json!("numbers")));
    assert_eq!(config["data_options"], json!({"validation": 0.25}));
    // Whole numbers of few kinds are classes, unless numbers are asked for.
    let grades: String = (0..40).map(|nth| format!("{},{}\n", nth % 4, 2 * (nth % 4))).collect();
    write(folder.path(), "grades.csv", grades);
    for (task, learned) in [("", "which of 4 classes (0, 2, 4, 6)"), (" --task regress", "a number\n")] {
        let printed = run(&format!("train --data grades.csv --epochs 1{task}"), folder.path());
        assert!(printed.contains(&format!("to learn {learned}")), "{printed}");
    }
}

/// What was held out has no part in the training, is the same for every seed, and has each class's part.
#[test]
fn a_part_is_held_out() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "iris.csv", flowers(|x| x));
    let figures = |words: &str| {
        let words = format!("train --json --data iris.csv --epochs 1 --lr 1e-9 {words} --out run");
        object(&words, folder.path())
    };
    // Weights hardly move: both are of the same untrained network, on the same examples.
    let [one, other] = ["1", "8"].map(|batch| figures(&format!("--validation 0.25 --batch-size {batch}")));
    assert_eq!(one["validation_accuracy"], other["validation_accuracy"]);
    let loss = |run: &Value| run["validation_loss"].as_f64().unwrap();
    assert!((loss(&one) - loss(&other)).abs() < 1e-3, "{one}, {other}");
    assert!(figures("")["validation_loss"].is_null());
    // The mean of those that are left does not depend on the seed, and is not that of all.
    let mean = |words: &str| {
        let _ = figures(&format!("--standardize {words}"));
        config("run", folder.path())["predictor"]["treatment"]["standardize"]["mean"].clone()
    };
    assert_eq!(mean("--validation 0.25"), mean("--validation 0.25 --seed 1"));
    assert_ne!(mean("--validation 0.25"), mean(""));
    let digits =
        "train --limit 100 --epochs 1 --validation 0.1 --layers 784,10 --tensorboard board --out digits";
    let printed = run(digits, folder.path());
    assert!(
        printed.contains("100 digits to train on, 400 to validate on, 1,000 to test on (embedded)\n"),
        "{printed}"
    );
    let events = std::fs::read_dir(folder.path().join("board/digits")).unwrap().next().unwrap().unwrap();
    let events = std::fs::read(events.path()).unwrap();
    for tag in [&b"epoch/test_accuracy"[..], b"epoch/validation_loss", b"epoch/validation_accuracy"] {
        assert!(events.windows(tag.len()).any(|window| window == tag), "{}", text(tag));
    }
}

/// Another unit or another zero of a feature changes a training of standardized inputs by rounding alone.
#[test]
fn units_do_not_matter_to_what_is_standardized() {
    let folder = tempfile::tempdir().unwrap();
    let history = |change: fn(f64) -> f64, words: &str| {
        write(folder.path(), "iris.csv", flowers(change));
        let words = format!("train --json --data iris.csv --epochs 5 --lr 0.01 --out run{words}");
        let results = object(&words, folder.path());
        let losses = results["history"].as_array().unwrap().iter();
        losses.map(|epoch| epoch["test_loss"].as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let changes: [fn(f64) -> f64; 3] = [|x| x, |x| 25.4 * x, |x| x - 300.0];
    let [plain, inches, shifted] = changes.map(|change| history(change, " --standardize"));
    for (plain, changed) in plain.iter().zip(&inches).chain(plain.iter().zip(&shifted)) {
        assert!((plain - changed).abs() < 2e-3 * plain.max(0.1), "{plain} and {changed}");
    }
    let [plain, inches] = [changes[0], changes[1]].map(|change| history(change, ""));
    assert!((plain[0] - inches[0]).abs() > 0.1, "without it, they do: {plain:?}, {inches:?}");
}

#[test]
fn arrays_are_taken_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let x = |n: usize| Numbers::F32((0..2 * n).map(|nth| (nth % 7) as f32).collect());
    let y = |n: usize| Numbers::I64((0..n).map(|nth| (nth % 3) as i64).collect());
    let archive = npz(&[
        ("x_train", x(30), &[30, 2]),
        ("y_train", y(30), &[30]),
        ("x_test", x(9), &[9, 2]),
        ("y_test", y(9), &[9]),
    ]);
    write(folder.path(), "set.npz", archive);
    let printed = run("train --data set.npz --epochs 1", folder.path());
    let found = "NPZ: 30 examples to train on and 9 to test on of 2 numbers, to learn which of 3 classes\n30 examples to \
                 train on, 9 to test on (set.npz)\n";
    assert!(printed.contains(found), "{printed}");
    // Grids of numbers, with channels, to be learned as grids of numbers.
    let numbers = |count: usize| Numbers::F64((0..count).map(|nth| (nth as f64).sin()).collect());
    write(
        folder.path(),
        "grids.npz",
        npz(&[("a", numbers(720), &[20, 1, 6, 6]), ("flux", numbers(80), &[20, 2, 2])]),
    );
    let words =
        "train --data grids.npz --target flux --model conv:2/relu/flatten/linear:4 --epochs 1 --out grids";
    let printed = run(words, folder.path());
    assert!(printed.contains("NPZ: 20 examples of 6 by 6 pixels, to learn 2x2 numbers\n"), "{printed}");
    let config = config("grids", folder.path());
    assert_eq!(config["predictor"]["input"], json!([1, 6, 6]));
    assert_eq!(config["predictor"]["treatment"], json!({"pixels": false, "target": "flux"}));
    assert_eq!(config["predictor"]["outputs"], json!(4));
    // Bytes are pixels.
    let floats = |count: u8| (0..count).flat_map(|nth| f32::from(nth).to_le_bytes()).collect::<Vec<u8>>();
    let file = safetensors(&[
        ("images", "U8", (0..200).collect(), &[10, 4, 5]),
        ("labels", "F32", floats(10), &[10]),
    ]);
    write(folder.path(), "set.safetensors", file);
    let printed = run(
        "train --data set.safetensors --model conv:2/relu/flatten/linear:1 --epochs 1 --out tensors",
        folder.path(),
    );
    let found =
        "safetensors: 10 examples of 5 by 4 pixels, to learn a number\n8 examples to train on, 2 to test on";
    assert!(printed.contains(found), "{printed}");
}

#[test]
fn pictures_are_taken_by_their_folders() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path(), 10);
    let words =
        "train --data photos --model cnn --epochs 3 --augment flip --resize 8x8 --standardize --out run";
    let printed = run(words, folder.path());
    for part in [
        "a folder of pictures: 20 examples of 8 by 8 pixels, to learn which of 2 classes (bright, dark)\n16 examples to \
         train on, 4 to test on (photos); there is no test set, so a fifth was split off; inputs standardized",
        "\n    3  ",
    ] {
        assert!(printed.contains(part), "{part} in:\n{printed}");
    }
    let predictor = &config("run", folder.path())["predictor"];
    assert_eq!(
        (&predictor["input"], &predictor["class_names"]),
        (&json!([1, 8, 8]), &json!(["bright", "dark"]))
    );
    let treatment = &predictor["treatment"];
    assert_eq!((&treatment["resize"], &treatment["pixels"]), (&json!([8, 8]), &json!(true)));
    // One mean of all pixels: by far most are of no picture alone.
    assert_eq!(treatment["standardize"]["mean"].as_array().map(Vec::len), Some(1));
    let rows = run("train --data rows:photos --model rnn:4 --epochs 1 --out rows", folder.path());
    assert!(rows.contains("; 4 steps of 6; there is no test set"), "{rows}");
}

/// Text is a text with and without its word.
#[test]
fn a_text_needs_no_word() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "abc.txt", "abcdefg ".repeat(100));
    let loss = |data: &str| {
        let words = format!("train --json --data {data} --model lstm:4 --epochs 1 --out run");
        object(&words, folder.path())["test_loss"].clone()
    };
    assert_eq!(loss("abc.txt"), loss("text:abc.txt,steps=64"));
}

#[test]
fn what_cannot_be_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    write(place, "iris.csv", flowers(|x| x));
    write(place, "missing.csv", "height,kind\n1.5,a\n,b\n");
    write(place, "words.csv", "height,colour,kind\n1.5,red,a\n2.5,blue,b\n");
    write(place, "half.csv", "1,0.5\n2,0.25\n");
    write(place, "one.csv", "height,kind\n1.5,a\n");
    write(place, "other/train.csv", "a,b,kind\n1,2,x\n3,4,y\n");
    write(place, "other/test.csv", "b,a,kind\n2,1,x\n");
    write(place, "sizes/a/0.png", png(4, 6, 0));
    write(place, "sizes/b/0.png", png(6, 4, 9));
    write(place, "numbers.csv", "a,b\n1,0.5\n2,0.25\n3,0.125\n");
    let flux = Numbers::F32(vec![1.0, f32::NAN, 3.0, 4.0]);
    write(place, "nan.npz", npz(&[("x", flux.clone(), &[2, 2]), ("y", Numbers::I64(vec![0, 1]), &[2])]));
    write(place, "names.npz", npz(&[("speed", flux.clone(), &[4]), ("flow", flux, &[4])]));
    write(place, "abc.txt", "abcdefg ".repeat(100));
    for (words, code, told) in [
        (
            "train --data missing.csv",
            1,
            "missing.csv: line 3, column 1 (height): the value is missing (\"\"); fill it in",
        ),
        (
            "train --data words.csv",
            1,
            "words.csv: line 2, column 2 (colour): \"red\" is no number, and features are",
        ),
        (
            "train --data iris.csv --target spices",
            1,
            "iris.csv: no column \"spices\" to be the target; did you mean species? There are 3: sepal length, petal \
             length, species (--target NAME|NUMBER)",
        ),
        ("train --data iris.csv --target 4", 1, "no column \"4\" to be the target; there are 3: "),
        (
            "train --data iris.csv --task regress",
            1,
            "the target \"setosa\" is no number; learn classes, or choose another target (--task classify, or --target",
        ),
        (
            "train --data half.csv --task classify",
            1,
            "neither a whole number nor a word, and classes are; learn numbers",
        ),
        ("train --data one.csv", 1, "one.csv: one example; there must be one to test on, too"),
        (
            "train --data other",
            1,
            "test.csv: a column \"b\", where other/train.csv has \"a\"; both need the same columns",
        ),
        ("train --data sizes", 1, "but sizes/a/0.png has 6 by 4; resize them all to one size (--resize 4x6)"),
        (
            "train --data sizes --resize 4",
            2,
            "--resize <HxW>': expected rows and columns, each from 1 to 4096, like 32x48",
        ),
        (
            "train --data sizes --resize 4x4 --target a",
            1,
            "sizes: a name of the target is asked for, but this is a folder",
        ),
        (
            "train --data nan.npz",
            1,
            "nan.npz: inputs of example 0: NaN at 1; fill it in or leave the example out",
        ),
        (
            "train --data names.npz",
            1,
            "names.npz: no arrays x and y; there are flow, speed; say which holds the targets (--target NAME)",
        ),
        (
            "train --data names.npz --target flo",
            1,
            "no array \"flo\" to be the target; did you mean flow? There are flow",
        ),
        (
            "train --data names.npz --header true",
            1,
            "names.npz: a header is asked for, but this is NPZ, which has no lines",
        ),
        (
            "train --data numbers.csv --delimiter ;",
            1,
            "line 1: one column, and features and a target are at least two",
        ),
        ("train --data numbers.csv --delimiter ab", 2, "--delimiter <SIGN>': expected one sign"),
        ("train --data abc.txt --task regress", 1, "abc.txt: a goal is asked for, but this is a text"),
        (
            "train --data abc.txt --standardize",
            2,
            "--standardize: numbers are shifted and scaled, and the inputs",
        ),
        (
            "train --data adding --task classify",
            2,
            "--task: numbers are to be learned from these data; leave",
        ),
        ("train --task regress", 2, "--task: classes are to be learned from these data; leave"),
        (
            "train --data adding --target 1",
            2,
            "--target: it is for tables, arrays and pictures, and not for adding",
        ),
        ("train --target 1", 2, "--data <FILE|DIR|WORD[:…]> is missing"),
        ("train --data iris.csv --validation 1", 2, "expected a number between 0 and 1, like 0.1"),
        ("train --data iris.csv --loss bce --target 1 --task regress", 1, "\"setosa\" is no number"),
        (
            "train --data numbers.csv --loss bce",
            2,
            "--loss: numbers, not classes, are to be learned from these data",
        ),
        (
            "train --data iris.csv --layers 2,8,2",
            2,
            "the data has 2 numbers and 3 classes; try --layers 2,8,3",
        ),
        (
            "train --data nothing.csv",
            1,
            "nothing.csv: no such file or folder; name one with data, or one of embedded",
        ),
        (
            "compare --data numbers.csv --optimizers sgd",
            2,
            "--data: optimizers are ranked by accuracy, and numbers have none",
        ),
        (
            "study --data numbers.csv",
            2,
            "--data: a study is about classes of examples, which these data have not",
        ),
        (
            "inspect run --data iris.csv",
            2,
            "--flow: data are for what flows in a network whose weights are in a file",
        ),
    ] {
        let output = backflow(&words.split(' ').collect::<Vec<_>>(), place);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words}: {message}");
        assert!(message.contains(told) && message.trim_end().lines().count() == 1, "{words}: {message}");
    }
    assert!(!place.join("runs").exists());
}
