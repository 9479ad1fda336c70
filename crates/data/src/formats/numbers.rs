//! [`Numbers`]: the elements of an array in memory, and how they are read from the bytes that a file has.
//!
//! Files know thirteen types of numbers, this library five. Each is read as the first of these that holds every number of
//! its type, so that nothing is rounded:
//!
//! ```text
//! truth values                                  bool
//! bytes, u8                                     u8      pixels
//! i8, i16, i32, i64, u16, u32, u64              i64     a u64 above i64's largest number is refused
//! f16, bf16, f32                                f32
//! f64                                           f64
//! ```
//!
//! What it refuses: a truth value that is neither 0 nor 1.

/// The type of the elements of an array in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberType {
    /// Truth values, a byte each.
    Bool,
    /// Unsigned bytes.
    U8,
    /// Unsigned integers of 16 bits.
    U16,
    /// Unsigned integers of 32 bits.
    U32,
    /// Unsigned integers of 64 bits.
    U64,
    /// Signed bytes.
    I8,
    /// Signed integers of 16 bits.
    I16,
    /// Signed integers of 32 bits.
    I32,
    /// Signed integers of 64 bits.
    I64,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of an `f32`.
    BF16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl NumberType {
    /// The size of one element in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// Which byte of a number comes first in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// That of the least weight.
    Little,
    /// That of the greatest weight.
    Big,
}

/// Why bytes are not such numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NumbersError {
    /// A truth value is neither 0 nor 1.
    #[error("element {index}: {value} as a truth value, which is 0 or 1; the file is damaged")]
    Bool {
        /// Which element, counted from 0 in the order of the file.
        index: usize,
        /// The byte found.
        value: u8,
    },
    /// An unsigned integer is too large for `i64`.
    #[error(
        "element {index}: {value}, above the largest integer that is read, 9223372036854775807; convert to float64"
    )]
    TooLarge {
        /// Which element, counted from 0 in the order of the file.
        index: usize,
        /// The number.
        value: u64,
    },
}

/// The elements of an array, one after another.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Truth values.
    Bool(Vec<bool>),
    /// Bytes, as pixels are.
    U8(Vec<u8>),
    /// All other integers.
    I64(Vec<i64>),
    /// Floating-point numbers of up to 32 bits.
    F32(Vec<f32>),
    /// Floating-point numbers of 64 bits.
    F64(Vec<f64>),
}

impl Numbers {
    /// The numbers in these bytes; what is left of a number at the end is ignored.
    ///
    /// ```
    /// use backflow_data::formats::numbers::{ByteOrder, Numbers, NumberType};
    ///
    /// let read = Numbers::read(NumberType::I16, ByteOrder::Big, &[1, 2, 0xff, 0xfe]);
    /// assert_eq!(read, Ok(Numbers::I64(vec![258, -2])));
    /// ```
    ///
    /// # Errors
    /// If a truth value is neither 0 nor 1, or an unsigned integer is too large for `i64`.
    pub fn read(number_type: NumberType, order: ByteOrder, bytes: &[u8]) -> Result<Self, NumbersError> {
        Self::arranged(number_type, order, bytes, None)
    }

    /// The numbers of an array of this shape whose first index runs fastest in the file (Fortran's order), put so that the
    /// last one does (C's order). Of a shape with another number of elements, what comes out is in no particular order.
    ///
    /// # Errors
    /// Like [`read`](Self::read).
    pub fn read_fortran(
        number_type: NumberType,
        order: ByteOrder,
        bytes: &[u8],
        shape: &[usize],
    ) -> Result<Self, NumbersError> {
        Self::arranged(number_type, order, bytes, Some(shape))
    }

    fn arranged(
        number_type: NumberType,
        order: ByteOrder,
        bytes: &[u8],
        fortran: Option<&[usize]>,
    ) -> Result<Self, NumbersError> {
        let each = Bytes { bytes, order, fortran };
        Ok(match number_type {
            NumberType::Bool => {
                if let Some(index) = bytes.iter().position(|&byte| byte > 1) {
                    let value = bytes.get(index).copied().unwrap_or_default();
                    return Err(NumbersError::Bool { index, value });
                }
                Self::Bool(each.map(|[byte]: [u8; 1]| byte != 0))
            }
            NumberType::U8 if fortran.is_none() => Self::U8(bytes.to_vec()),
            NumberType::U8 => Self::U8(each.map(u8::from_le_bytes)),
            NumberType::U16 => Self::I64(each.map(|b| u16::from_le_bytes(b).into())),
            NumberType::U32 => Self::I64(each.map(|b| u32::from_le_bytes(b).into())),
            NumberType::U64 => {
                // Those above `i64`'s largest number are below 0 as `i64`.
                let numbers = each.map(i64::from_le_bytes);
                if let Some((index, number)) = numbers.iter().enumerate().find(|(_, number)| **number < 0) {
                    return Err(NumbersError::TooLarge { index, value: number.cast_unsigned() });
                }
                Self::I64(numbers)
            }
            NumberType::I8 => Self::I64(each.map(|b| i8::from_le_bytes(b).into())),
            NumberType::I16 => Self::I64(each.map(|b| i16::from_le_bytes(b).into())),
            NumberType::I32 => Self::I64(each.map(|b| i32::from_le_bytes(b).into())),
            NumberType::I64 => Self::I64(each.map(i64::from_le_bytes)),
            NumberType::F16 => Self::F32(each.map(|b| of_half(u16::from_le_bytes(b)))),
            NumberType::BF16 => Self::F32(each.map(|[low, high]| f32::from_le_bytes([0, 0, low, high]))),
            NumberType::F32 => Self::F32(each.map(f32::from_le_bytes)),
            NumberType::F64 => Self::F64(each.map(f64::from_le_bytes)),
        })
    }

    /// The bytes that these numbers are written as, the byte of the least weight first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Flat maps of arrays do not know how long they are; blocks do.
        fn each<const N: usize, T: Copy>(numbers: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
            let mut all = vec![[0; N]; numbers.len()];
            all.iter_mut().zip(numbers).for_each(|(to, &number)| *to = bytes(number));
            all.into_flattened()
        }
        match self {
            Self::Bool(numbers) => numbers.iter().map(|&number| u8::from(number)).collect(),
            Self::U8(numbers) => numbers.clone(),
            Self::I64(numbers) => each(numbers, i64::to_le_bytes),
            Self::F32(numbers) => each(numbers, f32::to_le_bytes),
            Self::F64(numbers) => each(numbers, f64::to_le_bytes),
        }
    }

    /// The type that they have in a file when they are written.
    #[must_use]
    pub fn number_type(&self) -> NumberType {
        match self {
            Self::Bool(_) => NumberType::Bool,
            Self::U8(_) => NumberType::U8,
            Self::I64(_) => NumberType::I64,
            Self::F32(_) => NumberType::F32,
            Self::F64(_) => NumberType::F64,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(numbers) => numbers.len(),
            Self::U8(numbers) => numbers.len(),
            Self::I64(numbers) => numbers.len(),
            Self::F32(numbers) => numbers.len(),
            Self::F64(numbers) => numbers.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The bytes of elements, and how they lie.
struct Bytes<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
    /// The shape, if the first index runs fastest.
    fortran: Option<&'a [usize]>,
}

impl Bytes<'_> {
    /// A number of each `N` bytes.
    fn map<const N: usize, T: Copy + Default>(self, number: impl Fn([u8; N]) -> T) -> Vec<T> {
        let (elements, _) = self.bytes.as_chunks();
        match self.order {
            ByteOrder::Little => in_c_order(elements, self.fortran, number),
            ByteOrder::Big => in_c_order(elements, self.fortran, |mut bytes| {
                bytes.reverse();
                number(bytes)
            }),
        }
    }
}

/// IEEE 754 binary16: a sign, 5 bits of the exponent, 10 of the fraction.
fn of_half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 31), bits & 1023);
    let magnitude = match exponent {
        // Subnormal: the fraction times 2⁻²⁴, of which f32 has no need.
        0 => (f32::from(fraction) / 16_777_216.0).to_bits(),
        31 => 255 << 23 | u32::from(fraction) << 13,
        _ => exponent.saturating_add(127 - 15) << 23 | u32::from(fraction) << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// From Fortran's order to C's, axis by axis: with the first axis moved from the fastest place to the slowest, each of its
/// entries is an array of the other axes in Fortran's order.
fn in_c_order<S: Copy, T: Copy + Default>(
    elements: &[S],
    fortran: Option<&[usize]>,
    number: impl Fn(S) -> T,
) -> Vec<T> {
    let Some((&rows, shape)) = fortran.and_then(<[usize]>::split_first) else {
        return elements.iter().map(|&element| number(element)).collect();
    };
    let mut numbers = vec![T::default(); elements.len()];
    let mut block = elements.len().checked_div(rows).unwrap_or_default();
    transpose(elements, &mut numbers, rows, block, number);
    for &rows in shape {
        let columns = block.checked_div(rows).unwrap_or_default();
        // One row or one column stays what it is.
        if rows > 1 && columns > 1 {
            let mut moved = vec![T::default(); numbers.len()];
            for (from, to) in numbers.chunks(block).zip(moved.chunks_mut(block)) {
                transpose(from, to, rows, columns, |number| number);
            }
            numbers = moved;
        }
        block = columns;
    }
    numbers
}

/// How many rows are written at a time: as many numbers of one column lie in a line of the cache.
const ROWS: usize = 16;

/// Column after column of `rows` elements becomes row after row of `columns` numbers.
fn transpose<S: Copy, T>(from: &[S], to: &mut [T], rows: usize, columns: usize, number: impl Fn(S) -> T) {
    let some = columns.saturating_mul(ROWS).max(1);
    for (block, to) in to.chunks_mut(some).enumerate() {
        let begin = block.saturating_mul(ROWS);
        for (at, column) in from.chunks(rows.max(1)).enumerate() {
            let elements = column.get(begin..).unwrap_or_default();
            for (row, &element) in to.chunks_mut(columns.max(1)).zip(elements) {
                if let Some(place) = row.get_mut(at) {
                    *place = number(element);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::of_half;

    /// ± 2^(e − 15) (1 + f / 1024), below the normal numbers ± 2⁻¹⁴ f / 1024, of all bits there are.
    #[test]
    fn halves_are_what_the_standard_says() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
            let magnitude = match exponent {
                0 => fraction * 2_f64.powi(-14),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1.0 + fraction) * 2_f64.powi(exponent - 15),
            };
            let (expected, found) = (if bits >> 15 == 1 { -magnitude } else { magnitude }, of_half(bits));
            let is_same = f64::from(found) == expected && found.is_sign_negative() == (bits >> 15 == 1);
            assert!(is_same || found.is_nan() && expected.is_nan(), "{bits:04x}: {found} for {expected}");
        }
    }
}
