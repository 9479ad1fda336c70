//! The envelope of binary files, and the only place that knows `bincode`.
//!
//! ```text
//! "BACKFLOW"  kind      version  length of payload  CRC-32 of payload  payload
//! 8 bytes     8 bytes   u32      u64                u32                bincode      all little-endian
//! ```
//!
//! Reading trusts nothing. The length is compared with that of the file before anything is read, and the
//! checksum before anything is decoded. A payload is decoded item by item, text and bytes as slices of the
//! file, so that no number in it can ask for memory: whoever reads a list counts items that are there, and
//! makes no room for items that are announced.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::{BorrowDecode, Encode};

const MAGIC: &[u8; 8] = b"BACKFLOW";
const HEADER: usize = 8 + 8 + 4 + 8 + 4;

/// What kind of file it is, in eight letters, and the version of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) kind: &'static [u8; 8],
    pub(crate) version: u32,
}

/// Why a file was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("it does not begin as one")]
    Foreign,
    #[error("its format is version {found}; this program reads version {known}")]
    Version { found: u32, known: u32 },
    #[error("it is {found} bytes long and should be {expected}: cut off, or more was added")]
    Length { found: u64, expected: u64 },
    #[error("its checksum is wrong: it was damaged")]
    Checksum,
    #[error("{0}")]
    Content(String),
}

/// Fixed sizes, little-endian. The limit is on what one item may hold; what there is to hold is the file.
type Layout = Configuration<LittleEndian, Fixint, Limit<{ 1 << 36 }>>;

fn layout() -> Layout {
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit()
}

/// A file being written.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn put(&mut self, item: impl Encode) -> Result<(), CodecError> {
        let failed = |error: bincode::error::EncodeError| CodecError::Content(error.to_string());
        bincode::encode_into_std_write(item, &mut self.0, layout()).map(drop).map_err(failed)
    }

    /// The file with this payload.
    pub(crate) fn seal(self, format: Format) -> Vec<u8> {
        let Self(payload) = self;
        let mut file = Vec::with_capacity(HEADER + payload.len());
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(format.kind);
        file.extend_from_slice(&format.version.to_le_bytes());
        file.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        file.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
        file.extend_from_slice(&payload);
        file
    }
}

/// A file being read: the rest of its payload.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Checks the envelope of a file that is one and nothing else.
    pub(crate) fn open(file: &'a [u8], format: Format) -> Result<Self, CodecError> {
        match Self::open_front(file, format)? {
            (reader, []) => Ok(reader),
            (_, rest) => {
                let expected = (file.len() - rest.len()) as u64;
                Err(CodecError::Length { found: file.len() as u64, expected })
            }
        }
    }

    /// Checks the envelope that a file begins with; answers what is behind it, too.
    pub(crate) fn open_front(file: &'a [u8], format: Format) -> Result<(Self, &'a [u8]), CodecError> {
        let rest = file.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(format.kind));
        let mut rest = rest.ok_or(CodecError::Foreign)?;
        let short = || CodecError::Length { found: file.len() as u64, expected: HEADER as u64 };
        let version = u32::from_le_bytes(field(&mut rest).ok_or_else(short)?);
        if version != format.version {
            return Err(CodecError::Version { found: version, known: format.version });
        }
        let length = u64::from_le_bytes(field(&mut rest).ok_or_else(short)?);
        let checksum = u32::from_le_bytes(field(&mut rest).ok_or_else(short)?);
        let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
        let Some((payload, behind)) = split else {
            let expected = length.saturating_add(HEADER as u64);
            return Err(CodecError::Length { found: file.len() as u64, expected });
        };
        if checksum != crc32fast::hash(payload) {
            return Err(CodecError::Checksum);
        }
        Ok((Self(payload), behind))
    }

    pub(crate) fn take<T: BorrowDecode<'a, ()>>(&mut self) -> Result<T, CodecError> {
        let failed = |error: bincode::error::DecodeError| CodecError::Content(error.to_string());
        let (item, used) = bincode::borrow_decode_from_slice(self.0, layout()).map_err(failed)?;
        self.0 = self.0.get(used..).unwrap_or_default();
        Ok(item)
    }

    /// Reads a list that [`put`](Writer::put) wrote as its length and its items.
    pub(crate) fn list<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Vec<T>, CodecError> {
        let announced: u64 = self.take()?;
        let mut items = Vec::new();
        for _ in 0..announced {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Ends the reading.
    pub(crate) fn finish(self) -> Result<(), CodecError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(CodecError::Content(format!("{} bytes too many", self.0.len())))
        }
    }
}

fn field<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (field, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*field)
}
