//! Decompression of gzip files (RFC 1952) that stops where it is told to.
//!
//! A thousand compressed bytes can stand for a million. The caller therefore says how many bytes it is
//! prepared to take, memory grows only as bytes really arrive, and one byte too many is an error.
//!
//! A file is one gzip member or several in a row, as `cat` and `bgzip` make them: what they hold is one after
//! the other. Any other bytes behind a member are refused.

use flate2::bufread::GzDecoder;
use std::io::{self, Read};

/// The two bytes that every gzip file begins with.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The most bytes that a data file may announce or hold: 1 GiB, about twice the largest data set distributed
/// in this way (EMNIST `byclass`, 0.55 GB).
pub const MAX_OUTPUT_LEN: usize = 1 << 30;

/// Why gzip data could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GzipError {
    /// The decompressor rejected the data, or they end too early.
    #[error("byte {offset} of the gzip file: {source}; the file is damaged or cut short, fetch it again")]
    Damaged {
        /// How many compressed bytes had been read.
        offset: usize,
        /// What the decompressor said.
        source: io::Error,
    },
    /// The data are longer than they may be.
    #[error(
        "the gzip file holds or announces more than {limit} bytes, where no more are expected or taken; \
         it is damaged or made to exhaust memory"
    )]
    TooLong {
        /// The number of bytes that were acceptable.
        limit: usize,
    },
    /// Bytes that are no gzip member follow the end of one.
    #[error(
        "byte {offset} of the gzip file: the compressed data end here but {extra} more bytes follow; \
         unpack and repack it"
    )]
    Trailing {
        /// Where the last member ends.
        offset: usize,
        /// How many bytes follow.
        extra: usize,
    },
}

/// Whether these bytes begin like a gzip file.
#[must_use]
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The first `len` decompressed bytes, or fewer if there are no more. Checksums are not verified.
///
/// # Errors
/// [`GzipError::Damaged`] if the data are not valid up to there.
pub fn prefix(bytes: &[u8], len: usize) -> Result<Vec<u8>, GzipError> {
    inflate(bytes, len).map(|(output, _)| output)
}

/// All decompressed bytes, which must be at most `limit`.
///
/// The checksum and the length in the trailer of each member are verified.
///
/// # Errors
/// [`GzipError::Damaged`] if the data are invalid, cut short, or fail their checksum, [`GzipError::TooLong`]
/// if they exceed the limit, [`GzipError::Trailing`] if anything follows them.
pub fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>, GzipError> {
    // One byte more than allowed is enough to know that there are too many; it also makes the decoder reach
    // the end of data that just fit, where it verifies the checksum.
    let (output, consumed) = inflate(bytes, limit.saturating_add(1))?;
    if output.len() > limit {
        return Err(GzipError::TooLong { limit });
    }
    match bytes.len().saturating_sub(consumed) {
        0 => Ok(output),
        extra => Err(GzipError::Trailing { offset: consumed, extra }),
    }
}

/// Up to `len` decompressed bytes, and how many compressed bytes were read for them.
fn inflate(bytes: &[u8], len: usize) -> Result<(Vec<u8>, usize), GzipError> {
    let (mut output, mut rest) = (Vec::new(), bytes);
    loop {
        let mut decoder = GzDecoder::new(rest);
        let room = u64::try_from(len.saturating_sub(output.len())).unwrap_or(u64::MAX);
        // `read_to_end` doubles the vector as bytes arrive: what it holds is at most twice what was decompressed.
        let result = decoder.by_ref().take(room).read_to_end(&mut output);
        rest = decoder.into_inner();
        let consumed = bytes.len().saturating_sub(rest.len());
        result.map_err(|source| GzipError::Damaged { offset: consumed, source })?;
        if output.len() >= len || !is_gzip(rest) {
            return Ok((output, consumed));
        }
    }
}
