//! NPY, NumPy's file of one array: a magic number, a version, a Python dictionary, then the elements.
//!
//! ```text
//! byte 0    93 N U M P Y       always
//! byte 6    version            1.0, 2.0 or 3.0
//! byte 8    length             of the dictionary: u16 in version 1, else u32; little-endian
//! then      dictionary         {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, spaces, a line's end
//! then      elements           exactly as many as the shape says, in the type and byte order of `descr`
//! ```
//!
//! Parsing copies nothing: an [`Npy`] borrows the elements from the file's bytes. What it refuses: Python objects (they
//! are programs), text, dates, complex numbers and records; files with a byte too few or too many. What is written is, to
//! the byte, what `numpy.save` writes. Source: NEP 1 and `numpy.lib.format`.

mod stream;

pub use stream::read;

use super::numbers::{ByteOrder, NumberType, Numbers, NumbersError};
use super::python::{Literal, Syntax};
use std::fmt;

/// What every NPY file begins with.
pub const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// The most axes of an array, as in NumPy 1.
pub const MAX_RANK: usize = 32;

/// The elements begin at a multiple of so many bytes in files that are written.
const ALIGNMENT: usize = 64;

/// So many digits find room where the first size stands, so that a file can grow.
const DIGITS: usize = 21;

/// Why bytes are not an NPY file that can be read, or numbers cannot be written as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The first bytes are others.
    #[error("byte 0: an NPY file begins with 93 N U M P Y; this is some other kind of file")]
    Magic,
    /// The version is not known.
    #[error("byte 6: version {major}.{minor}; this reader takes 1.0, 2.0 and 3.0")]
    Version {
        /// The first number.
        major: u8,
        /// The second number.
        minor: u8,
    },
    /// The dictionary is none, or has not the three keys.
    #[error("byte {offset}: {what}; the header is damaged")]
    Header {
        /// Where.
        offset: usize,
        /// What is wrong.
        what: Syntax,
    },
    /// Elements are Python objects.
    #[error(
        "elements are Python objects, which only Python reads; convert them with x.astype(np.float32) and save again"
    )]
    Objects,
    /// Elements are of a type that is not read.
    #[error(
        "elements of type {descr}; this reader takes truth values, integers of 1 to 8 bytes and floats of 2 to 8 bytes: \
         convert them with x.astype(np.float32) and save again"
    )]
    ElementType {
        /// What the header says, as much as can be shown.
        descr: String,
    },
    /// There are too many axes.
    #[error("{rank} axes; this reader takes up to {MAX_RANK}")]
    Rank {
        /// The number of axes.
        rank: usize,
    },
    /// The sizes multiply to more bytes than the machine can address.
    #[error("the shape {shape:?} is too large for this machine; the header is damaged")]
    TooLarge {
        /// The sizes.
        shape: Vec<usize>,
    },
    /// There are fewer bytes than the header needs, or than it announces.
    #[error(
        "byte {found}: the data end here but {expected} bytes are needed; the file is cut short, write it again"
    )]
    Truncated {
        /// The number of bytes needed.
        expected: usize,
        /// The number of bytes there are.
        found: usize,
    },
    /// There are more bytes than the header announces.
    #[error(
        "byte {expected}: the array ends here but the data go on to byte {found}; the file is damaged or holds several \
         arrays, of which each needs a file of its own"
    )]
    Trailing {
        /// The number of bytes the header announces.
        expected: usize,
        /// The number of bytes there are.
        found: usize,
    },
    /// An element is none of its type.
    #[error(transparent)]
    Numbers(#[from] NumbersError),
    /// There are not as many numbers to write as the shape says.
    #[error("{numbers} numbers do not fill an array of shape {shape:?}")]
    Count {
        /// How many numbers there are.
        numbers: usize,
        /// The shape.
        shape: Vec<usize>,
    },
}

/// An array as a file has it.
///
/// ```
/// use backflow_data::formats::{npy::{self, Npy}, numbers::Numbers};
///
/// let numbers = Numbers::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
/// let file = npy::write(&numbers, &[2, 3])?;
/// let array = Npy::parse(&file)?;
/// assert_eq!((array.shape(), array.numbers()?), (&[2, 3][..], numbers));
/// assert_eq!(Npy::parse(&file[..151]).unwrap_err().to_string(),
///     "byte 151: the data end here but 152 bytes are needed; the file is cut short, write it again");
/// # Ok::<(), backflow_data::formats::npy::NpyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Npy<'a> {
    header: Header,
    elements: &'a [u8],
}

impl<'a> Npy<'a> {
    /// The array in an NPY file.
    ///
    /// # Errors
    /// If the header is invalid, the elements are of a type that is not read, or the file does not have exactly the length
    /// that the header announces.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NpyError> {
        let (header, begin) = Header::of_file(bytes, bytes.len())?;
        Ok(Self { header, elements: bytes.get(begin..).unwrap_or_default() })
    }

    /// The type of the elements in the file.
    #[must_use]
    pub fn number_type(&self) -> NumberType {
        self.header.number_type
    }

    /// The length along each axis; none for an array that is a single number.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The elements in C's order: the last index runs fastest, whatever order the file has.
    ///
    /// # Errors
    /// If an element is none of its type; see [`Numbers::read`].
    pub fn numbers(&self) -> Result<Numbers, NpyError> {
        let Header { number_type, byte_order, is_fortran, shape } = &self.header;
        Ok(match is_fortran {
            false => Numbers::read(*number_type, *byte_order, self.elements)?,
            true => Numbers::read_fortran(*number_type, *byte_order, self.elements, shape)?,
        })
    }
}

impl fmt::Debug for Npy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Npy({:?} {:?})", self.header.number_type, self.header.shape)
    }
}

/// The file of an array of these numbers, which are in C's order; little-endian, version 1.0.
///
/// # Errors
/// If the shape has another number of elements, or more than [`MAX_RANK`] axes.
pub fn write(numbers: &Numbers, shape: &[usize]) -> Result<Vec<u8>, NpyError> {
    if shape.len() > MAX_RANK {
        return Err(NpyError::Rank { rank: shape.len() });
    }
    if elements(shape) != Some(numbers.len()) {
        return Err(NpyError::Count { numbers: numbers.len(), shape: shape.to_vec() });
    }
    let descr = match numbers {
        Numbers::Bool(_) => "|b1",
        Numbers::U8(_) => "|u1",
        Numbers::I64(_) => "<i8",
        Numbers::F32(_) => "<f4",
        Numbers::F64(_) => "<f8",
    };
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let tuple = match &sizes[..] {
        [only] => format!("({only},)"),
        _ => format!("({})", sizes.join(", ")),
    };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple}, }}");
    let growth = sizes.first().map_or(0, |first| DIGITS.saturating_sub(first.len()));
    header.push_str(&" ".repeat(growth));
    // The magic number, the version, the length, the header and the line's end.
    let before = header.len().saturating_add(11);
    header.push_str(&" ".repeat(ALIGNMENT.saturating_sub(before & (ALIGNMENT - 1))));
    header.push('\n');
    // At most 32 sizes of 20 digits.
    let len = u16::try_from(header.len()).unwrap_or(u16::MAX);
    let bytes = numbers.to_bytes();
    Ok([&MAGIC[..], &[1, 0], &len.to_le_bytes(), header.as_bytes(), &bytes].concat())
}

/// The bytes of the dictionary, and where the elements begin.
fn dictionary(bytes: &[u8]) -> Result<(&[u8], usize), NpyError> {
    let truncated = |expected| NpyError::Truncated { expected, found: bytes.len() };
    let known = bytes.get(..MAGIC.len()).unwrap_or(bytes);
    if !MAGIC.starts_with(known) {
        return Err(NpyError::Magic);
    }
    let rest = bytes.get(MAGIC.len()..).unwrap_or_default();
    let (&[major, minor], rest) = rest.split_first_chunk().ok_or_else(|| truncated(10))?;
    let (len, begin, rest) = match (major, minor) {
        (1, 0) => {
            let (&len, rest) = rest.split_first_chunk().ok_or_else(|| truncated(10))?;
            (usize::from(u16::from_le_bytes(len)), 10, rest)
        }
        (2 | 3, 0) => {
            let (&len, rest) = rest.split_first_chunk().ok_or_else(|| truncated(12))?;
            (usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX), 12_usize, rest)
        }
        _ => return Err(NpyError::Version { major, minor }),
    };
    let end = begin.saturating_add(len);
    rest.get(..len).map(|dictionary| (dictionary, end)).ok_or_else(|| truncated(end))
}

/// What the dictionary says.
#[derive(Clone, PartialEq, Eq)]
struct Header {
    number_type: NumberType,
    byte_order: ByteOrder,
    is_fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// What a file of so many bytes that begins with these says, and where its elements begin; they are as many as it says.
    fn of_file(bytes: &[u8], found: usize) -> Result<(Self, usize), NpyError> {
        let (dictionary, begin) = dictionary(bytes)?;
        let header = Self::parse(dictionary, begin.saturating_sub(dictionary.len()))?;
        let expected = header.elements_len()?.saturating_add(begin);
        match () {
            () if found < expected => Err(NpyError::Truncated { expected, found }),
            () if found > expected => Err(NpyError::Trailing { expected, found }),
            () => Ok((header, begin)),
        }
    }

    /// `offset` is where the dictionary stands in the file.
    fn parse(dictionary: &[u8], offset: usize) -> Result<Self, NpyError> {
        let mut literal = Literal::new(dictionary);
        let read = Self::entries(&mut literal);
        let at = offset.saturating_add(literal.at());
        match read {
            Ok((Some(descr), Some(is_fortran), Some(shape))) => {
                let (number_type, byte_order) = element_type(descr)?;
                match shape.len() {
                    rank if rank > MAX_RANK => Err(NpyError::Rank { rank }),
                    _ => Ok(Self { number_type, byte_order, is_fortran, shape }),
                }
            }
            Ok(_) => Err(NpyError::Header { offset, what: Syntax::Key }),
            Err(Syntax::Records) => Err(NpyError::ElementType { descr: "record".to_owned() }),
            Err(what) => Err(NpyError::Header { offset: at, what }),
        }
    }

    /// The three values, of which any may be missing.
    #[allow(clippy::type_complexity, reason = "three values, taken apart at once")]
    fn entries<'a>(
        literal: &mut Literal<'a>,
    ) -> Result<(Option<&'a [u8]>, Option<bool>, Option<Vec<usize>>), Syntax> {
        let (mut descr, mut is_fortran, mut shape) = (None, None, None);
        literal.expect(b'{')?;
        while !literal.has(b'}') {
            let key = literal.string()?;
            literal.expect(b':')?;
            match key {
                b"descr" if descr.is_none() => descr = Some(literal.string()?),
                b"fortran_order" if is_fortran.is_none() => is_fortran = Some(literal.truth()?),
                // One axis more than is taken is enough to know that there are too many.
                b"shape" if shape.is_none() => shape = Some(literal.tuple(MAX_RANK.saturating_add(1))?),
                _ => return Err(Syntax::Key),
            }
            if !literal.has(b',') {
                literal.expect(b'}')?;
                break;
            }
        }
        literal.end()?;
        Ok((descr, is_fortran, shape))
    }

    /// The bytes of all elements.
    fn elements_len(&self) -> Result<usize, NpyError> {
        let size = self.number_type.bytes();
        let len = elements(&self.shape).and_then(|elements| elements.checked_mul(size));
        len.ok_or_else(|| NpyError::TooLarge { shape: self.shape.clone() })
    }
}

/// How many elements an array of this shape has, unless the machine cannot count them. An axis of length 0 does not excuse
/// the others.
fn elements(shape: &[usize]) -> Option<usize> {
    let all = shape.iter().try_fold(1_usize, |all, &size| all.checked_mul(size.max(1)))?;
    let bytes = all.checked_mul(8)?;
    isize::try_from(bytes).ok()?;
    Some(if shape.contains(&0) { 0 } else { all })
}

/// The type and the byte order that `'<f4'` and its like stand for. `|` is for single bytes, `=` for the machine of whoever
/// wrote it: as it never stands in a file, it is refused.
fn element_type(descr: &[u8]) -> Result<(NumberType, ByteOrder), NpyError> {
    let (order, code) = match descr {
        [b'>', code @ ..] => (ByteOrder::Big, code),
        [b'<' | b'|', code @ ..] => (ByteOrder::Little, code),
        code => (ByteOrder::Little, code),
    };
    let number_type = match code {
        b"b1" | b"?" => NumberType::Bool,
        b"u1" => NumberType::U8,
        b"u2" => NumberType::U16,
        b"u4" => NumberType::U32,
        b"u8" => NumberType::U64,
        b"i1" => NumberType::I8,
        b"i2" => NumberType::I16,
        b"i4" => NumberType::I32,
        b"i8" => NumberType::I64,
        b"f2" => NumberType::F16,
        b"f4" => NumberType::F32,
        b"f8" => NumberType::F64,
        b"O" | b"O8" | b"O4" => return Err(NpyError::Objects),
        _ => {
            let shown = descr.iter().copied().take(20).filter(u8::is_ascii_graphic);
            return Err(NpyError::ElementType { descr: shown.map(char::from).collect() });
        }
    };
    // Whoever leaves the byte order out of more than one byte has left it to chance.
    if number_type.bytes() > 1 && !matches!(descr, [b'<' | b'>', ..]) {
        let descr = descr.iter().copied().map(char::from).collect();
        return Err(NpyError::ElementType { descr });
    }
    Ok((number_type, order))
}
