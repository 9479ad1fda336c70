//! The numbers that programs write beside tensors: `&x * 2`, `x.gt(0.5_f32)`, `x.slice(0, -2..)`.
//!
//! A number takes the tensor's element type, never the other way round, so it does not matter which type it
//! was written in.

/// A number that stands beside a tensor, as in `&x * 2` or `x.gt(0)`: of any floating-point or integer type.
/// It is converted to `f64`, then to the tensor's element type, which the result keeps.
///
/// ```
/// # use backflow_tensor::{DType, Tensor};
/// let x = Tensor::from([1.0_f32, 2.0]);
/// let (half, count) = (0.5_f32, x.elements());
/// let y = (&x * half + 1.0) / count - 2;
/// assert_eq!((y.dtype(), y.to_vec::<f32>()), (DType::F32, vec![-1.25, -1.0]));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a tensor nor a number",
    label = "not a number",
    note = "a tensor is combined with a tensor, a reference to one, a float or an integer"
)]
pub trait Scalar: Copy {
    /// The closest `f64`; integers are exact up to 2⁵³.
    fn to_f64(self) -> f64;
}

/// An integer that counts axes, or places along one: negative ones count from the end.
pub trait Integer: Scalar {
    /// The value; where it is not an `isize`, the closest one, which no axis reaches.
    fn to_isize(self) -> isize;
}

macro_rules! scalars {
    ($($type:ty)*) => {$(
        impl Scalar for $type {
            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}
macro_rules! integers {
    ($($type:ty)*) => {$(
        impl Integer for $type {
            #[inline]
            fn to_isize(self) -> isize {
                (self as i128).clamp(isize::MIN as i128, isize::MAX as i128) as isize
            }
        }
    )*};
}
#[allow(trivial_numeric_casts, reason = "f64 is one of the types of the table")]
const _: () = {
    scalars!(f32 f64 i8 i16 i32 i64 isize u8 u16 u32 u64 usize);
    integers!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);
};
