//! NPZ, NumPy's file of several arrays: a zip archive whose entries are [NPY](super::npy) files.
//!
//! ```text
//! entries      one after another: 50 4b 03 04, 26 bytes about it, its name, then its bytes, stored or deflated
//! directory    one record for each entry: 50 4b 01 02, 42 bytes about it, its name
//! end          50 4b 05 06, 18 bytes: where the directory stands, and how long it is
//! ```
//!
//! Only the directory is believed, and of it only what the entry itself agrees with. An array is unpacked when it is asked
//! for, to no more bytes than its own header announces, and its checksum is verified. What it refuses: anything before
//! the first entry's byte 0 that moves the directory, archives of several parts, encrypted entries, entries beyond 4 GiB
//! (zip64), two arrays of one name, methods other than stored and deflated. Entries that are no NPY files are passed over.
//! Source: PKWARE, "APPNOTE.TXT", 6.3.10.

use super::array::Array;
use super::gzip::MAX_OUTPUT_LEN;
use super::npy::NpyError;
use backflow_tensor::quote::quoted;
use flate2::{Crc, bufread::DeflateDecoder};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

/// What a zip archive with anything in it begins with.
pub const MAGIC: [u8; 4] = *b"PK\x03\x04";
const RECORD: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";

/// The bytes of an entry before its name, of a record before its name, and of the end before its comment.
const ENTRY_LEN: usize = 30;
const RECORD_LEN: usize = 46;
const END_LEN: usize = 22;

/// Why bytes are not an NPZ file, or an array in it cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpzError {
    /// There is no end of a directory.
    #[error(
        "{found} bytes without the end of a zip archive's directory; the file is cut short, write it again, or it is \
         no NPZ file"
    )]
    NoDirectory {
        /// The number of bytes there are.
        found: usize,
    },
    /// Something in the directory or before an entry is not as it should be.
    #[error("byte {offset}: {what}; the archive is damaged")]
    Damaged {
        /// Where.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A kind of archive that is not read.
    #[error("byte {offset}: {what}; write the arrays with numpy.savez")]
    Unsupported {
        /// Where.
        offset: usize,
        /// What it is.
        what: &'static str,
    },
    /// The decompressor rejected the data of an entry.
    #[error("{}: {source}; the archive is damaged", quoted(name))]
    Deflate {
        /// The entry.
        name: String,
        /// What the decompressor said.
        source: io::Error,
    },
    /// An entry has not the length that the directory says.
    #[error("{}: not the {expected} bytes that the directory says; the archive is damaged", quoted(name))]
    Length {
        /// The entry.
        name: String,
        /// The length in the directory.
        expected: usize,
    },
    /// An entry is longer than any data set.
    #[error("{}: {len} bytes, where at most {MAX_OUTPUT_LEN} are taken", quoted(name))]
    TooLong {
        /// The entry.
        name: String,
        /// Its length.
        len: usize,
    },
    /// The checksum of an entry is wrong.
    #[error("{}: the checksum is {found:08x}, expected {expected:08x}; the archive is damaged", quoted(name))]
    Checksum {
        /// The entry.
        name: String,
        /// The checksum in the directory.
        expected: u32,
        /// That of the bytes.
        found: u32,
    },
    /// An array of the archive is no NPY file that can be read.
    #[error("{}: {source}", quoted(name))]
    Npy {
        /// The entry.
        name: String,
        /// What is wrong with it.
        source: NpyError,
    },
}

/// The arrays of an archive by their names, which are those of the entries without `.npy`.
///
/// ```no_run
/// use backflow_data::formats::npz::Npz;
///
/// let file = std::fs::read("digits.npz")?;
/// let npz = Npz::parse(&file)?;
/// let x = npz.array("x").expect("an array of this name")?;
/// assert_eq!(x.shape, [1797, 64]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Npz<'a> {
    entries: Vec<Entry<'a>>,
}

/// What the directory says of an array, and its packed bytes.
struct Entry<'a> {
    /// Without `.npy`.
    name: &'a str,
    method: Method,
    checksum: u32,
    len: usize,
    packed: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Stored,
    Deflated,
}

impl<'a> Npz<'a> {
    /// The arrays in an archive, none of which is unpacked yet.
    ///
    /// # Errors
    /// If the directory is damaged, or the archive of a kind that is not read.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NpzError> {
        let (directory, begin, count) = directory(bytes)?;
        let mut records = Fields { bytes: directory, offset: begin };
        let mut entries: Vec<Entry<'a>> = Vec::new();
        for _ in 0..count {
            if let Some(entry) = Entry::parse(bytes, begin, &mut records)? {
                entries.push(entry);
            }
        }
        if !records.bytes.is_empty() {
            return Err(records.damaged("more bytes in the directory than its entries take"));
        }
        entries.sort_by_key(|entry| entry.name);
        if entries.is_sorted_by(|one, next| one.name < next.name) {
            Ok(Self { entries })
        } else {
            Err(NpzError::Damaged { offset: begin, what: "two entries of one name" })
        }
    }

    /// The names of the arrays, sorted.
    #[must_use]
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'a str> {
        self.entries.iter().map(|entry| entry.name)
    }

    /// The array of this name, if there is one.
    ///
    /// # Errors
    /// If its bytes are damaged, or no NPY file that can be read.
    #[must_use]
    pub fn array(&self, name: &str) -> Option<Result<Array, NpzError>> {
        let failed = |source| NpzError::Npy { name: name.to_owned(), source };
        let array = |bytes: Cow<'a, [u8]>| Array::of_npy(&bytes).map_err(failed);
        Some(self.npy(name)?.and_then(array))
    }

    /// The NPY file of this name, if there is one, as it was before it was packed.
    ///
    /// # Errors
    /// If its bytes are damaged.
    #[must_use]
    pub fn npy(&self, name: &str) -> Option<Result<Cow<'a, [u8]>, NpzError>> {
        self.entries.iter().find(|entry| entry.name == name).map(Entry::unpacked)
    }
}

impl fmt::Debug for Npz<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// The bytes of the directory, where they begin, and how many entries it has.
fn directory(bytes: &[u8]) -> Result<(&[u8], usize, u16), NpzError> {
    let none = NpzError::NoDirectory { found: bytes.len() };
    // The end is the last thing in the file, but for a comment of up to 64 KiB.
    let first = bytes.len().saturating_sub(END_LEN.saturating_add(usize::from(u16::MAX)));
    let tail = bytes.get(first..).unwrap_or_default();
    let Some(at) = tail.windows(END_LEN).rposition(|window| window.starts_with(&END)) else {
        return Err(none);
    };
    let at = first.saturating_add(at);
    let mut end = Fields { bytes: bytes.get(at..).unwrap_or_default(), offset: at };
    end.skip(4)?;
    let (disk, directory_disk) = (end.u16()?, end.u16()?);
    let (entries_here, count) = (end.u16()?, end.u16()?);
    let (len, begin, comment) = (end.u32()?, end.u32()?, end.u16()?);
    if disk != 0 || directory_disk != 0 || entries_here != count {
        return Err(NpzError::Unsupported { offset: at, what: "a zip archive of several parts" });
    }
    if count == u16::MAX || begin == u32::MAX || len == u32::MAX {
        return Err(NpzError::Unsupported { offset: at, what: "a zip64 archive, for files beyond 4 GiB" });
    }
    if end.bytes.len() != usize::from(comment) {
        return Err(NpzError::Damaged {
            offset: at,
            what: "more or fewer bytes behind the directory than it says",
        });
    }
    let (len, begin) = (size(len), size(begin));
    if begin.saturating_add(len) != at {
        let what = "the directory is not where its end says";
        return Err(NpzError::Damaged { offset: at, what });
    }
    Ok((bytes.get(begin..at).unwrap_or_default(), begin, count))
}

impl<'a> Entry<'a> {
    /// What the next record says, checked against what stands before the entry itself; `None` if it is no NPY file.
    fn parse(file: &'a [u8], directory: usize, records: &mut Fields<'a>) -> Result<Option<Self>, NpzError> {
        let record = records.offset;
        if !records.bytes.starts_with(&RECORD) {
            return Err(records.damaged("no record of an entry where one is due"));
        }
        records.skip(8)?;
        let (flags, method) = (records.u16()?, records.u16()?);
        records.skip(4)?;
        let (checksum, packed_len, len) = (records.u32()?, records.u32()?, records.u32()?);
        let (name_len, extra_len, comment_len) = (records.u16()?, records.u16()?, records.u16()?);
        let disk = records.u16()?;
        records.skip(6)?;
        let offset = records.u32()?;
        debug_assert_eq!(records.offset, record.saturating_add(RECORD_LEN));
        let name = records.take(name_len.into())?;
        records.skip(usize::from(extra_len).saturating_add(comment_len.into()))?;
        let Some(name) = std::str::from_utf8(name).ok().and_then(|name| name.strip_suffix(".npy")) else {
            return Ok(None);
        };
        let unsupported = |what| Err(NpzError::Unsupported { offset: record, what });
        if [packed_len, len, offset].contains(&u32::MAX) {
            return unsupported("an entry of zip64, for files beyond 4 GiB");
        }
        if flags & 1 != 0 {
            return unsupported("an encrypted entry");
        }
        if disk != 0 {
            return unsupported("a zip archive of several parts");
        }
        let method = match method {
            0 => Method::Stored,
            8 => Method::Deflated,
            _ => return unsupported("an entry that is neither stored nor deflated"),
        };
        // Before the entry itself stand its name and what some writers add, lengths that may differ from the record's.
        let before_directory = file.get(size(offset)..directory).unwrap_or_default();
        let mut own = Fields { bytes: before_directory, offset: size(offset) };
        if !own.bytes.starts_with(&MAGIC) {
            return Err(own.damaged("no entry where the directory says"));
        }
        own.skip(26)?;
        let (own_name_len, own_extra_len) = (own.u16()?, own.u16()?);
        debug_assert_eq!(own.offset, size(offset).saturating_add(ENTRY_LEN));
        let own_name = own.take(own_name_len.into())?;
        if own_name.strip_suffix(b".npy") != Some(name.as_bytes()) {
            return Err(own.damaged("the entry has another name than in the directory"));
        }
        own.skip(own_extra_len.into())?;
        let packed = own.take(size(packed_len))?;
        Ok(Some(Self { name, method, checksum, len: size(len), packed }))
    }

    /// The bytes of the NPY file.
    fn unpacked(&self) -> Result<Cow<'a, [u8]>, NpzError> {
        let name = || self.name.to_owned();
        if self.len > MAX_OUTPUT_LEN {
            return Err(NpzError::TooLong { name: name(), len: self.len });
        }
        let bytes = match self.method {
            Method::Stored => Cow::Borrowed(self.packed),
            Method::Deflated => {
                // `read_to_end` doubles the vector as bytes arrive: it holds at most twice what was decompressed. One byte
                // more than is announced is enough to know that there are too many.
                let mut bytes = Vec::new();
                let room = u64::try_from(self.len).unwrap_or(u64::MAX).saturating_add(1);
                let mut decoder = DeflateDecoder::new(self.packed);
                let read = decoder.by_ref().take(room).read_to_end(&mut bytes);
                read.map_err(|source| NpzError::Deflate { name: name(), source })?;
                if !decoder.into_inner().is_empty() {
                    return Err(NpzError::Length { name: name(), expected: self.len });
                }
                Cow::Owned(bytes)
            }
        };
        if bytes.len() != self.len {
            return Err(NpzError::Length { name: name(), expected: self.len });
        }
        let mut crc = Crc::new();
        crc.update(&bytes);
        match crc.sum() {
            found if found == self.checksum => Ok(bytes),
            found => Err(NpzError::Checksum { name: name(), expected: self.checksum, found }),
        }
    }
}

/// Bytes to be read one field after another, and where they stand in the file.
struct Fields<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Fields<'a> {
    fn damaged(&self, what: &'static str) -> NpzError {
        NpzError::Damaged { offset: self.offset, what }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], NpzError> {
        let split = self.bytes.split_at_checked(len);
        let (taken, rest) = split.ok_or_else(|| self.damaged("fewer bytes than there should be"))?;
        self.bytes = rest;
        self.offset = self.offset.saturating_add(len);
        Ok(taken)
    }

    fn skip(&mut self, len: usize) -> Result<(), NpzError> {
        self.take(len).map(drop)
    }

    fn u16(&mut self) -> Result<u16, NpzError> {
        let field = self.take(2)?;
        Ok(field.first_chunk().map_or(0, |&bytes| u16::from_le_bytes(bytes)))
    }

    fn u32(&mut self) -> Result<u32, NpzError> {
        let field = self.take(4)?;
        Ok(field.first_chunk().map_or(0, |&bytes| u32::from_le_bytes(bytes)))
    }
}

/// A size or an offset of a file, as this machine counts; what it cannot count lies behind every file.
fn size(field: u32) -> usize {
    usize::try_from(field).unwrap_or(usize::MAX)
}
