//! CIFAR-10 and CIFAR-100 from small folders of their form, and what is wrong with damaged ones.

mod allocations;

use allocations::with_peak;
use backflow_data::formats::cifar::{CifarError, Pictures};
use backflow_data::{Cifar, DataError, Loader};
use std::path::Path;

#[allow(clippy::disallowed_methods, reason = "a crash of this test may leave half a file in its directory")]
fn write(directory: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(directory.join(name), bytes).expect("a writable directory");
}

/// The picture of this number: no two rows, columns or channels are alike.
fn picture(number: usize) -> Vec<u8> {
    (0..3072).map(|at| (at / 1024 * 101 + at / 32 % 32 * 7 + at % 32 * 3 + number) as u8).collect()
}

/// Pictures from `first` on with these bytes before each.
fn file(first: usize, labels: &[&[u8]]) -> Vec<u8> {
    labels
        .iter()
        .enumerate()
        .flat_map(|(index, labels)| [labels.to_vec(), picture(first + index)].concat())
        .collect()
}

fn cifar_10() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for batch in 0..5 {
        let labels = [&[batch as u8][..], &[9 - batch as u8]];
        write(directory.path(), &format!("data_batch_{}.bin", batch + 1), &file(2 * batch, &labels));
    }
    write(directory.path(), "test_batch.bin", &file(100, &[&[7]]));
    // As in the original, an empty line is the last.
    let names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    write(directory.path(), "batches.meta.txt", names.as_bytes());
    directory
}

fn cifar_100() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write(directory.path(), "train.bin", &file(0, &[&[19, 99], &[0, 0], &[4, 72]]));
    write(directory.path(), "test.bin", &file(50, &[&[1, 54]]));
    let names: String = (0..100).map(|class| format!("class {class}\r\n")).collect();
    write(directory.path(), "fine_label_names.txt", names.as_bytes());
    directory
}

#[test]
fn pictures_come_in_order_with_the_label_that_counts() {
    let (ten, hundred) = (cifar_10(), cifar_100());
    let ten = Cifar::load(ten.path()).expect("a valid set");
    assert_eq!(ten.train.labels(), [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]);
    assert_eq!((ten.test.labels(), ten.train.classes(), ten.test.classes()), (&[7][..], 10, 10));
    assert_eq!((ten.class_names.len(), &*ten.class_names[3], &*ten.class_names[9]), (10, "cat", "truck"));
    let hundred = Cifar::load(hundred.path()).expect("a valid set");
    assert_eq!((hundred.train.labels(), hundred.test.labels()), (&[99, 0, 72][..], &[54][..]));
    assert_eq!((hundred.train.classes(), &*hundred.class_names[99]), (100, "class 99"));
    let sets = [(&ten.train, 0), (&ten.test, 100), (&hundred.train, 0), (&hundred.test, 50)];
    for (set, first) in sets {
        for index in 0..set.len() {
            let expected: Vec<f32> =
                picture(first + index).iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
            assert_eq!(set.row(index), expected, "picture {index} of those from {first}");
        }
        assert_eq!(set.image_shape(), Some([3, 32, 32]));
        assert_eq!(set.input_shape(), [3072]);
    }
    // Channel, row, column: where the file has them.
    let batch = Loader::new(&ten.train.as_images(), 4).batch(0, 1);
    assert_eq!(batch.inputs.shape(), [4, 3, 32, 32]);
    let blue = batch.inputs.select(0, 2).select(0, 2).select(0, 30).select(0, 5).item();
    assert_eq!(blue, f64::from(f32::from(picture(6)[2 * 1024 + 30 * 32 + 5]) / 255.0));
}

#[test]
fn a_folder_is_known_by_its_training_files() {
    let (ten, hundred, none) = (cifar_10(), cifar_100(), tempfile::tempdir().expect("a temporary directory"));
    assert!(Cifar::is_in(ten.path()) && Cifar::is_in(hundred.path()) && !Cifar::is_in(none.path()));
    let error = Cifar::load(none.path()).expect_err("there is nothing").to_string();
    assert!(
        error.contains("no file with the training images; looked for data_batch_1.bin, train.bin"),
        "{error}"
    );
    let names =
        ["data_batch_1.bin", "data_batch_2.bin", "data_batch_5.bin", "test_batch.bin", "batches.meta.txt"];
    for (set, names) in
        [(cifar_10 as fn() -> _, &names[..]), (cifar_100, &["test.bin", "fine_label_names.txt"])]
    {
        for name in names {
            let directory = set();
            std::fs::remove_file(directory.path().join(name)).expect("it was there");
            let error = Cifar::load(directory.path()).expect_err("a file is missing");
            assert!(
                matches!(&error, DataError::Missing { names, .. } if names[..] == [*name]),
                "{name}: {error}"
            );
        }
    }
}

/// Which file, what is written there, and what is said of it.
type Damage = (&'static str, fn(Vec<u8>) -> Vec<u8>, &'static str);

const DAMAGES: &[Damage] = &[
    ("data_batch_3.bin", |_| Vec::new(), "byte 0: the data end here but 3073 bytes are needed"),
    ("data_batch_3.bin", |bytes| bytes[..6145].to_vec(), "byte 6145: the data end here but 6146 bytes"),
    ("data_batch_3.bin", |bytes| [&bytes[..], &[0]].concat(), "byte 6147: the data end here but 9219 bytes"),
    ("data_batch_5.bin", |bytes| bytes[1..].to_vec(), "the file is cut short, fetch it again"),
    ("data_batch_1.bin", |_| b"<html>404".to_vec(), "it is not CIFAR's binary version"),
    ("test_batch.bin", |_| file(0, &[&[0], &[10]]), "byte 3073: picture 1 has the label 10, expected 0 to 9"),
    ("test_batch.bin", |_| file(0, &[&[0, 0]]), "byte 3074: the data end here but 6146 bytes are needed"),
    ("batches.meta.txt", |_| b"cat\ndog\n".to_vec(), "holds 2, expected the names of 10 classes"),
    ("batches.meta.txt", |_| b"a\n".repeat(1 << 20), "holds more, expected the names of 10 classes"),
    ("train.bin", |_| file(0, &[&[20, 0]]), "byte 0: picture 0 has the label 20, expected 0 to 19"),
    ("train.bin", |_| file(0, &[&[0, 100]]), "byte 1: picture 0 has the label 100, expected 0 to 99"),
];

#[test]
fn damage_is_named_with_its_file_and_its_byte() {
    for (name, damage, expected) in DAMAGES {
        let directory = if name.contains("batch") { cifar_10() } else { cifar_100() };
        let intact = std::fs::read(directory.path().join(name)).expect("it is there");
        write(directory.path(), name, &damage(intact));
        let error = Cifar::load(directory.path()).expect_err(expected).to_string();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
}

#[test]
fn every_truncation_is_an_error_or_whole_pictures() {
    for (labels, classes) in [([&[3_u8][..], &[9]], &[10_u8][..]), ([&[19, 3], &[0, 99]], &[20, 100])] {
        let (file, record) = (file(0, &labels), classes.len() + 3072);
        for len in 0..=file.len() {
            let parsed = Pictures::parse(&file[..len], classes);
            match parsed.map(|pictures| pictures.iter().len()) {
                Ok(pictures) => assert_eq!((pictures * record, len % record), (len, 0)),
                Err(CifarError::Truncated { expected, found, .. }) => {
                    assert_eq!((found, expected), (len, (len / record + 1) * record));
                }
                Err(other) => panic!("{len}: {other}"),
            }
        }
    }
}

/// Bytes stay bytes: at most the files once as they are and once as pictures, with room to grow.
#[test]
fn memory_follows_the_files() {
    let directory = cifar_10();
    let labels: Vec<&[u8]> = vec![&[1]; 400];
    let mut held = 0;
    for batch in 1..=5 {
        let bytes = file(0, &labels);
        held += bytes.len();
        write(directory.path(), &format!("data_batch_{batch}.bin"), &bytes);
    }
    let (loaded, peak) = with_peak(|| Cifar::load(directory.path()));
    assert_eq!(loaded.expect("a valid set").train.len(), 2000);
    assert!(peak <= 3 * held, "{held} bytes made the loader hold {peak}");
}
