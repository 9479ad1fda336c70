//! Whatever lies at a path is found by its content, and what is not known is told with what is.

use backflow_data::formats::idx::{ElementType, Idx};
use backflow_data::formats::npy;
use backflow_data::formats::numbers::Numbers;
use backflow_data::formats::targets::Goal;
use backflow_data::{Format, Learned, LoadOptions, Loaded, load};
use backflow_testkit::require_message;
use std::io::Write;
use std::path::Path;

#[allow(clippy::disallowed_methods, reason = "a crash of this test may leave half a file in its directory")]
fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a writable directory");
    std::fs::write(path, bytes).expect("a writable directory");
}

type Files<'a> = &'a [(&'a str, Vec<u8>)];

/// Loads `name` in a folder with these files; `""` is the folder itself. Errors are without its path.
fn load_of(files: Files<'_>, name: &str, options: &LoadOptions) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    files.iter().for_each(|(name, bytes)| write(&directory.path().join(name), bytes));
    let path = if name.is_empty() { directory.path().to_owned() } else { directory.path().join(name) };
    let loaded = load(&path, options).map_err(|error| {
        let message = error.to_string().replace(&directory.path().display().to_string(), "");
        require_message(&message);
        message
    });
    if let Ok(loaded) = &loaded {
        assert_eq!(Format::of(&path).ok(), Some(loaded.format));
    }
    loaded
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name))
        .expect("a file of the tests")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

fn idx(shape: &[u32], elements: &[u8]) -> Vec<u8> {
    Idx::new(ElementType::U8, shape, elements).expect("valid").to_bytes()
}

fn array(numbers: Numbers, shape: &[usize]) -> Vec<u8> {
    npy::write(&numbers, shape).expect("it fits")
}

fn photographs() -> Vec<u8> {
    [&[9][..], &[7; 3072], &[0], &[8; 3072]].concat()
}

/// Files, which of them, what it is, examples to train and to test on, what is to be learned, and what is said of it.
type Case<'a> = (Files<'a>, &'a str, Format, usize, Option<usize>, Learned, &'a str);

#[test]
fn every_format_is_found_by_what_is_in_it() {
    let grey = golden("pictures/grey.png");
    let names: Vec<u8> = (0..10).flat_map(|class| format!("class {class}\n").into_bytes()).collect();
    let images = || idx(&[2, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8]);
    let labels = || idx(&[2], &[0, 1]);
    let floats = |n: usize| array(Numbers::F32((0..2 * n).map(|i| i as f32).collect()), &[n, 2]);
    let ids = |ids: &[i64]| array(Numbers::I64(ids.to_vec()), &[ids.len()]);
    let csv = b"height,kind\n1,b\n2,a\n".to_vec();
    let batch = |name: &'static str| (name, photographs());
    let cases: [Case<'_>; 17] = [
        (
            &[("a.txt", csv.clone())],
            "a.txt",
            Format::Csv,
            2,
            None,
            Learned::Classes,
            "CSV: 2 examples of 1 number (height), to learn kind, which of 2 classes (a, b)",
        ),
        (
            &[("a", gzip(b"1,0.5\n2,0.25\n"))],
            "a",
            Format::Csv,
            2,
            None,
            Learned::Numbers,
            "CSV: 2 examples of 1 number, to learn a number",
        ),
        (
            &[("train.csv", csv.clone()), ("test.csv", b"height,kind\n3,b\n".to_vec())],
            "",
            Format::Csv,
            2,
            Some(1),
            Learned::Classes,
            "CSV: 2 examples to train on and 1 to test on of 1 number (height), to learn kind, which of 2 classes (a, b)",
        ),
        (
            &[("x.npy", floats(2)), ("y.npy", ids(&[0, 1]))],
            "x.npy",
            Format::Npy,
            2,
            None,
            Learned::Classes,
            "NPY: 2 examples of 2 numbers, to learn which of 2 classes",
        ),
        (
            &[
                ("x_train.npy", floats(2)),
                ("y_train.npy", ids(&[5, 9])),
                ("x_test.npy", floats(1)),
                ("y_test.npy", ids(&[9])),
            ],
            "",
            Format::Npy,
            2,
            Some(1),
            Learned::Numbers,
            "NPY: 2 examples to train on and 1 to test on of 2 numbers, to learn a number",
        ),
        (
            &[("a.zip", golden("stored.npz"))],
            "a.zip",
            Format::Npz,
            6,
            None,
            Learned::Classes,
            "NPZ: 6 examples of 4 numbers, to learn which of 3 classes",
        ),
        (
            &[("a", golden("set.safetensors"))],
            "a",
            Format::Safetensors,
            6,
            None,
            Learned::Classes,
            "safetensors: 6 examples of 4 numbers, to learn which of 3 classes",
        ),
        (
            &[("my-images-idx3-ubyte", images()), ("my-labels-idx1-ubyte", labels())],
            "my-images-idx3-ubyte",
            Format::Idx,
            2,
            None,
            Learned::Classes,
            "IDX: 2 examples of 2 by 2 pixels, to learn which of 2 classes",
        ),
        (
            &[
                ("train-images.idx3-ubyte.gz", gzip(&images())),
                ("train-labels.idx1-ubyte", labels()),
                ("t10k-images.idx3-ubyte.gz", images()),
                ("t10k-labels.idx1-ubyte.gz", gzip(&labels())),
            ],
            "train-images.idx3-ubyte.gz",
            Format::Idx,
            2,
            Some(2),
            Learned::Classes,
            "IDX: 2 examples to train on and 2 to test on of 2 by 2 pixels, to learn which of 2 classes",
        ),
        (
            &[
                ("train-images-idx3-ubyte", images()),
                ("train-labels-idx1-ubyte", labels()),
                ("t10k-images-idx3-ubyte", images()),
                ("t10k-labels-idx1-ubyte", labels()),
            ],
            "",
            Format::Idx,
            2,
            Some(2),
            Learned::Classes,
            "IDX: 2 examples to train on and 2 to test on of 2 by 2 pixels, to learn which of 10 classes",
        ),
        (
            &[
                batch("data_batch_1.bin"),
                batch("data_batch_2.bin"),
                batch("data_batch_3.bin"),
                batch("data_batch_4.bin"),
                batch("data_batch_5.bin"),
                batch("test_batch.bin"),
                ("batches.meta.txt", names),
            ],
            "",
            Format::Cifar,
            10,
            Some(2),
            Learned::Classes,
            "CIFAR: 10 examples to train on and 2 to test on of 32 by 32 pixels in 3 channels, to learn which of 10 classes (class 0,",
        ),
        (
            &[("a/1.png", grey.clone()), ("b/1.png", grey.clone()), ("README", csv.clone())],
            "",
            Format::Pictures,
            2,
            None,
            Learned::Classes,
            "a folder of pictures: 2 examples of 17 by 12 pixels, to learn which of 2 classes (a, b)",
        ),
        (
            &[("train/a/1.png", grey.clone()), ("test/a/1.png", grey)],
            "",
            Format::Pictures,
            1,
            Some(1),
            Learned::Classes,
            "a folder of pictures: 1 example to train on and 1 to test on of 17 by 12 pixels, to learn which of 1 class (a)",
        ),
        (
            &[("poem", b"To be, or not to be, that is the question:\n".repeat(20))],
            "poem",
            Format::Text,
            12,
            Some(1),
            Learned::NextToken,
            "a text: 12 examples to train on and 1 to test on of 64 bytes, to learn the next byte",
        ),
        (
            &[("poem.gz", gzip(&b"To be, or not to be\n".repeat(50)))],
            "poem.gz",
            Format::Text,
            14,
            Some(1),
            Learned::NextToken,
            "a text: 14 examples",
        ),
        (
            &[("latin.txt", b"Gr\xfc\xdfe ".repeat(200))],
            "latin.txt",
            Format::Text,
            16,
            Some(1),
            Learned::NextToken,
            "a text",
        ),
        (
            &[("a\u{1b}.csv", b"a\x1b[31m,b\n1,0\n2,1\n".to_vec())],
            "a\u{1b}.csv",
            Format::Csv,
            2,
            None,
            Learned::Classes,
            "CSV: 2 examples of 1 number (a\\u{1b}[31m), to learn b, which of 2 classes",
        ),
    ];
    for (files, name, format, train, test, learned, words) in cases {
        let loaded = load_of(files, name, &LoadOptions::default()).expect(words);
        assert_eq!((loaded.format, loaded.learned), (format, learned), "{words}");
        assert_eq!((loaded.train.len(), loaded.test.map(|test| test.len())), (train, test), "{words}");
        assert!(loaded.words.starts_with(words), "{}", loaded.words);
        require_message(&loaded.words);
    }
}

#[test]
fn options_are_heeded_or_refused() {
    let table: Files<'_> = &[("a.csv", b"1 2 3\n4 5 6\n7 8 9\n".to_vec())];
    let asked = LoadOptions {
        target: Some("1".to_owned()),
        goal: Some(Goal::Classify),
        header: Some(true),
        delimiter: Some(b' '),
        ..LoadOptions::default()
    };
    let loaded = load_of(table, "a.csv", &asked).expect("valid");
    assert_eq!(loaded.words, "CSV: 2 examples of 2 numbers (2, 3), to learn 1, which of 2 classes (4, 7)");
    let grey = golden("pictures/grey.png");
    let pictures: Files<'_> = &[("a/1.png", grey.clone())];
    let small = LoadOptions { resize: Some([3, 4]), ..LoadOptions::default() };
    assert_eq!(load_of(pictures, "", &small).expect("valid").train.image_shape(), Some([1, 3, 4]));
    let text: Files<'_> = &[("a.txt", b"abcdefghij".repeat(10))];
    let short = LoadOptions { steps: Some(5), ..LoadOptions::default() };
    assert_eq!(load_of(text, "a.txt", &short).expect("valid").train.features(), 6);
    let npz: Files<'_> = &[("a.npz", golden("stored.npz"))];
    let regress = LoadOptions { goal: Some(Goal::Regress), ..LoadOptions::default() };
    assert_eq!(load_of(npz, "a.npz", &regress).expect("valid").learned, Learned::Numbers);
    for (files, name, options, told) in [
        (npz, "a.npz", &asked, "/a.npz: a header is asked for, but this is NPZ, which has no lines"),
        (npz, "a.npz", &small, "/a.npz: another size is asked for, but this is NPZ, which is not resized"),
        (
            npz,
            "a.npz",
            &short,
            "/a.npz: a number of steps is asked for, but this is NPZ, which is not cut into windows",
        ),
        (
            pictures,
            "",
            &regress,
            ": numbers to learn is asked for, but this is a folder of pictures, which has classes",
        ),
        (
            text,
            "a.txt",
            &regress,
            "/a.txt: a goal is asked for, but this is a text, which is learned byte by byte",
        ),
        (
            text,
            "a.txt",
            &LoadOptions { steps: Some(64), ..LoadOptions::default() },
            "/a.txt: holds 100 bytes, expected at least 650 bytes",
        ),
    ] {
        let error = load_of(files, name, options).expect_err(told);
        assert!(error.starts_with(told), "{error}");
    }
}

#[test]
fn what_is_not_known_is_told_with_what_is() {
    let known = "; known are CSV, NPY, NPZ, safetensors and IDX files, text, and folders";
    let png = golden("pictures/grey.png");
    let none = || LoadOptions::default();
    let one = |name: &'static str, bytes: &[u8]| vec![(name, bytes.to_vec())];
    for (files, name, told) in [
        (one("a", b""), "a", "/a: an empty file"),
        (
            one("a", b"PAR1..."),
            "a",
            "/a: a Parquet file; save it as CSV, or pictures as IDX by scripts/parquet_to_idx.py",
        ),
        (one("a", b"\x80\x04\x95"), "a", "/a: a pickle, a program for Python to run"),
        (one("a", b"\x89HDF\r\n"), "a", "/a: an HDF5 file"),
        (one("a", &[1, 2, 0, 255, 4]), "a", "/a: a file of another kind, which begins with 01 02 00 ff 04"),
        (
            one("a.png", &png),
            "a.png",
            "/a.png: one picture; name the folder that holds a folder of pictures for each class",
        ),
        (one("a.npy", &golden("x.npy")), "a.npy", "/a.npy: one array, and inputs and targets are two"),
        (
            one("images-idx3", &idx(&[1, 1, 1], &[0])),
            "images-idx3",
            "/images-idx3: one IDX array, and no file of labels",
        ),
        (
            one("labels-idx1", &idx(&[1], &[0])),
            "labels-idx1",
            "/labels-idx1: one IDX array, and no file of labels",
        ),
        (one("notes.md", b"x"), "", ": a folder with notes.md; name one of them, if it holds the data"),
        (vec![], "", ": an empty folder"),
        (
            one("a.zip", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            "a.zip",
            "/a.zip: a file of another kind",
        ),
    ] {
        let error = load_of(&files, name, &none()).expect_err(told);
        assert!(error.starts_with(told), "{error}");
        assert!(error.contains(known), "{error}");
    }
    // What is known and damaged is told as what it is.
    for (files, name, told) in [
        (
            one("a.npz", &golden("stored.npz")[..99]),
            "a.npz",
            "/a.npz: 99 bytes without the end of a zip archive",
        ),
        (one("a.safetensors", b"1234"), "a.safetensors", "/a.safetensors: not a valid safetensors file"),
        (one("a.csv", b"a,b\n"), "a.csv", "/a.csv: no rows"),
        (
            vec![("train.csv", b"1,0\n2,1\n".to_vec()), ("test.csv", b"1,2,0\n".to_vec())],
            "",
            "/test.csv: holds 2, expected 1 features",
        ),
        (
            vec![("train.csv", b"1,a\n2,b\n".to_vec()), ("test.csv", b"1,c\n".to_vec())],
            "",
            "/test.csv: line 1, column 2: the class \"c\"",
        ),
    ] {
        let error = load_of(&files, name, &none()).expect_err(told);
        assert!(error.starts_with(told), "{error}");
    }
    let error = load_of(&[], "nothing", &none()).expect_err("nothing is there");
    assert!(error.starts_with(": no file with the data; looked for nothing"), "{error}");
}

/// A test set is of the same kind as its training set, or it is refused: nothing is taken for what it is not.
#[test]
fn a_test_set_fits_its_training_set() {
    let table = |test: &str| {
        vec![("train.csv", b"a,b,kind\n1,2,x\n3,4,y\n".to_vec()), ("test.csv", test.as_bytes().to_vec())]
    };
    let pixels = |n: usize, shape: &[usize]| array(Numbers::U8(vec![7; 16 * n]), &[&[n], shape].concat());
    let arrays = |inputs: Vec<u8>, targets: Vec<u8>| {
        vec![
            ("x_train.npy", pixels(2, &[2, 8])),
            ("y_train.npy", array(Numbers::F32(vec![0.5; 4]), &[2, 2])),
            ("x_test.npy", inputs),
            ("y_test.npy", targets),
        ]
    };
    let numbers = |numbers: &[f32], shape: &[usize]| array(Numbers::F32(numbers.to_vec()), shape);
    for (files, told) in [
        (table("b,a,kind\n2,1,x\n"), "/test.csv: a column \"b\", where /train.csv has \"a\"; both need"),
        (table("a,b,sort\n1,2,x\n"), "/test.csv: a column \"sort\", where /train.csv has \"kind\""),
        // As many pixels in other rows.
        (
            arrays(pixels(2, &[4, 4]), numbers(&[0.5; 4], &[2, 2])),
            "/x_train.npy: inputs of the test set have the shape [1, 4, 4], those of the training set [1, 2, 8]",
        ),
        (
            arrays(pixels(2, &[2, 8]), numbers(&[0.5; 6], &[2, 3])),
            "/x_train.npy: targets of the test set have the shape [3], those of the training set [2]",
        ),
        // The file that is wrong is named.
        (
            arrays(pixels(2, &[2, 8]), numbers(&[0.5, 1.0, f32::NAN, 0.0], &[2, 2])),
            "/x_test.npy: targets of example 1: NaN at 0",
        ),
    ] {
        let error = load_of(&files, "", &LoadOptions::default()).expect_err(told);
        assert!(error.starts_with(told), "{error}");
    }
    // Without names, columns are in the order in which they are.
    let loaded = load_of(&table("2,1,x\n"), "", &LoadOptions::default()).expect("valid");
    assert_eq!(loaded.test.expect("a test set").inputs(), [2.0, 1.0]);
}

/// One stray file does not make a folder of pictures something else: it is told which file is none.
#[test]
fn a_stray_file_is_told_where_pictures_are() {
    let files: Files<'_> = &[("a/1.png", golden("pictures/grey.png")), ("a/0.txt", b"notes".to_vec())];
    let error = load_of(files, "", &LoadOptions::default()).expect_err("one is no picture");
    assert!(error.starts_with("/a/0.txt: neither a PNG nor a JPEG file; convert it"), "{error}");
}

#[test]
fn arrays_are_chosen_by_the_name_of_the_targets() {
    let tensors = |names: &[&str]| -> Vec<u8> {
        let header: Vec<String> = (names.iter().enumerate())
            .map(|(nth, name)| {
                format!(
                    r#""{name}":{{"dtype":"F32","shape":[2,1,2],"data_offsets":[{},{}]}}"#,
                    16 * nth,
                    16 * nth + 16
                )
            })
            .collect();
        let header = format!("{{{}}}", header.join(","));
        let data = (0..names.len()).flat_map(|nth| [nth as f32; 4].into_iter().flat_map(f32::to_le_bytes));
        (header.len() as u64).to_le_bytes().into_iter().chain(header.into_bytes()).chain(data).collect()
    };
    let load = |names: &[&str], target: Option<&str>| {
        let options = LoadOptions { target: target.map(str::to_owned), ..LoadOptions::default() };
        load_of(&[("a.safetensors", tensors(names))], "a.safetensors", &options)
    };
    // Which array the inputs are: each has the number of its place everywhere.
    for (names, target, inputs, has_test) in [
        (&["speed", "flow"][..], "flow", 0.0, false),
        (&["speed", "flow"], "speed", 1.0, false),
        (&["a", "x", "b", "y"], "b", 1.0, false),
        (&["x", "y", "z"], "y", 0.0, false),
        (&["z", "x_train", "y_train", "x_test", "y_test"], "y_train", 1.0, true),
        (&["x_train", "y_train", "x_test", "y_test"], "y_test", 2.0, false),
    ] {
        let loaded = load(names, Some(target)).expect("valid");
        assert_eq!(loaded.train.inputs()[0], inputs, "{names:?}, {target}");
        assert_eq!(loaded.test.is_some(), has_test);
        assert!(loaded.words.ends_with(" of 1x2 numbers, to learn 1x2 numbers"), "{}", loaded.words);
    }
    for (names, target, told) in [
        (
            &["speed", "flow"][..],
            None,
            "no arrays x and y; there are flow, speed; say which holds the targets",
        ),
        (
            &["a", "b", "c"],
            Some("b"),
            "no array x beside the targets b; there are a, b, c; call that of the inputs x",
        ),
        (&["x", "data", "b"], Some("b"), "no array x beside the targets b; there are b, data, x"),
        (
            &["speed", "flow"],
            Some("flwo"),
            "no array \"flwo\" to be the target; did you mean flow? There are flow, speed",
        ),
    ] {
        let error = load(names, target).expect_err(told);
        assert!(error.starts_with(&format!("/a.safetensors: {told}")), "{error}");
    }
}
