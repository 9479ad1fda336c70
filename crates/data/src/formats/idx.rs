//! IDX, the format of MNIST: a small header, then the elements of one array, big-endian, row-major.
//!
//! ```text
//! byte 0   0 0              always
//! byte 2   element type     08 u8, 09 i8, 0b i16, 0c i32, 0d f32, 0e f64
//! byte 3   rank             the number of axes
//! byte 4   sizes            one u32 per axis
//! then     elements         exactly as many as the sizes multiply to
//! ```
//!
//! Parsing copies nothing: an [`Idx`] borrows the elements from the file's bytes. What it refuses: arrays
//! with no axis or with more than [`MAX_RANK`], axes of length 0 (they hold nothing and hide absurd sizes
//! of the other axes), files with a byte too few or too many. Source: the description of the format on
//! Y. LeCun's page about MNIST.

use super::numbers::{ByteOrder, NumberType, Numbers};
use std::fmt;

/// The most axes an array may have: pictures, channels, rows and columns. The format would allow 255.
pub const MAX_RANK: usize = 4;

/// The length in bytes of the longest header, with [`MAX_RANK`] axes.
pub const MAX_HEADER_LEN: usize = header_len(MAX_RANK);

/// The type of the elements of an IDX array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// Unsigned bytes, code 08: pixels and labels.
    U8,
    /// Signed bytes, code 09.
    I8,
    /// 16-bit integers, code 0b.
    I16,
    /// 32-bit integers, code 0c.
    I32,
    /// 32-bit floating-point numbers, code 0d.
    F32,
    /// 64-bit floating-point numbers, code 0e.
    F64,
}

impl ElementType {
    fn from_code(code: u8) -> Option<Self> {
        match code {
            0x08 => Some(Self::U8),
            0x09 => Some(Self::I8),
            0x0b => Some(Self::I16),
            0x0c => Some(Self::I32),
            0x0d => Some(Self::F32),
            0x0e => Some(Self::F64),
            _ => None,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::U8 => 0x08,
            Self::I8 => 0x09,
            Self::I16 => 0x0b,
            Self::I32 => 0x0c,
            Self::F32 => 0x0d,
            Self::F64 => 0x0e,
        }
    }

    /// The size of one element in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// Why bytes are not an IDX file, or values cannot be written as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdxError {
    /// The first two bytes are not zero.
    #[error(
        "byte 0: an IDX file begins with 00 00, found {:02x} {:02x}; this is some other kind of file",
        found[0], found[1]
    )]
    Magic {
        /// The first two bytes.
        found: [u8; 2],
    },
    /// The third byte is none of the six type codes.
    #[error("byte 2: {code:02x} is not an IDX element type (08, 09, 0b, 0c, 0d or 0e); the file is damaged")]
    ElementType {
        /// The byte found.
        code: u8,
    },
    /// The number of axes is 0 or above [`MAX_RANK`].
    #[error("byte 3: {rank} axes; this reader takes 1 to {MAX_RANK}")]
    Rank {
        /// The number of axes.
        rank: usize,
    },
    /// An axis has length 0.
    #[error(
        "byte {}: axis {axis} has length 0, so the array holds nothing; use a file with data in it",
        header_len(*axis)
    )]
    ZeroLength {
        /// The axis.
        axis: usize,
    },
    /// The sizes multiply to more bytes than the machine can address.
    #[error("byte 4: the shape {shape:?} is too large for this machine; the header is damaged")]
    TooLarge {
        /// The sizes.
        shape: Vec<u32>,
    },
    /// There are fewer bytes than the header needs, or than it announces.
    #[error(
        "byte {found}: the data end here but {expected} bytes are needed; the file is cut short, fetch it \
         again"
    )]
    Truncated {
        /// The number of bytes needed.
        expected: usize,
        /// The number of bytes there are.
        found: usize,
    },
    /// There are more bytes than the header announces.
    #[error("byte {expected}: the array ends here but the data go on to byte {found}; the file is damaged")]
    Trailing {
        /// The number of bytes the header announces.
        expected: usize,
        /// The number of bytes there are.
        found: usize,
    },
}

/// An array of one element type, with its elements still as the file has them: big-endian bytes.
///
/// ```
/// use backflow_data::formats::idx::{ElementType, Idx};
///
/// let image = Idx::new(ElementType::U8, &[1, 2, 2], &[0, 128, 255, 7]).unwrap();
/// let file = image.to_bytes();
/// assert_eq!(file, [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 128, 255, 7]);
/// assert_eq!(Idx::parse(&file).unwrap(), image);
/// assert_eq!(Idx::parse(&file[..19]).unwrap_err().to_string(),
///     "byte 19: the data end here but 20 bytes are needed; the file is cut short, fetch it again");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Idx<'a> {
    header: Header,
    elements: &'a [u8],
}

impl<'a> Idx<'a> {
    /// The array with these elements, given as big-endian bytes in row-major order.
    ///
    /// # Errors
    /// If the rank is not 1 to [`MAX_RANK`], a size is 0, or the number of bytes is not what the sizes say.
    pub fn new(element_type: ElementType, shape: &[u32], elements: &'a [u8]) -> Result<Self, IdxError> {
        let header = Header::new(element_type, shape.to_vec())?;
        let found = header_len(shape.len()).saturating_add(elements.len());
        match header.file_len {
            expected if found < expected => Err(IdxError::Truncated { expected, found }),
            expected if found > expected => Err(IdxError::Trailing { expected, found }),
            _ => Ok(Self { header, elements }),
        }
    }

    /// The array in an IDX file.
    ///
    /// # Errors
    /// If the header is invalid or the file does not have exactly the length that it announces.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, IdxError> {
        let header = Header::parse(bytes)?;
        let elements = bytes.get(header_len(header.shape.len())..).unwrap_or_default();
        Self::new(header.element_type, &header.shape, elements)
    }

    /// The file that holds this array: the inverse of [`parse`](Self::parse).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.header.file_len);
        // `Header::new` has seen to it that the rank fits.
        let rank = u8::try_from(self.header.shape.len()).unwrap_or(u8::MAX);
        bytes.extend_from_slice(&[0, 0, self.header.element_type.code(), rank]);
        bytes.extend(self.header.shape.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend_from_slice(self.elements);
        bytes
    }

    /// The type of the elements.
    #[must_use]
    pub fn element_type(&self) -> ElementType {
        self.header.element_type
    }

    /// The length along each axis; none is 0.
    #[must_use]
    pub fn shape(&self) -> &[u32] {
        &self.header.shape
    }

    /// The elements as big-endian bytes; for [`ElementType::U8`] these are the elements themselves.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.elements
    }

    /// The elements in the type here that holds each of them exactly: `u8` stays `u8`, other integers become `i64`.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let number_type = match self.header.element_type {
            ElementType::U8 => NumberType::U8,
            ElementType::I8 => NumberType::I8,
            ElementType::I16 => NumberType::I16,
            ElementType::I32 => NumberType::I32,
            ElementType::F32 => NumberType::F32,
            ElementType::F64 => NumberType::F64,
        };
        // None of these types can be wrong.
        Numbers::read(number_type, ByteOrder::Big, self.elements).unwrap_or(Numbers::U8(Vec::new()))
    }

    /// The elements as `f64`, which represents every value of every IDX type exactly.
    #[must_use]
    pub fn to_f64(&self) -> Vec<f64> {
        fn convert<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            bytes.as_chunks().0.iter().map(|&element| value(element)).collect()
        }
        match self.header.element_type {
            ElementType::U8 => convert(self.elements, |b| f64::from(u8::from_be_bytes(b))),
            ElementType::I8 => convert(self.elements, |b| f64::from(i8::from_be_bytes(b))),
            ElementType::I16 => convert(self.elements, |b| f64::from(i16::from_be_bytes(b))),
            ElementType::I32 => convert(self.elements, |b| f64::from(i32::from_be_bytes(b))),
            ElementType::F32 => convert(self.elements, |b| f64::from(f32::from_be_bytes(b))),
            ElementType::F64 => convert(self.elements, f64::from_be_bytes),
        }
    }
}

impl fmt::Debug for Idx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Idx({:?} {:?})", self.header.element_type, self.header.shape)
    }
}

/// The length in bytes of the file that begins with these bytes, as its header declares it.
///
/// At most the first [`MAX_HEADER_LEN`] bytes are looked at; the rest need not be there.
///
/// # Errors
/// If the header is invalid or not complete.
pub fn declared_len(bytes: &[u8]) -> Result<usize, IdxError> {
    Header::parse(bytes).map(|header| header.file_len)
}

/// A valid header: 1 to [`MAX_RANK`] axes, none of length 0, a file length that can be computed.
#[derive(Clone, PartialEq, Eq)]
struct Header {
    element_type: ElementType,
    shape: Vec<u32>,
    file_len: usize,
}

impl Header {
    fn new(element_type: ElementType, shape: Vec<u32>) -> Result<Self, IdxError> {
        let rank = shape.len();
        if rank == 0 || rank > MAX_RANK {
            return Err(IdxError::Rank { rank });
        }
        if let Some(axis) = shape.iter().position(|&size| size == 0) {
            return Err(IdxError::ZeroLength { axis });
        }
        let elements_len = shape.iter().try_fold(element_type.bytes(), |len, &size| {
            usize::try_from(size).ok().and_then(|size| len.checked_mul(size))
        });
        match elements_len.and_then(|len| len.checked_add(header_len(rank))) {
            Some(file_len) => Ok(Self { element_type, shape, file_len }),
            None => Err(IdxError::TooLarge { shape }),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, IdxError> {
        let truncated = |expected| IdxError::Truncated { expected, found: bytes.len() };
        let (&[zero, also_zero, code, rank], sizes) =
            bytes.split_first_chunk().ok_or_else(|| truncated(header_len(0)))?;
        if [zero, also_zero] != [0, 0] {
            return Err(IdxError::Magic { found: [zero, also_zero] });
        }
        let element_type = ElementType::from_code(code).ok_or(IdxError::ElementType { code })?;
        let rank = usize::from(rank);
        if rank > MAX_RANK {
            return Err(IdxError::Rank { rank });
        }
        let shape: Vec<u32> =
            sizes.as_chunks().0.iter().take(rank).map(|&size| u32::from_be_bytes(size)).collect();
        if shape.len() < rank {
            return Err(truncated(header_len(rank)));
        }
        Self::new(element_type, shape)
    }
}

/// The length in bytes of a header with `rank` axes.
const fn header_len(rank: usize) -> usize {
    rank.saturating_mul(4).saturating_add(4)
}
