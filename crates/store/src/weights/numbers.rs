//! Elements in files: all types of numbers that there are in them, and those that there are here.

use crate::shape;
use backflow_tensor::{DType, Shape, Tensor};
use safetensors::tensor::{Dtype, TensorView};

pub(super) fn safetensors_dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::I64 => Dtype::I64,
        DType::Bool => Dtype::BOOL,
    }
}

pub(super) fn to_bytes(tensor: &Tensor) -> Vec<u8> {
    match tensor.dtype() {
        DType::F32 => tensor.to_vec::<f32>().iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::F64 => tensor.to_vec::<f64>().iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::I64 => tensor.to_vec::<i64>().iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::Bool => tensor.to_vec::<bool>().iter().map(|&x| u8::from(x)).collect(),
    }
}

/// The elements of a file in the type here that holds all of its type, so that none changes: `f32` for `F16` and `BF16`,
/// `i64` for integers. `None` where there is no such type, no tensor of that shape, or a number beyond `i64`.
pub(super) fn exact(view: &TensorView<'_>) -> Option<Tensor> {
    fn tensor<const N: usize, T: backflow_tensor::Element>(
        bytes: &[u8],
        shape: Shape,
        number: impl Fn([u8; N]) -> T,
    ) -> Tensor {
        Tensor::from_vec(bytes.as_chunks().0.iter().map(|&bytes| number(bytes)).collect::<Vec<T>>(), shape)
    }
    let (shape, bytes) = (shape::possible(view.shape())?, view.data());
    Some(match view.dtype() {
        Dtype::F32 => tensor(bytes, shape, f32::from_le_bytes),
        Dtype::F64 => tensor(bytes, shape, f64::from_le_bytes),
        Dtype::F16 => tensor(bytes, shape, |bytes| of_half(u16::from_le_bytes(bytes))),
        // The upper half of an `f32`.
        Dtype::BF16 => tensor(bytes, shape, |[low, high]| f32::from_le_bytes([0, 0, low, high])),
        Dtype::I64 => tensor(bytes, shape, i64::from_le_bytes),
        Dtype::I32 => tensor(bytes, shape, |bytes| i64::from(i32::from_le_bytes(bytes))),
        Dtype::I16 => tensor(bytes, shape, |bytes| i64::from(i16::from_le_bytes(bytes))),
        Dtype::I8 => tensor(bytes, shape, |bytes| i64::from(i8::from_le_bytes(bytes))),
        Dtype::U32 => tensor(bytes, shape, |bytes| i64::from(u32::from_le_bytes(bytes))),
        Dtype::U16 => tensor(bytes, shape, |bytes| i64::from(u16::from_le_bytes(bytes))),
        Dtype::U8 => tensor(bytes, shape, |[byte]: [u8; 1]| i64::from(byte)),
        Dtype::U64 => {
            let numbers = bytes.as_chunks().0.iter().map(|&bytes| u64::from_le_bytes(bytes).try_into());
            Tensor::from_vec(numbers.collect::<Result<Vec<i64>, _>>().ok()?, shape)
        }
        Dtype::BOOL => tensor(bytes, shape, |[byte]: [u8; 1]| byte != 0),
        _ => return None,
    })
}

/// IEEE 754 binary16: a sign, 5 bits of the exponent, 10 of the fraction.
fn of_half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 31), u32::from(bits & 1023));
    let magnitude = match exponent {
        // Subnormal: the fraction times 2⁻²⁴, of which f32 has no need.
        0 => (fraction as f32 / 16_777_216.0).to_bits(),
        31 => 255 << 23 | fraction << 13,
        _ => (exponent + (127 - 15)) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// What came of a [cast].
pub(super) enum Cast {
    /// The numbers in the other type, of which so many were rounded.
    Done(Tensor, usize),
    /// No numbers of this type are made of those.
    Impossible,
    /// This number is not infinite, and would be.
    Overflow(f64),
}

/// Numbers in another type. Fractions become no integers, and numbers no truth values.
pub(super) fn cast(x: &Tensor, dtype: DType) -> Cast {
    if x.dtype() == dtype {
        return Cast::Done(x.clone(), 0);
    }
    if !dtype.is_float() || x.dtype() == DType::Bool {
        return Cast::Impossible;
    }
    let y = x.to_dtype(dtype);
    let back = y.to_f64_vec();
    if x.dtype() == DType::I64 {
        let changed = |(x, y): (i64, f64)| i128::from(x) != y as i128;
        let rounded = x.to_vec::<i64>().into_iter().zip(back).filter(|&pair| changed(pair)).count();
        return Cast::Done(y, rounded);
    }
    let pairs = || x.to_f64_vec().into_iter().zip(&back);
    match pairs().find(|(x, y)| x.is_finite() && y.is_infinite()) {
        Some((x, _)) => Cast::Overflow(x),
        None => Cast::Done(y.clone(), pairs().filter(|(x, y)| x != *y && !x.is_nan()).count()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Cast, cast, of_half};
    use backflow_tensor::{DType, Tensor};

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

    #[test]
    fn what_a_cast_changes_is_counted() {
        let done = |x: &Tensor, dtype| match cast(x, dtype) {
            Cast::Done(y, rounded) => Some((y.dtype(), y.to_f64_vec(), rounded)),
            Cast::Impossible | Cast::Overflow(_) => None,
        };
        let x = Tensor::from([0.1, 0.5, f64::INFINITY, 1e-60]);
        let rounded = vec![f64::from(0.1_f32), 0.5, f64::INFINITY, 0.0];
        assert_eq!(done(&x, DType::F32), Some((DType::F32, rounded, 2)));
        assert_eq!(done(&Tensor::from([f64::NAN]), DType::F32).map(|(.., rounded)| rounded), Some(0));
        assert_eq!(done(&Tensor::from([0.1_f32]), DType::F64).map(|(.., rounded)| rounded), Some(0));
        let integers = Tensor::from([1_i64 << 24, (1 << 24) + 1, i64::MAX]);
        assert_eq!(done(&integers, DType::F32).map(|(.., rounded)| rounded), Some(2));
        assert!(matches!(cast(&Tensor::from([1.0, -1e39]), DType::F32), Cast::Overflow(x) if x == -1e39));
        for (x, dtype) in [
            (Tensor::from([1.0]), DType::I64),
            (Tensor::from([true]), DType::F32),
            (Tensor::from([1_i64]), DType::Bool),
        ] {
            assert!(done(&x, dtype).is_none(), "{dtype}");
        }
    }
}
