//! Laws of pictures and folders of them: pixels are those that Pillow sees, classes those of the folders, and what is no
//! picture is told with its name.

mod allocations;

use allocations::with_peak;
use backflow_data::formats::npz::Npz;
use backflow_data::formats::numbers::Numbers;
use backflow_data::formats::picture::{Picture, PictureError, is_picture};
use backflow_data::{DataError, Dataset, Loader, PictureOptions, Pictures};
use backflow_testkit::require_message;
use std::path::{Path, PathBuf};

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(files().join(name)).expect("a file of the tests")
}

const NAMES: [&str; 10] = [
    "bits.png",
    "colours.jpg",
    "colours.png",
    "grey.jpg",
    "grey.png",
    "opaque-grey.png",
    "opaque.png",
    "palette.png",
    "progressive.jpg",
    "subsampled.jpg",
];

/// The largest difference of a pixel, and all differences added.
fn difference(a: &[u8], b: &[u8]) -> (u8, u64) {
    assert_eq!(a.len(), b.len());
    let each = || a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    (each().max().unwrap_or(0), each().map(u64::from).sum())
}

/// PNGs to the bit. Decoders of JPEG differ by a rounding of the transform, and where colours are sampled by fours, by how they
/// are spread again. Resized pictures differ by where a sum is rounded.
#[test]
fn pixels_are_those_that_pillow_sees() {
    let seen = bytes("pictures.npz");
    let seen = Npz::parse(&seen).expect("valid");
    for name in NAMES {
        let picture = Picture::decode(&bytes(&format!("pictures/{name}"))).expect(name);
        assert!(is_picture(&bytes(&format!("pictures/{name}"))));
        for (kind, size) in [("", [12, 17]), (" small", [6, 8]), (" large", [30, 23])] {
            let expected = seen.array(&format!("{name}{kind}")).expect("it is there").expect("valid");
            let Numbers::U8(pixels) = expected.numbers else { panic!("no bytes") };
            let found = picture.clone().resized(size[0], size[1]);
            assert_eq!([found.rows, found.columns], size);
            assert_eq!([&size[..], &[found.channels]].concat()[..expected.shape.len()], expected.shape);
            let is_jpeg = name.ends_with("jpg");
            let most = match (is_jpeg, kind) {
                (false, "") => 0,
                (false, _) => 1,
                (true, _) if name == "subsampled.jpg" => 16,
                (true, _) => 3,
            };
            let (largest, sum) = difference(&found.pixels, &pixels);
            let mean = sum as f64 / pixels.len() as f64;
            assert!(
                largest <= most && mean <= 2.0,
                "{name}{kind}: differs by up to {largest}, {mean} on average"
            );
        }
    }
}

#[test]
fn what_are_no_pictures_to_learn_from_is_told() {
    let refused = |name: &str| Picture::decode(&bytes(&format!("pictures-refused/{name}"))).expect_err(name);
    assert!(matches!(refused("transparent.png"), PictureError::Transparent));
    assert!(matches!(refused("deep.png"), PictureError::Depth));
    assert!(matches!(refused("other.gif"), PictureError::Unknown));
}

/// A PNG says with a checksum what is in it: what is read is what was there, or nothing. A JPEG without its end is refused; what
/// damage else does to it nobody can see.
#[test]
fn damage_is_found_or_gives_a_picture() {
    for name in NAMES {
        let original = bytes(&format!("pictures/{name}"));
        let whole = Picture::decode(&original).expect(name);
        let judge = |bytes: &[u8]| {
            let (outcome, peak) = with_peak(|| Picture::decode(bytes));
            assert!(
                peak <= 8 * 1400 * bytes.len() + (1 << 20),
                "{name}: {} bytes made it hold {peak}",
                bytes.len()
            );
            match outcome {
                Ok(picture) => {
                    assert_eq!(
                        picture.pixels.len(),
                        picture.rows * picture.columns * picture.channels,
                        "{name}"
                    );
                    Some(picture)
                }
                Err(error) => {
                    require_message(&error.to_string());
                    None
                }
            }
        };
        let is_png = name.ends_with("png");
        for len in 0..original.len() {
            let read = judge(&original[..len]);
            // The last chunk of a PNG says that it is over; its pixels are before that.
            let is_over = is_png && len >= original.len() - 12;
            assert!(
                read.is_none() || is_over && read == Some(whole.clone()),
                "{name}: the first {len} bytes"
            );
        }
        for at in 0..original.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = original.clone();
                bytes[at] ^= flip;
                let read = judge(&bytes);
                assert!(!is_png || read.is_none_or(|read| read == whole), "{name}: byte {at} ^ {flip:02x}");
            }
        }
    }
}

/// A header that claims 60,000 by 60,000 pixels of colours, with its checksum.
#[test]
fn claims_are_not_believed() {
    let mut png = bytes("pictures/colours.png");
    png[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let mut crc = flate2::Crc::new();
    crc.update(&png[12..29]);
    png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let (outcome, peak) = with_peak(|| Picture::decode(&png));
    let error = outcome.expect_err("it claims too much").to_string();
    assert!(error.contains("60000 by 60000 pixels") || error.contains("damaged"), "{error}");
    assert!(peak < 4 << 20, "{peak} bytes were held");
}

#[allow(clippy::disallowed_methods, reason = "a crash of this test may leave half a file in its directory")]
fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a writable directory");
    std::fs::write(path, bytes).expect("a writable directory");
}

/// A folder with these files, each one of the pictures.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (path, picture) in files {
        write(&directory.path().join(path), &bytes(picture));
    }
    directory
}

fn load(folder: &tempfile::TempDir) -> Result<Pictures, DataError> {
    Pictures::load(folder, &PictureOptions::default())
}

/// The pixels of an example as bytes.
fn pixels(data: &Dataset, index: usize) -> Vec<u8> {
    let inputs = Loader::new(&data.subset(&[index]), 1).batch(0, 0).inputs.to_vec::<f32>();
    inputs.into_iter().map(|x| (x * 255.0).round() as u8).collect()
}

#[test]
fn folders_are_classes_and_files_examples() {
    let one = folder(&[
        ("dog/b.png", "pictures/colours.png"),
        ("dog/a.png", "pictures/grey.png"),
        ("cat/z.png", "pictures/palette.png"),
        ("cat/.hidden", "table.csv"),
        ("cat/Thumbs.db", "table.csv"),
        (".git/a.png", "pictures/grey.png"),
        ("notes.txt", "table.csv"),
    ]);
    assert!(Pictures::is_in(&one));
    let Pictures { train, test } = load(&one).expect("valid");
    assert!(test.is_none());
    assert_eq!(train.class_names(), Some(&["cat", "dog"].map(str::to_owned)[..]));
    assert_eq!((train.labels(), train.image_shape()), (&[0, 1, 1][..], Some([3, 12, 17])));
    // Planes of colours; grey in all three of them.
    for (index, name) in ["palette.png", "grey.png", "colours.png"].into_iter().enumerate() {
        let picture = Picture::decode(&bytes(&format!("pictures/{name}"))).expect(name);
        let channel = |channel: usize| picture.pixels.iter().skip(channel).step_by(picture.channels).copied();
        let planes: Vec<u8> = (0..3).flat_map(|plane| channel(plane % picture.channels)).collect();
        assert_eq!(pixels(&train, index), planes, "{name}");
    }
    let grey = folder(&[("0/a.jpg", "pictures/grey.jpg"), ("1/a.png", "pictures/opaque-grey.png")]);
    let train = load(&grey).expect("valid").train;
    assert_eq!((train.image_shape(), train.features()), (Some([1, 12, 17]), 204));
}

#[test]
fn training_and_test_set_lie_apart_or_not() {
    let both = folder(&[
        ("train/cat/a.png", "pictures/grey.png"),
        ("train/dog/a.png", "pictures/grey.png"),
        ("test/dog/a.png", "pictures/colours.png"),
    ]);
    let Pictures { train, test } = load(&both).expect("valid");
    let test = test.expect("a test set");
    assert_eq!((train.labels(), test.labels()), (&[0, 1][..], &[1][..]));
    // One picture with colours anywhere gives colours to all.
    assert_eq!([train.image_shape(), test.image_shape()], [Some([3, 12, 17]); 2]);
    assert_eq!(test.class_names(), train.class_names());
    // Where others stand beside them these names are classes.
    let classes = folder(&[("train/a.png", "pictures/grey.png"), ("boat/a.png", "pictures/grey.png")]);
    assert_eq!(load(&classes).expect("valid").train.classes(), 2);
    let only = folder(&[("train/cat/a.png", "pictures/grey.png")]);
    assert!(Pictures::is_in(&only) && load(&only).expect("valid").test.is_none());
}

#[test]
fn pictures_get_one_size_if_it_is_asked_for() {
    let one = folder(&[("cat/a.png", "pictures/grey.png"), ("cat/b.png", "pictures/colours.png")]);
    let options = PictureOptions { resize: Some([6, 8]) };
    let train = Pictures::load(&one, &options).expect("valid").train;
    assert_eq!(train.image_shape(), Some([3, 6, 8]));
    let small = Picture::decode(&bytes("pictures/grey.png")).expect("valid").resized(6, 8);
    assert_eq!(pixels(&train, 0)[..48], small.pixels);
}

#[test]
fn what_is_wrong_with_a_folder_is_told_with_its_name() {
    let grey = "pictures/grey.png";
    for (files, told) in [
        (vec![], "no pictures; put those of each class, PNG or JPEG, into a folder of its own below"),
        (vec![("a.png", grey)], "no pictures"),
        (vec![("cat/a.png", grey), ("dog/.hidden", grey)], "dog: no pictures"),
        (
            vec![("cat/a.png", grey), ("cat/b.gif", "pictures-refused/other.gif")],
            "b.gif: neither a PNG nor a JPEG file",
        ),
        (vec![("cat/a.png", "pictures-refused/transparent.png")], "a.png: some pixels are transparent"),
        (vec![("cat/a.png", "pictures-refused/deep.png")], "a.png: 16 bits per channel"),
        (
            vec![("train/cat/a.png", grey), ("test/cow/a.png", grey)],
            "cow: a class that the training set has not",
        ),
        (vec![("train/cat/a.png", grey), ("test/cat/.hidden", grey)], "test: no pictures"),
    ] {
        let error = load(&folder(&files)).expect_err(told).to_string();
        assert!(error.contains(told), "{error}");
    }
    let damaged = folder(&[("cat/a.png", grey)]);
    write(&damaged.path().join("cat/b.png"), &bytes(grey)[..60]);
    assert!(load(&damaged).expect_err("cut short").to_string().contains("b.png: "));
    let error =
        Pictures::load("nowhere", &PictureOptions::default()).expect_err("no such folder").to_string();
    assert!(error.starts_with("nowhere: cannot be read"), "{error}");
}

#[test]
fn pictures_of_two_sizes_are_told() {
    let two = folder(&[("cat/a.png", "pictures/grey.png")]);
    let larger = image::GrayImage::new(5, 4);
    let mut png = std::io::Cursor::new(Vec::new());
    larger.write_to(&mut png, image::ImageFormat::Png).expect("in memory");
    write(&two.path().join("cat/b.png"), &png.into_inner());
    let error = load(&two).expect_err("two sizes").to_string();
    assert!(
        error.contains("b.png: 5 by 4 pixels, but ") && error.contains("a.png has 17 by 12; resize"),
        "{error}"
    );
}
