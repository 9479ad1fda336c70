//! Whatever bytes a data file holds, the readers answer with a data set or an error that says why, and hold no more memory
//! than the bytes are worth. `backflow_testkit::fuzz` says how a long run is made.

mod allocations;
mod formats;

use allocations::with_peak;
use backflow_data::formats::cifar::Pictures;
use backflow_data::formats::idx::{ElementType, Idx, declared_len};
use backflow_data::formats::{gzip, unpack_idx};
use backflow_data::{Augment, AugmentError, Cifar, Dataset, Mnist};
use backflow_testkit::{Seed, fuzz};
use flate2::read::MultiGzDecoder;
use flate2::{Compression, write::GzEncoder};
use std::io::{Read, Write};
use std::path::Path;

/// The most memory that may be held for so many bytes, besides that of a decompressor.
const BESIDES: usize = 1 << 17;

fn idx(element_type: ElementType, shape: &[u32], elements: &[u8]) -> Vec<u8> {
    Idx::new(element_type, shape, elements).expect("valid").to_bytes()
}

/// A header of bytes, whatever the sizes, and what is behind it.
fn header(sizes: &[u32], elements: &[u8]) -> Vec<u8> {
    let magic = [0, 0, 8, sizes.len() as u8];
    let sizes = sizes.iter().flat_map(|size| size.to_be_bytes());
    magic.into_iter().chain(sizes).chain(elements.iter().copied()).collect()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// Arrays of every type and rank, and what headers claim that is not so.
fn arrays() -> Vec<Seed> {
    let pictures = idx(ElementType::U8, &[3, 2, 2], &[0, 7, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    vec![
        Seed::taken("pictures", pictures.clone()),
        Seed::taken("colours", idx(ElementType::U8, &[1, 2, 2, 3], &[9; 12])),
        Seed::taken("signed bytes", idx(ElementType::I8, &[4], &[0x80, 0xff, 0, 1])),
        Seed::taken("16-bit integers", idx(ElementType::I16, &[2], &[0x80, 0, 0, 1])),
        Seed::taken("QMNIST's wide labels", idx(ElementType::I32, &[2, 8], &[0; 64])),
        Seed::taken("floats", idx(ElementType::F32, &[1, 1], &f32::NAN.to_be_bytes())),
        Seed::taken("doubles", idx(ElementType::F64, &[1], &f64::MIN_POSITIVE.to_be_bytes())),
        Seed::taken("packed", packed(&pictures)),
        Seed::taken("packed in three members", [&pictures[..2], &[], &pictures[2..]].map(packed).concat()),
        Seed::refused("empty", []),
        Seed::refused(
            "a member and a half",
            [packed(&pictures[..9]), packed(&pictures[9..])[..9].to_vec()].concat(),
        ),
        Seed::refused("2⁶⁴ bytes, which wrap to 0", header(&[1 << 31, 1 << 31, 4], &[])),
        Seed::refused(
            "3 · 2⁶⁴ + 12 bytes, which wrap to the 12 there are",
            header(&[769_546, 1_484_310, 48_448_661], &[7; 12]),
        ),
        Seed::refused("a zero that hides absurd sizes", header(&[u32::MAX, u32::MAX, 0], &[])),
        Seed::refused("255 axes", header(&[1; 255], &[7])),
        Seed::refused("a gibibyte from a packed header", packed(&header(&[1 << 30], &[]))),
        Seed::refused("a bomb", packed(&header(&[3, 2, 2], &vec![0; 1 << 16]))),
        Seed::refused("a bomb that says how large it is", packed(&header(&[1 << 20, 1], &vec![0; 1 << 16]))),
        Seed::refused("packed twice", packed(&packed(&pictures))),
    ]
}

/// What the bytes stand for at most: themselves, or of compressed ones what there is up to the end that is announced.
fn worth(bytes: &[u8]) -> usize {
    if !gzip::is_gzip(bytes) {
        return bytes.len();
    }
    let inflated = |len: usize| {
        let mut output = Vec::new();
        let _ = MultiGzDecoder::new(bytes).take(len as u64).read_to_end(&mut output);
        output
    };
    let announced = declared_len(&inflated(64)).unwrap_or(64).min(gzip::MAX_OUTPUT_LEN);
    bytes.len() + inflated(announced + 1).len()
}

#[test]
fn arrays_are_read_to_the_last_byte_or_refused() {
    fuzz("idx", &arrays(), 4000, |bytes| {
        let most = 4 * worth(bytes) + BESIDES;
        let (read, peak) = with_peak(|| -> Result<_, String> {
            let unpacked = unpack_idx(bytes).map_err(|error| error.to_string())?;
            let idx = Idx::parse(&unpacked).map_err(|error| error.to_string())?;
            Ok((idx.to_bytes(), idx.to_f64().len(), idx.shape().to_vec()))
        });
        assert!(peak <= most, "{} bytes made the parser hold {peak}", bytes.len());
        let (written, numbers, shape) = read?;
        let mut original = bytes.to_vec();
        if gzip::is_gzip(bytes) {
            original.clear();
            MultiGzDecoder::new(bytes).read_to_end(&mut original).expect("another decompressor takes it");
        }
        assert_eq!(written, original);
        assert_eq!(numbers as u64, shape.iter().map(|&size| u64::from(size)).product::<u64>());
        Ok(())
    });
}

/// Whatever is in it, and however little may come out.
#[test]
fn no_more_is_decompressed_than_was_asked_for() {
    let text = b"a text that is repeated, ".repeat(40);
    let seeds = [
        Seed::taken("one member", packed(&text)),
        Seed::taken(
            "as many members as bytes",
            text[..20].iter().flat_map(|&byte| packed(&[byte])).collect::<Vec<u8>>(),
        ),
        Seed::taken("nothing, packed", packed(&[])),
        Seed::refused("a bomb", packed(&vec![0; 1 << 20])),
        Seed::refused("not packed", *b"text"),
        Seed::refused(
            "a name without end",
            [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255][..], &[b'a'; 4000]].concat(),
        ),
    ];
    const LIMIT: usize = 1000;
    fuzz("gzip", &seeds, 4000, |bytes| {
        let (output, peak) = with_peak(|| gzip::decompress(bytes, LIMIT));
        assert!(peak <= 4 * (bytes.len() + LIMIT) + BESIDES, "{} bytes made it hold {peak}", bytes.len());
        let output = output.map_err(|error| error.to_string())?;
        assert!(output.len() <= LIMIT);
        let mut expected = Vec::new();
        MultiGzDecoder::new(bytes).read_to_end(&mut expected).expect("another decompressor takes it");
        assert_eq!(output, expected);
        Ok(())
    });
}

/// How many training examples the sets have: two letters of each kind.
const EXAMPLES: u32 = 52;

fn digit_labels() -> Vec<u8> {
    idx(ElementType::U8, &[EXAMPLES], &(0..EXAMPLES).map(|example| (example % 10) as u8).collect::<Vec<u8>>())
}

fn pictures() -> Vec<u8> {
    idx(ElementType::U8, &[EXAMPLES, 1, 2], &vec![7; 2 * EXAMPLES as usize])
}

#[allow(clippy::disallowed_methods, reason = "a crash of this test may leave half a file in its directory")]
fn write(directory: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(directory.join(name), bytes).expect("a writable directory");
}

/// A set of which one file is what comes.
fn load_with(directory: &Path, name: &str, bytes: &[u8]) -> Result<Mnist, String> {
    write(directory, name, bytes);
    let (loaded, peak) = with_peak(|| Mnist::load(directory));
    // A label of a byte becomes an integer of eight, twice.
    let most = 32 * (worth(bytes) + 8 * EXAMPLES as usize) + BESIDES;
    assert!(peak <= most, "{} bytes made the loader hold {peak}", bytes.len());
    let mnist = loaded.map_err(|error| error.to_string())?;
    let is_sound =
        |set: &Dataset| set.labels().iter().all(|&label| (0..set.classes() as i64).contains(&label));
    assert!(is_sound(&mnist.train) && is_sound(&mnist.test) && mnist.train.classes() >= Mnist::CLASSES);
    assert_eq!(mnist.train.len(), EXAMPLES as usize);
    let image = mnist.train.image_shape().expect("pictures");
    assert_eq!(mnist.train.features(), image.iter().product::<usize>());
    assert_eq!(mnist.test.image_shape(), Some(image));
    Ok(mnist)
}

const IMAGES: &str = "train-images-idx3-ubyte";
const LABELS: &str = "train-labels-idx1-ubyte";

fn set() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write(directory.path(), IMAGES, &pictures());
    write(directory.path(), LABELS, &digit_labels());
    write(directory.path(), "t10k-images-idx3-ubyte", &idx(ElementType::U8, &[2, 1, 2], &[9; 4]));
    write(directory.path(), "t10k-labels-idx1-ubyte", &idx(ElementType::U8, &[2], &[1, 1]));
    directory
}

#[test]
fn labels_are_classes_or_refused() {
    let letters: Vec<u8> = (0..EXAMPLES).map(|example| 1 + (example % 26) as u8).collect();
    let wide: Vec<u8> = (0..EXAMPLES)
        .flat_map(|example| [example % 10, 7, 7, 7, 7, 7, 7, 7])
        .flat_map(u32::to_be_bytes)
        .collect();
    let mut negative = wide.clone();
    negative[..4].copy_from_slice(&(-1_i32).to_be_bytes());
    let mut lonely = letters.clone();
    lonely[0] = 200;
    let rows = [EXAMPLES, 8];
    let seeds = [
        Seed::taken("digits", digit_labels()),
        Seed::taken(
            "digits, packed in two members",
            [&digit_labels()[..20], &digit_labels()[20..]].map(packed).concat(),
        ),
        Seed::taken("EMNIST's letters, 1 to 26", idx(ElementType::U8, &[EXAMPLES], &letters)),
        Seed::taken("QMNIST's wide labels", idx(ElementType::I32, &rows, &wide)),
        Seed::refused("a wide label below 0", idx(ElementType::I32, &rows, &negative)),
        Seed::refused("a class with one example", idx(ElementType::U8, &[EXAMPLES], &lonely)),
        Seed::refused(
            "one label too many",
            idx(ElementType::U8, &[EXAMPLES + 1], &[0; EXAMPLES as usize + 1]),
        ),
        Seed::refused(
            "wide labels of nine columns",
            idx(ElementType::I32, &[EXAMPLES, 9], &vec![0; 36 * EXAMPLES as usize]),
        ),
    ];
    let directory = set();
    fuzz("labels", &seeds, 1500, |bytes| load_with(directory.path(), LABELS, bytes).map(drop));
}

#[test]
fn pictures_are_of_one_size_or_refused() {
    let seeds = [
        Seed::taken("pictures", pictures()),
        Seed::taken("pictures, packed", packed(&pictures())),
        Seed::refused(
            "with colours, unlike those of the test",
            idx(ElementType::U8, &[EXAMPLES, 3, 1, 2], &vec![7; 6 * EXAMPLES as usize]),
        ),
        Seed::taken(
            "with an axis of channels",
            idx(ElementType::U8, &[EXAMPLES, 1, 1, 2], &vec![7; 2 * EXAMPLES as usize]),
        ),
        Seed::refused(
            "of another size than those of the test",
            idx(ElementType::U8, &[EXAMPLES, 2, 1], &vec![7; 2 * EXAMPLES as usize]),
        ),
        Seed::refused("of no size", header(&[EXAMPLES, 0, 2], &[])),
        Seed::refused("terabytes of them", header(&[EXAMPLES, 65_536, 65_536], &[7; 100])),
    ];
    let directory = set();
    fuzz("pictures", &seeds, 1500, |bytes| load_with(directory.path(), IMAGES, bytes).map(drop));
}

/// Two pictures with these labels before each.
fn photographs(labels: [&[u8]; 2]) -> Vec<u8> {
    labels.into_iter().flat_map(|labels| [labels, &[7; 3072]].concat()).collect()
}

#[test]
fn photographs_are_read_to_the_last_byte_or_refused() {
    for classes in [&[10][..], &[20, 100]] {
        let last: Vec<u8> = classes.iter().map(|classes| classes - 1).collect();
        let zeros = vec![0; classes.len()];
        let seeds = [
            Seed::taken("two", photographs([&last, &zeros])),
            Seed::taken("one", photographs([&last, &zeros])[..3072 + classes.len()].to_vec()),
            Seed::refused("none", []),
            Seed::refused("a byte too few", photographs([&last, &zeros])[1..].to_vec()),
            Seed::refused("a label beyond the last", photographs([&last, classes])),
        ];
        fuzz("cifar", &seeds, 1000, |bytes| {
            let (parsed, peak) = with_peak(|| Pictures::parse(bytes, classes));
            assert_eq!(peak, 0, "parsing holds nothing");
            let pictures = parsed.map_err(|error| error.to_string())?;
            let records = bytes.chunks(3072 + classes.len());
            assert_eq!(pictures.iter().len(), records.len());
            for ((label, pixels), record) in pictures.iter().zip(records) {
                assert_eq!([&[label], pixels].concat(), record[classes.len() - 1..]);
                assert!(label <= last[classes.len() - 1]);
            }
            Ok(())
        });
    }
}

#[test]
fn names_of_classes_are_as_many_as_classes_or_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write(directory.path(), "train.bin", &photographs([&[0, 0], &[1, 1]]));
    write(directory.path(), "test.bin", &photographs([&[0, 0], &[1, 1]]));
    let names = |count: usize| "name\n".repeat(count);
    let seeds = [
        Seed::taken("a hundred", names(100)),
        Seed::taken("a hundred with an end that is empty", names(100) + "\n \r\n"),
        Seed::taken("what is no text", [&names(99).into_bytes()[..], &[0xff, 0xfe, 0x1b]].concat()),
        Seed::refused("none", []),
        Seed::refused("one more", names(101)),
        Seed::refused("very many", "n\n".repeat(1 << 16)),
    ];
    fuzz("names of classes", &seeds, 300, |bytes| {
        write(directory.path(), "fine_label_names.txt", bytes);
        let (loaded, peak) = with_peak(|| Cifar::load(directory.path()));
        // What is no text takes three bytes for one.
        let most = 8 * bytes.len() + BESIDES;
        assert!(peak <= most, "{} bytes made the loader hold {peak}", bytes.len());
        let names = loaded.map_err(|error| error.to_string())?.class_names;
        assert!(names.len() == 100 && names.iter().all(|name| !name.is_empty()));
        Ok(())
    });
}

#[test]
fn words_of_augmentation_are_read_or_told() {
    let seeds = [
        Seed::taken("none", "none"),
        Seed::taken("both", "shift:4,flip"),
        Seed::taken("the other way, with spaces", " flip , shift: 12 "),
        Seed::refused("nothing", ""),
        Seed::refused("twice", "flip,flip"),
        Seed::refused("a shift of 70,000 digits", "shift:".to_owned() + &"1".repeat(70_000)),
        Seed::refused("70,000 words that are none", "flop,".repeat(70_000)),
        Seed::refused("what a terminal would obey", "shift:\u{1b}[31m\n"),
    ];
    fuzz("augmentation", &seeds, 4000, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let augment: Augment = text.parse().map_err(|error: AugmentError| error.to_string())?;
        assert_eq!(augment.to_string().parse(), Ok(augment));
        Ok(())
    });
}
