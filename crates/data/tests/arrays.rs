//! Laws of data sets made of arrays, rows and functions: what is in the file comes out of batches, classes are the same in
//! both sets, and what does not fit is told.

use backflow_data::formats::csv::CsvOptions;
use backflow_data::formats::idx::{ElementType, Idx};
use backflow_data::formats::npy;
use backflow_data::formats::numbers::Numbers;
use backflow_data::formats::targets::Goal;
use backflow_data::{Csv, Dataset, Loader};
use backflow_tensor::{DType, Tensor};
use backflow_testkit::require_message;
use safetensors::tensor::{Dtype, TensorView};
use std::path::{Path, PathBuf};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files");

#[allow(clippy::disallowed_methods, reason = "a crash of this test may leave half a file in its directory")]
fn write(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes).expect("a writable directory");
    path
}

/// The data set of two arrays, by way of files.
fn of(x: (Numbers, &[usize]), y: (Numbers, &[usize]), goal: Option<Goal>) -> Result<Dataset, String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = |name, (numbers, shape): (Numbers, &[usize])| {
        write(directory.path(), name, &npy::write(&numbers, shape).expect("it fits"))
    };
    let read = Dataset::from_npy(file("x.npy", x), file("y.npy", y), goal);
    read.map_err(|error| {
        // Without the path.
        let message = error.to_string();
        require_message(&message);
        message.rsplit_once(".npy: ").map_or(message.clone(), |(_, told)| told.to_owned())
    })
}

fn classes(data: &Dataset) -> (Vec<i64>, Option<Vec<String>>) {
    (data.labels().to_vec(), data.class_names().map(<[String]>::to_vec))
}

#[test]
fn the_same_arrays_are_the_same_data_set_in_every_format() {
    let path = |name: &str| format!("{FILES}/{name}");
    let npy = Dataset::from_npy(path("x.npy"), path("y.npy"), None).expect("valid");
    let v = (0..24).map(|i| (i * 37 % 227 - 100) as f32 / 8.0);
    assert_eq!(npy, Dataset::new(v.collect(), 4, vec![0, 1, 2, 0, 1, 2], 3));
    for name in ["stored.npz", "deflated.npz"] {
        assert_eq!(Dataset::from_npz(path(name), None).expect("valid"), npy, "{name}");
    }
    let tensors = Dataset::from_safetensors(path("set.safetensors"), None).expect("valid");
    assert_eq!(tensors, npy);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let big: Vec<u8> = npy.inputs().iter().flat_map(|x| x.to_be_bytes()).collect();
    let x = Idx::new(ElementType::F32, &[6, 4], &big).expect("valid").to_bytes();
    let y = Idx::new(ElementType::U8, &[6], &[0, 1, 2, 0, 1, 2]).expect("valid").to_bytes();
    let [x, y] = [("x", x), ("y", y)].map(|(name, bytes)| write(directory.path(), name, &bytes));
    assert_eq!(Dataset::from_idx(x, y, None).expect("valid"), npy);
}

#[test]
fn bytes_are_pixels_and_pictures_by_their_shape() {
    let pixels: Vec<u8> = (0..2 * 5 * 6 * 3).map(|i| (i % 251) as u8).collect();
    let y = || (Numbers::U8(vec![0, 1]), &[2][..]);
    for (shape, image) in [
        (&[2, 90][..], None),
        (&[2, 15, 6], Some([1, 15, 6])),
        (&[2, 3, 5, 6], Some([3, 5, 6])),
        (&[2, 5, 6, 3], Some([3, 5, 6])),
        (&[2, 45, 2, 1], Some([1, 45, 2])),
        (&[2, 3, 5, 2, 3], None),
    ] {
        let data = of((Numbers::U8(pixels.clone()), shape), y(), None).expect("valid");
        assert_eq!(
            (data.image_shape(), data.input_shape().to_vec(), data.classes()),
            (image, vec![90], 2),
            "{shape:?}"
        );
        let expected: Vec<f32> = match shape {
            // The colours of a pixel lay side by side.
            [2, 5, 6, 3] => (0..180).map(|i| (i / 90 * 90 + i % 30 * 3 + i % 90 / 30) as f32).collect(),
            _ => (0..180).map(|i| i as f32).collect(),
        };
        let expected: Vec<f32> = expected.into_iter().map(|pixel| pixel / 255.0).collect();
        assert_eq!(Loader::new(&data, 2).batch(0, 0).inputs.to_vec::<f32>(), expected, "{shape:?}");
    }
}

#[test]
fn targets_are_classes_or_numbers() {
    let x = || (Numbers::F32(vec![0.5; 4]), &[4][..]);
    let names = |names: [&str; 2]| Some(names.map(str::to_owned).to_vec());
    let (classify, regress) = (Some(Goal::Classify), Some(Goal::Regress));
    for (y, shape, goal, expected) in [
        (Numbers::I64(vec![0, 1, 1, 0]), &[4][..], None, (vec![0, 1, 1, 0], None)),
        (Numbers::U8(vec![7, 9, 7, 7]), &[4, 1], None, (vec![0, 1, 0, 0], names(["7", "9"]))),
        (Numbers::Bool(vec![true, false, true, true]), &[4], None, (vec![1, 0, 1, 1], None)),
        (Numbers::F64(vec![-1.0, 1.0, 1.0, -1.0]), &[4], classify, (vec![0, 1, 1, 0], names(["-1", "1"]))),
    ] {
        let data = of(x(), (y.clone(), shape), goal).expect("valid");
        assert_eq!(
            (classes(&data), data.features(), data.target_shape()),
            (expected, 1, Some([][..].into())),
            "{y:?}"
        );
    }
    for (y, shape, goal) in [
        (Numbers::F32(vec![0.0, 1.0, 1.0, 0.0]), &[4][..], None),
        (Numbers::I64(vec![0, 1, 1, 0]), &[4], regress),
        // Each of these stands alone.
        (Numbers::I64(vec![3, 5, 9, 11]), &[4], None),
        (Numbers::F64(vec![0.5; 8]), &[4, 2], None),
        (Numbers::I64(vec![1; 8]), &[4, 2], None),
    ] {
        let data = of(x(), (y.clone(), shape), goal).expect("valid");
        assert_eq!((data.classes(), data.target_dtype()), (0, Some(DType::F32)), "{y:?}");
        let elements = y.len() / 4;
        assert_eq!(data.target_shape(), Some([elements][..].into()), "{y:?}");
    }
}

#[test]
fn arrays_that_are_no_data_set_are_told() {
    let x = || (Numbers::F32(vec![0.5; 4]), &[2, 2][..]);
    let y = || (Numbers::I64(vec![0, 1]), &[2][..]);
    let classify = Some(Goal::Classify);
    for (x, y, goal, told) in [
        (
            (Numbers::F32(vec![1.0]), &[][..]),
            y(),
            None,
            "the inputs have the shape []; arrays with an axis of examples",
        ),
        ((Numbers::F32(vec![]), &[0, 3]), y(), None, "the inputs have the shape [0, 3]"),
        ((Numbers::F32(vec![0.0; 2]), &[2, 1, 1, 1, 1, 1, 1, 1, 1]), y(), None, "the inputs have the shape"),
        (
            x(),
            (Numbers::I64(vec![0; 3]), &[3]),
            None,
            "2 inputs, but 3 targets; the arrays do not belong together",
        ),
        (
            (Numbers::F32(vec![0.0, 1.0, f32::NAN, 2.0]), &[2, 2]),
            y(),
            None,
            "inputs of example 1: NaN at 0; fill it in",
        ),
        (
            (Numbers::F64(vec![0.0, 1.0, 2.0, f64::INFINITY]), &[2, 2]),
            y(),
            None,
            "inputs of example 1: inf at 1",
        ),
        (
            (Numbers::F64(vec![0.0, 1e39, 2.0, 3.0]), &[2, 2]),
            y(),
            None,
            "inputs of example 0: 1000000000000000000000000000000000000000 at 1, which f32 does not hold",
        ),
        (
            (Numbers::I64(vec![0, 0, 0, (1 << 24) + 1]), &[2, 2]),
            y(),
            None,
            "inputs of example 1: 16777217 at 1, which f32",
        ),
        (
            x(),
            (Numbers::F64(vec![0.5, 1.0]), &[2]),
            classify,
            "target 0 is 0.5, and classes are whole numbers",
        ),
        (
            x(),
            (Numbers::F64(vec![1.0, f64::NAN]), &[2]),
            classify,
            "target 1 is NaN, and classes are whole numbers",
        ),
        (x(), (Numbers::F32(vec![0.0, f32::NAN]), &[2]), None, "targets of example 1: NaN at 0"),
        (
            x(),
            (Numbers::I64(vec![0; 4]), &[2, 2]),
            classify,
            "targets of shape [2, 2] are not one class per example",
        ),
    ] {
        let error = of(x, y, goal).expect_err(told);
        assert!(error.starts_with(told), "{error}");
    }
    let error = Dataset::from_npy("nowhere/x.npy", "y.npy", None).expect_err("no such file").to_string();
    assert_eq!(
        error,
        "nowhere: no file with the array; looked for x.npy; put one of them there, or train on the embedded digits"
    );
}

/// A safetensors file of such arrays of `f32` and `i64`.
fn tensors(arrays: &[(&str, Numbers, &[usize])]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = arrays.iter().map(|(_, numbers, _)| numbers.to_bytes()).collect();
    let views = arrays.iter().zip(&bytes).map(|((name, numbers, shape), bytes)| {
        let dtype = if matches!(numbers, Numbers::F32(_)) { Dtype::F32 } else { Dtype::I64 };
        (*name, TensorView::new(dtype, shape.to_vec(), bytes).expect("it fits"))
    });
    safetensors::serialize(views, None).expect("in memory")
}

#[test]
fn files_of_several_arrays_are_read_by_the_names_in_them() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let read = |arrays: &[(&str, Numbers, &[usize])], goal| {
        let path = write(directory.path(), "set.safetensors", &tensors(arrays));
        let loaded = Dataset::from_safetensors(path, goal);
        loaded.map_err(|error| {
            require_message(&error.to_string());
            error.to_string().split_once(".safetensors: ").expect("the path").1.to_owned()
        })
    };
    let x = |n: usize| Numbers::F32((0..2 * n).map(|i| i as f32).collect());
    let y = |labels: &[i64]| Numbers::I64(labels.to_vec());
    for [inputs, targets] in
        [["x", "y"], ["X", "y"], ["images", "labels"], ["data", "target"], ["x_train", "y_train"]]
    {
        let data = read(&[(inputs, x(2), &[2, 2]), (targets, y(&[0, 1]), &[2])], None).expect("valid");
        assert_eq!((data.len(), data.classes()), (2, 2));
    }
    for (arrays, told) in [
        (vec![], "no arrays x and y; there are none"),
        (vec![("weight", x(2), &[2, 2][..])], "no arrays x and y; there are weight"),
        (
            vec![
                ("x_train", x(2), &[2, 2][..]),
                ("y_train", y(&[5, 7]), &[2]),
                ("x_test", x(2), &[2, 2]),
                ("y_test", y(&[5, 6]), &[2]),
            ],
            "in the test set: target 1 is 6, a class that the training set has not",
        ),
        (
            vec![
                ("x_train", x(2), &[2, 2][..]),
                ("y_train", y(&[5, 7]), &[2]),
                ("x_test", x(2), &[4, 1]),
                ("y_test", y(&[5, 7, 7, 7]), &[4]),
            ],
            "inputs of the test set have the shape [1], those of the training set [2]",
        ),
    ] {
        let error = read(&arrays, Some(Goal::Classify)).expect_err(told);
        assert!(error.starts_with(told), "{error}");
    }
}

#[test]
fn rows_of_a_table_are_examples() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plain = b"a,b,kind\n1,2,x\n3,4,y\n5,6,x\n";
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, plain).expect("in memory");
    let packed = packed.finish().expect("in memory");
    for (name, bytes) in [("set.csv", &plain[..]), ("set.csv.gz", &packed)] {
        let csv = Csv::load(write(directory.path(), name, bytes), &CsvOptions::default()).expect("valid");
        let expected = Dataset::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, vec![0, 1, 0], 2);
        assert_eq!(csv.dataset, expected.with_class_names(vec!["x".to_owned(), "y".to_owned()]));
        assert_eq!(
            (csv.columns, csv.target.as_deref()),
            (Some(vec!["a".to_owned(), "b".to_owned()]), Some("kind"))
        );
    }
    let path = write(directory.path(), "line.csv", b"1,0.5\n2,1.5\n");
    let line = Dataset::from_csv(&path, &CsvOptions::default()).expect("valid");
    assert_eq!(
        line,
        Dataset::from_tensors(&Tensor::from([[1.0_f32], [2.0]]), &Tensor::from([[0.5_f32], [1.5]]))
    );
    let path = write(directory.path(), "wrong.csv", b"1,0.5\n?,1.5\n");
    let error = Dataset::from_csv(&path, &CsvOptions::default()).expect_err("a value is missing").to_string();
    assert!(error.ends_with("wrong.csv: line 2, column 1: the value is missing (\"?\"); fill it in or leave the row out, as pandas' fillna and dropna do"), "{error}");
}

#[test]
fn names_of_classes_stay_with_their_examples() {
    let names = || ["no", "yes"].map(str::to_owned).to_vec();
    let data = Dataset::new(vec![0.0, 1.0, 2.0], 1, vec![0, 1, 0], 2).with_class_names(names());
    for kept in [
        data.subset(&[1]),
        data.first(2),
        data.clone().with_classes(2),
        data.clone().with_input_shape([1, 1]),
    ] {
        assert_eq!(kept.class_names(), Some(&names()[..]));
    }
    assert_eq!(data.clone().with_classes(3).class_names(), None);
    assert!(std::panic::catch_unwind(|| data.with_class_names(vec![])).is_err());
}

#[test]
fn a_function_makes_examples_one_by_one() {
    let data = Dataset::from_fn(5, |i| ([i as f32, -(i as f32)], [[i as f64], [0.5]]));
    assert_eq!((data.len(), data.input_shape().to_vec()), (5, vec![2]));
    assert_eq!((data.target_shape(), data.target_dtype()), (Some([2, 1][..].into()), Some(DType::F64)));
    assert_eq!(data.row(3), [3.0, -3.0]);
    let panics = |f: fn() -> Dataset| std::panic::catch_unwind(f).is_err();
    assert!(panics(|| Dataset::from_fn(0, |_| (0.0_f32, 0.0_f32))));
    assert!(panics(|| Dataset::from_fn(2, |i| (vec![0.0_f32; 1 + i], 0_i64))));
    assert!(panics(|| Dataset::from_fn(2, |i| (0.0_f32, vec![0_i64; i]))));
}
