//! An NPY file from a stream: elements that lie in the file as they do in memory are read to where they stay.
//!
//! Without this, a file would lie in memory beside its numbers; large ones would take twice the room, and longer, as memory
//! that is new to a program costs as much time as it takes to fill it.

use super::{Header, Npy, NpyError, dictionary};
use crate::formats::array::Array;
use crate::formats::numbers::{ByteOrder, NumberType, Numbers};
use bytemuck::{Pod, Zeroable, cast_slice_mut};
use std::io::{self, Read};

/// The array of an NPY file that has so many bytes, all of which are still to be read.
///
/// ```
/// use backflow_data::formats::{npy, numbers::Numbers};
///
/// let file = npy::write(&Numbers::F32(vec![1.0, 2.0]), &[2]).expect("two numbers");
/// let array = npy::read(&mut &file[..], file.len())?.expect("a valid file");
/// assert_eq!(array.numbers, Numbers::F32(vec![1.0, 2.0]));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// If the stream cannot be read, or ends before it has given so many bytes. What is wrong with the file is told within.
pub fn read(source: &mut impl Read, len: usize) -> io::Result<Result<Array, NpyError>> {
    // The magic number, the version, and the length of the dictionary of either version.
    let mut begin = Vec::new();
    source.by_ref().take(12).read_to_end(&mut begin)?;
    if let Err(NpyError::Truncated { expected, .. }) = dictionary(&begin)
        && expected <= len
    {
        let rest = u64::try_from(expected.saturating_sub(begin.len())).unwrap_or(u64::MAX);
        source.by_ref().take(rest).read_to_end(&mut begin)?;
    }
    let (header, at) = match Header::of_file(&begin, len) {
        Ok(known) => known,
        // Of a file that is cut short within its header, all is read.
        Err(NpyError::Truncated { expected, .. }) => {
            return Ok(Err(NpyError::Truncated { expected, found: len }));
        }
        Err(error) => return Ok(Err(error)),
    };
    // An empty array may have a header shorter than what was looked at; then nothing is left.
    let ahead = begin.get(at..).unwrap_or_default();
    let size = header.number_type.bytes();
    let count = len.saturating_sub(at).checked_div(size).unwrap_or_default();
    let numbers = match header.number_type {
        _ if header.is_fortran => None,
        NumberType::U8 => Some(Numbers::U8(numbers::<u8, 1>(source, ahead, count, header.byte_order)?)),
        NumberType::I64 => Some(Numbers::I64(numbers::<i64, 8>(source, ahead, count, header.byte_order)?)),
        NumberType::F32 => Some(Numbers::F32(numbers::<f32, 4>(source, ahead, count, header.byte_order)?)),
        NumberType::F64 => Some(Numbers::F64(numbers::<f64, 8>(source, ahead, count, header.byte_order)?)),
        _ => None,
    };
    let shape = header.shape.clone();
    if let Some(numbers) = numbers {
        return Ok(Ok(Array { numbers, shape }));
    }
    let elements = numbers_as_bytes(source, ahead, len.saturating_sub(at))?;
    Ok(Npy { header, elements: &elements }.numbers().map(|numbers| Array { numbers, shape }))
}

/// So many numbers of `N` bytes each, of which those `ahead` were read already.
fn numbers<T: Pod + Zeroable, const N: usize>(
    source: &mut impl Read,
    ahead: &[u8],
    count: usize,
    order: ByteOrder,
) -> io::Result<Vec<T>>
where
    [u8; N]: Pod,
{
    let mut numbers = vec![T::zeroed(); count];
    fill(source, ahead, cast_slice_mut(&mut numbers))?;
    let is_native = (order == ByteOrder::Little) == cfg!(target_endian = "little");
    if !is_native {
        cast_slice_mut::<T, [u8; N]>(&mut numbers).iter_mut().for_each(|bytes| bytes.reverse());
    }
    Ok(numbers)
}

fn numbers_as_bytes(source: &mut impl Read, ahead: &[u8], len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    fill(source, ahead, &mut bytes)?;
    Ok(bytes)
}

fn fill(source: &mut impl Read, ahead: &[u8], bytes: &mut [u8]) -> io::Result<()> {
    let (begin, rest) = bytes.split_at_mut(ahead.len().min(bytes.len()));
    begin.iter_mut().zip(ahead).for_each(|(to, &from)| *to = from);
    source.read_exact(rest)
}
