//! [`mutated`]: bytes that are nearly those of a file, as a function of a number.
//!
//! What a parser is asked must be almost right: bytes drawn at random are refused at the first of them. So files that are
//! known are changed in a few places, in the ways that damage and malice take: bits flip, sizes become those at the limits
//! of their types, pieces are lost, come twice or from another file, numbers in text leave their range, words change
//! places.

use backflow_tensor::Rng;
use std::ops::Range;

/// Nothing is made longer than this: what is to be found are shapes, not sizes.
const LONGEST: usize = 1 << 18;

/// Where sizes, counts and offsets go wrong: at the limits of types, and beside them.
const INTEGERS: [u64; 24] = [
    0,
    1,
    2,
    3,
    8,
    9,
    10,
    16,
    32,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    1 << 53,
    i64::MAX as u64,
    u64::MAX,
];

/// The same in text, with what only text can say.
const NUMBERS: [&str; 28] = [
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "10000",
    "0.1",
    "1e-9",
    "-1.5",
    "127",
    "128",
    "255",
    "256",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e19",
    "1e308",
    "-1e308",
    "1e999",
    "4e-324",
    "NaN",
    "inf",
];

type Mutation = fn(&mut Vec<u8>, &[u8], &mut Rng);

/// The ways to change bytes; the second argument is another file of the kind.
const MUTATIONS: [Mutation; 11] = [
    |bytes, _, rng| flip_bit(bytes, rng),
    |bytes, _, rng| set_byte(bytes, rng),
    |bytes, _, rng| set_integer(bytes, rng),
    |bytes, _, rng| bytes.truncate(rng.below(bytes.len() + 1)),
    |bytes, _, rng| _ = bytes.drain(piece(bytes.len(), rng)),
    |bytes, _, rng| insert(bytes, rng),
    |bytes, _, rng| repeat(bytes, rng),
    splice,
    |bytes, _, rng| change_number(bytes, rng),
    |bytes, _, rng| swap_words(bytes, rng),
    copy_word,
];

/// One of `files`, changed in one to some places: the same for the same files and `seed`.
///
/// ```
/// use backflow_testkit::mutated;
/// let files: [&[u8]; 2] = [b"lr=0.1,beta=0.9", b"steps=100"];
/// assert_eq!(mutated(&files, 7), mutated(&files, 7));
/// assert_ne!(mutated(&files, 7), mutated(&files, 8));
/// ```
///
/// # Panics
/// If there are no files.
#[must_use]
pub fn mutated(files: &[&[u8]], seed: u64) -> Vec<u8> {
    let mut rng = Rng::seed_from_u64(seed);
    // The shorter of two: long files take long.
    let picked = [0; 2].map(|_| files[rng.below(files.len())]);
    let mut bytes = picked.into_iter().min_by_key(|file| file.len()).unwrap_or_default().to_vec();
    bytes.truncate(LONGEST);
    loop {
        let other = files[rng.below(files.len())];
        MUTATIONS[rng.below(MUTATIONS.len())](&mut bytes, other, &mut rng);
        bytes.truncate(LONGEST);
        // Two changes on average; damage in many places is found at the first.
        if rng.below(2) == 0 {
            return bytes;
        }
    }
}

fn flip_bit(bytes: &mut [u8], rng: &mut Rng) {
    if !bytes.is_empty() {
        let at = rng.below(bytes.len());
        bytes[at] ^= 1 << rng.below(8);
    }
}

fn set_byte(bytes: &mut [u8], rng: &mut Rng) {
    if !bytes.is_empty() {
        let at = rng.below(bytes.len());
        bytes[at] = rng.below(256) as u8;
    }
}

/// An integer of one to eight bytes, of either byte order.
fn set_integer(bytes: &mut [u8], rng: &mut Rng) {
    let (value, width) = (INTEGERS[rng.below(INTEGERS.len())], 1 << rng.below(4));
    if bytes.len() >= width {
        let at = rng.below(bytes.len() - width + 1);
        let little = &value.to_le_bytes()[..width];
        let field = &mut bytes[at..at + width];
        field.copy_from_slice(little);
        if rng.below(2) == 0 {
            field.reverse();
        }
    }
}

fn insert(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(bytes.len() + 1);
    let new: Vec<u8> = (0..=rng.below(8)).map(|_| rng.below(256) as u8).collect();
    bytes.splice(at..at, new);
}

/// A piece comes again behind itself, up to a thousand times.
fn repeat(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let piece = piece(bytes.len(), rng);
    let times = (1 << rng.below(11)).min(LONGEST / piece.len().max(1));
    let again = bytes[piece.clone()].repeat(times);
    bytes.splice(piece.end..piece.end, again);
}

/// A piece of another file, in the place of one of this.
fn splice(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let (from, to) = (piece(other.len(), rng), piece(bytes.len(), rng));
    bytes.splice(to, other[from].iter().copied());
}

fn change_number(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let is_part = |byte: u8| byte.is_ascii_digit() || b"+-.e".contains(&byte);
    let numbers = runs(bytes, is_part, |run| run.iter().any(u8::is_ascii_digit));
    if !numbers.is_empty() {
        let number = numbers[rng.below(numbers.len())].clone();
        bytes.splice(number, NUMBERS[rng.below(NUMBERS.len())].bytes());
    }
}

fn swap_words(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let words = words(bytes);
    if words.len() > 1 {
        let (one, other) = (rng.below(words.len()), rng.below(words.len()));
        let (first, second) = (words[one.min(other)].clone(), words[one.max(other)].clone());
        if first != second {
            let texts = (bytes[first.clone()].to_vec(), bytes[second.clone()].to_vec());
            bytes.splice(second, texts.0);
            bytes.splice(first, texts.1);
        }
    }
}

/// A word of another file, in the place of one of this.
fn copy_word(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let (from, to) = (words(other), words(bytes));
    if !from.is_empty() && !to.is_empty() {
        let word = other[from[rng.below(from.len())].clone()].to_vec();
        bytes.splice(to[rng.below(to.len())].clone(), word);
    }
}

fn words(bytes: &[u8]) -> Vec<Range<usize>> {
    runs(bytes, |byte| byte.is_ascii_alphanumeric() || byte == b'_', |_| true)
}

/// The longest runs of such bytes that are what is looked for.
fn runs(bytes: &[u8], is_part: impl Fn(u8) -> bool, is_one: impl Fn(&[u8]) -> bool) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut begin = 0;
    for (at, byte) in bytes.iter().copied().chain([0]).enumerate() {
        if !is_part(byte) {
            if begin < at && is_one(&bytes[begin..at]) {
                runs.push(begin..at);
            }
            begin = at + 1;
        }
    }
    runs
}

/// A piece of `len` bytes, which is more often short than long.
fn piece(len: usize, rng: &mut Rng) -> Range<usize> {
    let begin = rng.below(len + 1);
    let most = (len - begin).min(1 << rng.below(12));
    begin..begin + rng.below(most + 1)
}

#[cfg(test)]
mod tests {
    use super::{MUTATIONS, mutated};
    use backflow_tensor::Rng;

    const FILES: [&[u8]; 2] =
        [b"layers.0=12.5, momentum=0.9, \x00\x01\x02\x03\x04\x05\x06\x07", b"steps=100 every=7"];

    #[test]
    fn every_way_changes_something_and_takes_nothing_for_granted() {
        for (index, mutation) in MUTATIONS.into_iter().enumerate() {
            let mut changed = 0;
            for seed in 0..200 {
                let mut rng = Rng::seed_from_u64(seed);
                let mut bytes = FILES[0].to_vec();
                mutation(&mut bytes, FILES[1], &mut rng);
                changed += u32::from(bytes != FILES[0]);
                for nothing in [&[][..], b"a"] {
                    mutation(&mut nothing.to_vec(), &[], &mut rng);
                }
            }
            assert!(changed > 100, "way {index}: {changed} of 200");
        }
    }

    #[test]
    fn inputs_differ_from_the_files_and_from_each_other() {
        let mut inputs: Vec<Vec<u8>> = (0..1000).map(|seed| mutated(&FILES, seed)).collect();
        inputs.retain(|input| !FILES.contains(&&**input));
        inputs.sort_unstable();
        inputs.dedup();
        assert!(inputs.len() > 800, "{}", inputs.len());
    }
}
