//! From bytes to arrays: one parser per file format, each a function of a byte slice.
//!
//! The one idea: **a parser believes no number that the file states about itself.** A header may claim
//! terabytes; nothing is allocated that the bytes at hand cannot fill. A file is accepted only if every
//! byte of it is accounted for: where a format leaves nothing to its writer, writing what was read gives the
//! same bytes back. Parsers open no files, so that they can be fuzzed on bytes, and depend on the standard
//! library and what others have made for one matter: a decompressor, records of CSV, the container of
//! safetensors, PNG and JPEG.
//!
//! The lints below turn "a parser cannot panic or overflow" into something the compiler checks: no
//! indexing, no unchecked arithmetic, no lossy cast, no `unwrap`.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::as_conversions,
    clippy::unreachable
)]

pub mod array;
pub mod cifar;
pub mod csv;
pub mod gzip;
pub mod idx;
pub mod npy;
pub mod npz;
pub mod numbers;
pub mod picture;
mod python;
pub mod safetensors;
pub mod targets;

pub use python::Syntax;

use std::borrow::Cow;

/// Why the bytes of a data file could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The (decompressed) bytes are not a valid IDX file.
    #[error(transparent)]
    Idx(#[from] idx::IdxError),
    /// The compressed bytes are not a valid gzip file.
    #[error(transparent)]
    Gzip(#[from] gzip::GzipError),
    /// The bytes are not a valid CIFAR file.
    #[error(transparent)]
    Cifar(#[from] cifar::CifarError),
    /// The text is not a table that can be read.
    #[error(transparent)]
    Csv(#[from] csv::CsvError),
    /// The bytes are not a picture that can be used.
    #[error(transparent)]
    Picture(#[from] picture::PictureError),
    /// The bytes are not a safetensors file that can be read.
    #[error(transparent)]
    Safetensors(#[from] safetensors::SafetensorsError),
    /// The bytes are not an NPY file that can be read.
    #[error(transparent)]
    Npy(#[from] npy::NpyError),
    /// The bytes are not an NPZ file that can be read.
    #[error(transparent)]
    Npz(#[from] npz::NpzError),
}

/// The bytes of an IDX file that may or may not be compressed, decompressed if they are.
///
/// Compression is recognised by content; the name of the file does not matter. The IDX header is
/// decompressed first, and then no more than the length it declares: a gzip bomb is cut off one byte
/// after the end of the array it pretends to be, and one that declares more than
/// [`gzip::MAX_OUTPUT_LEN`] is not decompressed at all. Hand the result to [`idx::Idx::parse`].
///
/// # Errors
/// [`FormatError::Gzip`] if the compressed data are damaged, cut short, followed by something else, or
/// longer than the header inside declares; [`FormatError::Idx`] if that header is wrong.
pub fn unpack_idx(bytes: &[u8]) -> Result<Cow<'_, [u8]>, FormatError> {
    if !gzip::is_gzip(bytes) {
        return Ok(Cow::Borrowed(bytes));
    }
    let header = gzip::prefix(bytes, idx::MAX_HEADER_LEN)?;
    let len = idx::declared_len(&header)?;
    if len > gzip::MAX_OUTPUT_LEN {
        return Err(gzip::GzipError::TooLong { limit: gzip::MAX_OUTPUT_LEN }.into());
    }
    Ok(Cow::Owned(gzip::decompress(bytes, len)?))
}
