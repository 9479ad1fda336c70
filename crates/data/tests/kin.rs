//! Data sets that are distributed as MNIST is, and not quite so.

use backflow_data::formats::idx::{ElementType, Idx};
use backflow_data::{DataError, Mnist};
use std::path::Path;

#[allow(clippy::disallowed_methods, reason = "a crash of this test may leave half a file in its directory")]
fn write(path: &Path, element_type: ElementType, shape: &[u32], bytes: &[u8]) {
    let idx = Idx::new(element_type, shape, bytes).expect("valid").to_bytes();
    std::fs::write(path, idx).expect("a writable directory");
}

/// Pictures of one pixel with these labels, under names with this before them.
fn set(directory: &Path, prefix: &str, test: &str, train_labels: &[u8], test_labels: &[u8]) {
    for (half, labels) in [("train", train_labels), (test, test_labels)] {
        let path = |what: &str| directory.join(format!("{prefix}{half}-{what}-ubyte"));
        let n = labels.len() as u32;
        write(&path("images-idx3"), ElementType::U8, &[n, 1, 1], &vec![7; labels.len()]);
        write(&path("labels-idx1"), ElementType::U8, &[n], labels);
    }
}

/// Colours have an axis between pictures and rows, and files a name that says so.
#[test]
fn pictures_may_have_channels() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (half, n) in [("train", 3_u32), ("t10k", 2)] {
        let bytes: Vec<u8> = (0..n as u8 * 12).collect();
        let path = |what: &str| directory.path().join(format!("colours-{half}-{what}-ubyte"));
        write(&path("images-idx4"), ElementType::U8, &[n, 3, 2, 2], &bytes);
        write(&path("labels-idx1"), ElementType::U8, &[n], &vec![1; n as usize]);
    }
    let colours = Mnist::load(directory.path()).expect("a valid set");
    for set in [&colours.train, &colours.test] {
        assert_eq!((set.image_shape(), set.features()), (Some([3, 2, 2]), 12));
        assert_eq!(set.row(1), (12..24).map(|pixel| pixel as f32 / 255.0).collect::<Vec<_>>());
    }
}

#[test]
fn letters_are_the_classes_1_to_26() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let letters: Vec<u8> = (1..=26).rev().chain(1..=26).collect();
    set(directory.path(), "emnist-letters-", "test", &letters, &[26, 1]);
    let letters = Mnist::load(directory.path()).expect("a valid set");
    assert_eq!((letters.train.classes(), letters.test.classes()), (27, 27));
    assert_eq!((letters.test.labels(), letters.train.class_counts()[0]), (&[26, 1][..], 0));
    // Digits have ten classes, whichever occur; what stands alone above the others is damage.
    set(directory.path(), "", "t10k", &[3], &[9]);
    assert_eq!(Mnist::load(directory.path()).expect("a valid set").train.classes(), 10);
    for (train, test, label) in [(&[3, 10][..], &[9][..], 10), (&[0, 1], &[10], 10), (&[255], &[0], 255)] {
        set(directory.path(), "", "t10k", train, test);
        let error = Mnist::load(directory.path()).expect_err("no such class");
        assert!(
            matches!(error, DataError::Label { value, classes: 10, .. } if value == label),
            "{train:?}, {test:?}: {error}"
        );
    }
    // One example of an eleventh class is damage.
    let eleven: Vec<u8> = (0..10).chain(0..=10).collect();
    set(directory.path(), "", "t10k", &eleven, &[0]);
    assert!(Mnist::load(directory.path()).is_err());
    let all: Vec<u8> = (0..=255).chain(0..=255).collect();
    set(directory.path(), "", "t10k", &all, &[255]);
    assert_eq!(Mnist::load(directory.path()).expect("a valid set").test.classes(), 256);
}

#[test]
fn qmnist_has_the_class_among_other_numbers() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    set(directory.path(), "qmnist-", "test", &[0; 3], &[0; 2]);
    let rows = |classes: &[i32]| -> Vec<u8> {
        classes
            .iter()
            .flat_map(|&class| [class, 4, 100, -1, 7, 0, 60_000, 3])
            .flat_map(i32::to_be_bytes)
            .collect()
    };
    let wide = |half: &str, classes: &[i32]| {
        let _ = std::fs::remove_file(directory.path().join(format!("qmnist-{half}-labels-idx1-ubyte")));
        let path = directory.path().join(format!("qmnist-{half}-labels-idx2-int"));
        write(&path, ElementType::I32, &[classes.len() as u32, 8], &rows(classes));
    };
    wide("train", &[5, 0, 9]);
    wide("test", &[1, 2]);
    let digits = Mnist::load(directory.path()).expect("a valid set");
    assert_eq!((digits.train.labels(), digits.test.labels()), (&[5, 0, 9][..], &[1, 2][..]));
    assert_eq!(digits.train.classes(), 10);
    for class in [-1, 10, i32::MAX, i32::MIN] {
        wide("test", &[1, class]);
        let message = Mnist::load(directory.path()).expect_err("no such class").to_string();
        assert!(message.contains(&format!("label 1 is {class}, expected 0 to 9")), "{message}");
    }
}

#[test]
fn folders_are_passed_over_and_two_sets_in_one_are_told() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for folder in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz", "a-train-images-idx3-ubyte"] {
        std::fs::create_dir(directory.path().join(folder)).expect("a writable directory");
    }
    let error = Mnist::load(directory.path()).expect_err("there are only folders");
    assert!(matches!(error, DataError::Missing { what: "training images", .. }), "{error}");
    set(directory.path(), "first-", "test", &[1], &[2]);
    assert_eq!(Mnist::load(directory.path()).expect("a valid set").train.labels(), [1]);
    set(directory.path(), "second-", "test", &[3], &[4]);
    let message = Mnist::load(directory.path()).expect_err("which of them?").to_string();
    assert!(
        message.ends_with(
            "several files with the training images: first-train-images-idx3-ubyte, second-train-images-idx3-ubyte; \
             give each data set a folder of its own"
        ),
        "{message}"
    );
    // Of one set, whatever else is there, packed or in the way of other systems; halves of two sets are none.
    let one = tempfile::tempdir().expect("a temporary directory");
    set(one.path(), "only-", "test", &[1], &[2]);
    for name in
        ["only-train-images-idx3-ubyte.gz", "._only-train-images-idx3-ubyte", "._x-train-images-idx3-ubyte"]
    {
        std::fs::copy(one.path().join("only-train-images-idx3-ubyte"), one.path().join(name)).expect("room");
    }
    assert_eq!(Mnist::load(one.path()).expect("a valid set").train.labels(), [1]);
    for file in ["only-train-images-idx3-ubyte", "only-train-images-idx3-ubyte.gz"] {
        std::fs::remove_file(one.path().join(file)).expect("it was there");
    }
    set(one.path(), "other-", "test", &[3], &[4]);
    std::fs::remove_file(one.path().join("other-train-labels-idx1-ubyte")).expect("it was there");
    let error = Mnist::load(one.path()).expect_err("the labels are those of another set");
    assert!(matches!(error, DataError::Missing { what: "training labels", .. }), "{error}");
    // Without a prefix there is no question.
    let plain = tempfile::tempdir().expect("a temporary directory");
    set(plain.path(), "", "t10k", &[5], &[6]);
    set(plain.path(), "other-", "test", &[1], &[2]);
    assert_eq!(Mnist::load(plain.path()).expect("a valid set").train.labels(), [5]);
}
