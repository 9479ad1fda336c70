//! Named attacks on the loader of MNIST. Each must fail with a message that names the file and the matter,
//! and none may make the program allocate more than the files can justify.

mod allocations;

use allocations::with_peak;
use backflow_data::formats::idx::{ElementType, Idx};
use backflow_data::formats::{gzip, unpack_idx};
use backflow_data::{DataError, Mnist};
use flate2::{Compression, write::GzEncoder};
use std::collections::BTreeMap;
use std::io::Write;

/// The law: while `n` bytes are parsed, at most this much memory is held.
fn allowance(n: usize) -> usize {
    4 * n + (1 << 20)
}

type Files = BTreeMap<&'static str, Vec<u8>>;

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

fn idx(shape: &[u32], elements: &[u8]) -> Vec<u8> {
    Idx::new(ElementType::U8, shape, elements).expect("valid").to_bytes()
}

/// A valid set: three training pictures of 2 by 2, two test pictures.
fn valid() -> Files {
    BTreeMap::from([
        (TRAIN_IMAGES, idx(&[3, 2, 2], &[7; 12])),
        (TRAIN_LABELS, idx(&[3], &[0, 5, 9])),
        (TEST_IMAGES, idx(&[2, 2, 2], &[9; 8])),
        (TEST_LABELS, idx(&[2], &[1, 1])),
    ])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// The header of an IDX file of bytes, whatever the sizes.
fn header(sizes: &[u32]) -> Vec<u8> {
    let magic = [0, 0, 8, sizes.len() as u8];
    magic.into_iter().chain(sizes.iter().flat_map(|size| size.to_be_bytes())).collect()
}

#[allow(clippy::disallowed_methods, reason = "a crash of this test may leave half a file in its directory")]
fn load(files: &Files) -> (Result<Mnist, DataError>, usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, bytes) in files {
        std::fs::write(directory.path().join(name), bytes).expect("a writable directory");
    }
    with_peak(|| Mnist::load(directory.path()))
}

/// What the attack is, what it does to the bytes of a valid file, which file, what the message must say.
type Attack = (&'static str, fn(&mut Vec<u8>), &'static str, &'static str);

const ATTACKS: &[Attack] = &[
    ("empty file", |b| b.clear(), TRAIN_IMAGES, "byte 0: the data end here but 4"),
    ("not IDX", |b| *b = b"<html>404".to_vec(), TRAIN_IMAGES, "found 3c 68"),
    ("magic of the other byte order", |b| b[..4].reverse(), TRAIN_IMAGES, "found 03 08"),
    ("unknown element type", |b| b[2] = 0x0a, TRAIN_LABELS, "0a is not an IDX element type"),
    ("wider element type", |b| b[2] = 0x0e, TRAIN_IMAGES, "112 bytes are needed"),
    (
        "signed pixels",
        |b| b[2] = 0x09,
        TRAIN_IMAGES,
        "holds I8 of shape [3, 2, 2], expected images (U8, 3- or 4-dimensional)",
    ),
    (
        "colours of a pixel side by side",
        |b| *b = idx(&[3, 5, 2, 3], &[7; 90]),
        TRAIN_IMAGES,
        "expected images with the axes pictures, channels, rows, columns",
    ),
    (
        "colours that the training set has not",
        |b| *b = idx(&[2, 3, 2, 2], &[9; 24]),
        TEST_IMAGES,
        "holds images of 3 by 2 by 2, expected images of 2 by 2 pixels",
    ),
    ("no axes", |b| b[3] = 0, TRAIN_IMAGES, "0 axes"),
    ("255 axes", |b| b[3] = 255, TRAIN_IMAGES, "255 axes; this reader takes 1 to 4"),
    ("images without width", |b| *b = idx(&[3, 4], &[7; 12]), TRAIN_IMAGES, "[3, 4]"),
    (
        "labels in a column",
        |b| *b = idx(&[3, 1], &[0; 3]),
        TRAIN_LABELS,
        "holds U8 of shape [3, 1], expected labels (U8, 1-dimensional)",
    ),
    (
        "labels in the place of images",
        |b| *b = valid()[TRAIN_LABELS].clone(),
        TRAIN_IMAGES,
        "is it the right file?",
    ),
    ("no images", |b| *b = header(&[0, 2, 2]), TRAIN_IMAGES, "axis 0 has length 0"),
    ("images without rows", |b| *b = header(&[3, 0, 2]), TRAIN_IMAGES, "byte 8: axis 1"),
    (
        "a zero that hides absurd sizes",
        |b| *b = header(&[u32::MAX, u32::MAX, 0]),
        TRAIN_IMAGES,
        "axis 2 has length 0",
    ),
    (
        "terabytes from 16 bytes",
        |b| *b = header(&[60_000, 65_536, 65_536]),
        TRAIN_IMAGES,
        "257698037760016 bytes are needed",
    ),
    (
        "2⁶⁴ bytes, which wrap to 0",
        |b| *b = header(&[1 << 31, 1 << 31, 4]),
        TRAIN_IMAGES,
        "too large for this machine",
    ),
    (
        "3 · 2⁶⁴ + 12 bytes, which wrap to the 12 there are",
        |b| *b = [header(&[769_546, 1_484_310, 48_448_661]), vec![7; 12]].concat(),
        TRAIN_IMAGES,
        "too large for this machine",
    ),
    (
        "sizes at the limit of their type",
        |b| *b = header(&[u32::MAX]),
        TRAIN_LABELS,
        "4294967303 bytes are needed",
    ),
    ("one byte short", |b| b.truncate(27), TRAIN_IMAGES, "byte 27: the data end here"),
    ("one byte over", |b| b.push(0), TRAIN_IMAGES, "byte 28: the array ends here"),
    (
        "a second file behind the first",
        |b| *b = b.repeat(2),
        TRAIN_LABELS,
        "byte 11: the array ends here but the data go on to byte 22",
    ),
    ("more labels than images", |b| *b = idx(&[4], &[0; 4]), TRAIN_LABELS, "4 labels"),
    ("fewer labels than images", |b| *b = idx(&[1], &[0]), TEST_LABELS, "1 labels, but"),
    ("label 10", |b| b[9] = 10, TRAIN_LABELS, "label 1 is 10, expected 0 to 9"),
    ("label 255", |b| b[9] = 255, TEST_LABELS, "label 1 is 255, expected 0 to 9"),
    (
        "test pictures of another size",
        |b| *b = idx(&[2, 1, 4], &[9; 8]),
        TEST_IMAGES,
        "holds images of 1 by 4, expected images of 2 by 2 pixels",
    ),
    (
        "gzip bomb behind a small header",
        |b| *b = gzip(&[header(&[3, 2, 2]), vec![0; 100 << 20]].concat()),
        TRAIN_IMAGES,
        "holds or announces more than 28 bytes",
    ),
    (
        "gzip bomb in the header",
        |b| *b = gzip(&vec![0; 100 << 20]),
        TRAIN_IMAGES,
        "00 is not an IDX element type",
    ),
    (
        "small gzip file that announces a byte more than is taken",
        |b| *b = gzip(&[header(&[1, 1, (1 << 30) - 15]), vec![0; 100]].concat()),
        TRAIN_IMAGES,
        "holds or announces more than 1073741824 bytes",
    ),
    (
        "small gzip file that announces as much as is taken",
        |b| *b = gzip(&[header(&[1, 1, (1 << 30) - 16]), vec![0; 100]].concat()),
        TRAIN_IMAGES,
        "byte 116: the data end here but 1073741824 bytes are needed",
    ),
    ("gzip within gzip", |b| *b = gzip(&gzip(b)), TRAIN_IMAGES, "found 1f 8b"),
    (
        "a file in two gzip members twice",
        |b| *b = gzip(b).repeat(2),
        TRAIN_IMAGES,
        "announces more than 28 bytes",
    ),
    (
        "a file behind which others are",
        |b| *b = [gzip(b), gzip(b"!")].concat(),
        TRAIN_IMAGES,
        "more than 28 bytes",
    ),
    (
        "a second member that is cut",
        |b| *b = [gzip(&b[..20]), gzip(&b[20..])[..15].to_vec()].concat(),
        TRAIN_IMAGES,
        "the file is damaged or cut short",
    ),
    (
        "gzip with garbage behind it",
        |b| *b = [gzip(b), b"!".to_vec()].concat(),
        TRAIN_LABELS,
        "but 1 more bytes follow",
    ),
    ("truncated gzip", |b| *b = gzip(b)[..20].to_vec(), TRAIN_IMAGES, "the file is damaged or cut short"),
    ("gzip header alone", |b| *b = gzip::MAGIC.to_vec(), TRAIN_IMAGES, "the file is damaged or cut short"),
    (
        "gzip with an endless file name",
        |b| {
            *b = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255][..], &vec![b'a'; 1 << 20]].concat();
        },
        TRAIN_IMAGES,
        "the file is damaged or cut short",
    ),
    (
        "wrong checksum",
        |b| {
            *b = gzip(b);
            let crc = b.len() - 8;
            b[crc] ^= 1;
        },
        TRAIN_LABELS,
        "checksum",
    ),
    (
        "wrong length in the trailer",
        |b| {
            *b = gzip(b);
            *b.last_mut().unwrap() ^= 1;
        },
        TRAIN_LABELS,
        "the file is damaged",
    ),
];

#[test]
fn every_attack_is_refused_by_name_and_within_memory() {
    let (intact, _) = load(&valid());
    intact.expect("the set that the attacks start from is valid");
    for (name, attack, file, expected) in ATTACKS {
        let mut files = valid();
        attack(files.get_mut(file).expect("one of the four files"));
        let n = files.values().map(Vec::len).sum();
        let (result, peak) = load(&files);
        let message = result.expect_err(name).to_string();
        assert!(message.contains(file) && message.contains(expected), "{name}: {message}");
        assert!(peak <= allowance(n), "{name}: {n} bytes made the loader hold {peak}");
    }
}

/// Members of any length, none included, are read as what they hold together.
#[test]
fn several_gzip_members_are_one_file() {
    let file = idx(&[2, 9, 9], &(0..162).collect::<Vec<u8>>());
    for cut in 0..=file.len() {
        let (begin, end) = file.split_at(cut);
        let packed = [gzip(begin), gzip(b""), gzip(end)].concat();
        assert_eq!(parse(&packed), Ok(file.clone()), "cut at {cut}");
    }
    let packed: Vec<u8> = file.iter().flat_map(|&byte| gzip(&[byte])).collect();
    assert_eq!(parse(&packed), Ok(file));
}

/// A pipe into which nobody writes is not waited for, and a device has no end.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join(TRAIN_IMAGES);
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is there").success());
    let error = Mnist::load(directory.path()).expect_err("a pipe is no file");
    assert!(matches!(&error, DataError::Io { path, .. } if path.ends_with(TRAIN_IMAGES)), "{error}");
    assert!(error.to_string().ends_with("it is a pipe or a device, not a file"), "{error}");
}

/// The file has no blocks on disk: it only says that it is long.
#[test]
fn a_file_of_a_terabyte_is_refused_unread() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join(TRAIN_IMAGES);
    let file =
        std::fs::OpenOptions::new().write(true).create_new(true).open(path).expect("a writable directory");
    if file.set_len(1 << 40).is_err() {
        return; // a file system without sparse files
    }
    let (result, peak) = with_peak(|| Mnist::load(directory.path()));
    let message = result.expect_err("too long").to_string();
    assert!(message.contains("longer than 1073741824 bytes"), "{message}");
    assert!(peak <= allowance(0), "the loader held {peak} bytes");
}

/// Honest files of growing size, plain and compressed: memory follows the bytes that are really there, also
/// where the compressed file is a thousand times smaller than what it holds.
#[test]
fn memory_follows_the_bytes() {
    for side in [1_u32, 10, 100, 1000, 3000] {
        let file = idx(&[4, side, side], &vec![0; 4 * side as usize * side as usize]);
        let packed = gzip(&file);
        for (what, bytes, n) in [("plain", &file, file.len()), ("gzip", &packed, packed.len() + file.len())] {
            let (len, peak) = with_peak(|| {
                let unpacked = unpack_idx(bytes).expect("valid");
                Idx::parse(&unpacked).expect("valid").as_bytes().len()
            });
            assert_eq!(len, 4 * side as usize * side as usize);
            assert!(peak <= allowance(n), "{what}, {side}: {n} bytes made the parser hold {peak}");
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let unpacked = unpack_idx(bytes).map_err(|error| error.to_string())?;
    Idx::parse(&unpacked).map(|idx| idx.to_bytes()).map_err(|error| error.to_string())
}

#[test]
fn every_truncation_of_a_gzip_file_is_an_error() {
    let file: Vec<u8> = idx(&[2, 9, 9], &(0..162).collect::<Vec<u8>>());
    let packed = gzip(&file);
    assert_eq!(parse(&packed), Ok(file));
    for len in 0..packed.len() {
        assert!(parse(&packed[..len]).is_err(), "the first {len} of {} bytes were accepted", packed.len());
    }
}

/// A flipped bit is found, unless it is one of those that change nothing (such as the time stamp).
#[test]
fn every_bit_flip_in_a_gzip_file_is_found_or_harmless() {
    let file: Vec<u8> = idx(&[2, 9, 9], &(0..162).collect::<Vec<u8>>());
    let packed = gzip(&file);
    let mut found = 0;
    for bit in 0..8 * packed.len() {
        let mut damaged = packed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        match parse(&damaged) {
            Ok(read) => assert_eq!(read, file, "bit {bit} changed the data unnoticed"),
            Err(_) => found += 1,
        }
    }
    // Harmless: the 6 bytes of time stamp, compression level and operating system, and single bits of the
    // flags.
    assert!(found >= 8 * (packed.len() - 7), "{found} of {} flips found", 8 * packed.len());
}
