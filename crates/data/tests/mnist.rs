//! Loading MNIST from files, the embedded digits, and facts about the full data set.
//!
//! The full data set is not part of the repository: tests that need it read its directory from the
//! environment variable `BACKFLOW_MNIST` and say so when they are skipped.

use backflow_data::formats::idx::{ElementType, Idx};
use backflow_data::formats::unpack_idx;
use backflow_data::{DataError, Dataset, Mnist, Standardize};
use flate2::Crc;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const EMBEDDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/embedded");

#[allow(clippy::disallowed_methods, reason = "a crash of this test may leave half a file in its directory")]
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("a writable directory");
}

/// A training set of two pictures and a test set of one, under names made by `name(stem, kind)`.
fn write_small_set(directory: &Path, name: impl Fn(&str, &str) -> String) {
    let idx =
        |shape: &[u32], bytes: &[u8]| Idx::new(ElementType::U8, shape, bytes).expect("valid").to_bytes();
    write(&directory.join(name("train-images", "idx3-ubyte")), &idx(&[2, 1, 3], &[0, 51, 255, 1, 2, 3]));
    write(&directory.join(name("train-labels", "idx1-ubyte")), &idx(&[2], &[9, 0]));
    write(&directory.join(name("t10k-images", "idx3-ubyte")), &idx(&[1, 1, 3], &[255, 0, 255]));
    write(&directory.join(name("t10k-labels", "idx1-ubyte")), &idx(&[1], &[4]));
}

#[test]
fn every_spelling_of_the_names_is_found() {
    let spellings: [fn(&str, &str) -> String; 4] = [
        |stem, kind| format!("{stem}-{kind}"),
        |stem, kind| format!("{stem}.{kind}"),
        // Compression is a matter of content: plain bytes under a name in `.gz` are read too.
        |stem, kind| format!("{stem}-{kind}.gz"),
        |stem, kind| format!("{stem}.{kind}.gz"),
    ];
    for spelling in spellings {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write_small_set(directory.path(), spelling);
        let mnist = Mnist::load(directory.path()).expect("a valid set");
        assert_eq!(mnist.train.image_shape(), Some([1, 1, 3]));
        assert_eq!(mnist.train.inputs(), [0.0, 0.2, 1.0, 1.0 / 255.0, 2.0 / 255.0, 3.0 / 255.0]);
        assert_eq!(mnist.train.labels(), [9, 0]);
        let test = Dataset::new(vec![1.0, 0.0, 1.0], 3, vec![4], 10).with_image_shape([1, 1, 3]);
        assert_eq!(mnist.test, test);
    }
}

#[test]
fn a_missing_file_is_named_in_all_its_spellings() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_small_set(directory.path(), |stem, kind| format!("{stem}-{kind}"));
    std::fs::remove_file(directory.path().join("train-labels-idx1-ubyte")).expect("it was there");
    let error = Mnist::load(directory.path()).expect_err("a file is missing");
    assert!(matches!(error, DataError::Missing { what: "training labels", .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "{}: no file with the training labels; looked for train-labels-idx1-ubyte, \
             train-labels-idx1-ubyte.gz, train-labels.idx1-ubyte, train-labels.idx1-ubyte.gz; put one of \
             them there, or train on the embedded digits",
            directory.path().display()
        )
    );
}

/// The embedded pixels and labels, bit for bit.
#[test]
fn embedded_digits_are_pinned() {
    let checksum = |name: &str| {
        let bytes = std::fs::read(Path::new(EMBEDDED).join(name)).expect("part of the sources");
        let file = unpack_idx(&bytes).expect("valid");
        let idx = Idx::parse(&file).expect("valid");
        let mut crc = Crc::new();
        crc.update(idx.as_bytes());
        (idx.shape().to_vec(), crc.sum())
    };
    assert_eq!(checksum("train-images-idx3-ubyte.gz"), (vec![4000, 28, 28], 0x1a42_5dcd));
    assert_eq!(checksum("train-labels-idx1-ubyte.gz"), (vec![4000], 0xfc77_df69));
    assert_eq!(checksum("t10k-images-idx3-ubyte.gz"), (vec![1000, 28, 28], 0xc265_2427));
    assert_eq!(checksum("t10k-labels-idx1-ubyte.gz"), (vec![1000], 0x2c79_9c4d));
}

#[test]
fn embedded_digits_are_the_embedded_files() {
    let (embedded, loaded) = (Mnist::embedded(), Mnist::load(EMBEDDED).expect("valid"));
    assert_eq!((&embedded.train, &embedded.test), (&loaded.train, &loaded.test));
    assert_eq!(embedded.train.image_shape(), Some([1, 28, 28]));
    assert_eq!(embedded.train.class_counts(), [400; 10]);
    assert_eq!(embedded.test.class_counts(), [100; 10]);
}

/// Training without shuffling must work too: any stretch of the file is a mixture of all classes.
#[test]
fn embedded_digits_are_mixed() {
    let Mnist { train, test } = Mnist::embedded();
    for part in [train, test] {
        for labels in part.labels().chunks(100) {
            let largest = (0..10).map(|class| labels.iter().filter(|&&label| label == class).count()).max();
            // Of 100 draws, 10 are expected of a class with standard deviation 3; this is 5 standard
            // deviations.
            assert!(largest <= Some(25), "{labels:?}");
        }
    }
}

#[test]
fn embedded_training_and_test_digits_differ() {
    let Mnist { train, test } = Mnist::embedded();
    let rows = pictures(&train);
    assert_eq!(rows.len(), 4000);
    assert!(pictures(&test).keys().all(|picture| !rows.contains_key(picture)));
}

/// The distinct pictures of a data set, with their labels.
fn pictures(dataset: &Dataset) -> BTreeMap<Vec<u8>, i64> {
    let pixels = |index: usize| dataset.row(index).iter().map(|&x| (x * 255.0).round() as u8).collect();
    (0..dataset.len()).map(|index| (pixels(index), dataset.labels()[index])).collect()
}

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn full_mnist() -> Option<Mnist> {
    let Some(directory) = std::env::var_os("BACKFLOW_MNIST").map(PathBuf::from) else {
        eprintln!("skipped: BACKFLOW_MNIST names no directory with the four MNIST files");
        return None;
    };
    Some(Mnist::load(directory).expect("BACKFLOW_MNIST names a directory with the four MNIST files"))
}

#[test]
fn full_mnist_is_as_published() {
    let Some(mnist) = full_mnist() else { return };
    let Mnist { train, test } = &mnist;
    assert_eq!((train.len(), test.len(), train.image_shape()), (60_000, 10_000, Some([1, 28, 28])));
    assert_eq!(train.class_counts(), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(test.class_counts(), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    assert_eq!(&train.labels()[..8], [5, 0, 4, 1, 9, 2, 1, 3]);
    // The constants that every PyTorch tutorial normalises MNIST with, to the four digits they are given
    // with.
    let scale = Standardize::fit_global(train);
    assert!((scale.mean()[0] - 0.1307).abs() < 5e-5 && (scale.std()[0] - 0.3081).abs() < 5e-5, "{scale:?}");

    let embedded = Mnist::embedded();
    let (train, test) = (pictures(train), pictures(test));
    for part in [embedded.train, embedded.test] {
        for (picture, label) in pictures(&part) {
            assert_eq!(train.get(&picture), Some(&label), "an embedded digit is not in the training set");
            assert!(!test.contains_key(&picture), "an embedded digit is in the test set");
        }
    }
}
