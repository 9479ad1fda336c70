//! An NPY file from a stream: elements that lie in the file as they do in memory are read to where they stay.
//!
//! Without this, a file would lie in memory beside its numbers; large ones would take twice the room, and longer, as memory
//! that is new to a program costs as much time as it takes to fill it.

use super::{Header, Npy, NpyError, dictionary};
use crate::formats::array::Array;
use crate::formats::numbers::{ByteOrder, NumberType, Numbers};
use bytemuck::{Pod, cast_slice_mut};
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
        Err(NpyError::Truncated { expected, .. }) => {
            return Ok(Err(NpyError::Truncated { expected, found: len }));
        }
        Err(error) => return Ok(Err(error)),
    };
    // A dictionary with three keys is longer than what was read of it at first: the elements are next.
    let elements_len = len.saturating_sub(at);
    let (count, order) =
        (elements_len.checked_div(header.number_type.bytes()).unwrap_or_default(), header.byte_order);
    let numbers = match header.number_type {
        _ if header.is_fortran => None,
        NumberType::U8 => Some(Numbers::U8(numbers_of::<u8, 1>(source, count, order)?)),
        NumberType::I64 => Some(Numbers::I64(numbers_of::<i64, 8>(source, count, order)?)),
        NumberType::F32 => Some(Numbers::F32(numbers_of::<f32, 4>(source, count, order)?)),
        NumberType::F64 => Some(Numbers::F64(numbers_of::<f64, 8>(source, count, order)?)),
        _ => None,
    };
    let shape = header.shape.clone();
    if let Some(numbers) = numbers {
        return Ok(Ok(Array { numbers, shape }));
    }
    let elements = numbers_of::<u8, 1>(source, elements_len, order)?;
    Ok(Npy { header, elements: &elements }.numbers().map(|numbers| Array { numbers, shape }))
}

/// So many numbers of `N` bytes each.
fn numbers_of<T: Pod, const N: usize>(
    source: &mut impl Read,
    count: usize,
    order: ByteOrder,
) -> io::Result<Vec<T>>
where
    [u8; N]: Pod,
{
    let mut numbers = vec![T::zeroed(); count];
    source.read_exact(cast_slice_mut(&mut numbers))?;
    let is_native = (order == ByteOrder::Little) == cfg!(target_endian = "little");
    if !is_native {
        cast_slice_mut::<T, [u8; N]>(&mut numbers).iter_mut().for_each(|bytes| bytes.reverse());
    }
    Ok(numbers)
}
