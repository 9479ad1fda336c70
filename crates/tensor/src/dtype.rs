//! The types that elements can have, known at run time.
//!
//! `F32` and `F64` carry gradients; `I64` holds labels and indices, `Bool` holds masks. Types are never
//! converted silently: mixing them is an error that names [`Tensor::to_dtype`](crate::Tensor::to_dtype),
//! because a promotion that goes unnoticed ruins a study of underflow.

use crate::error::misuse;
use crate::storage::{Buffer, Storage};
use crate::tensor::Tensor;
use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// 32-bit floating point, the type of ordinary training.
    F32,
    /// 64-bit floating point, for gradient checks and studies of underflow.
    F64,
    /// 64-bit integers, for labels and indices.
    I64,
    /// Booleans, for masks.
    Bool,
}

impl DType {
    /// Whether elements are floating point, so that gradients can flow.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// The size of one element in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 | Self::I64 => 8,
            Self::Bool => 1,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I64 => "i64",
            Self::Bool => "bool",
        })
    }
}

mod sealed {
    use super::{Buffer, Storage};
    use crate::storage::Pooled;

    /// How a Rust type is found in, and put into, a [`Storage`].
    pub trait Stored: Pooled {
        fn wrap(buffer: Buffer<Self>) -> Storage;
        fn buffer(storage: &Storage) -> Option<&Buffer<Self>>;
        fn slice(storage: &Storage) -> Option<&[Self]>;
        fn slice_mut(storage: &mut Storage) -> Option<&mut [Self]>;
    }
}
pub(crate) use sealed::Stored;

/// A Rust type that tensors can hold: `f32`, `f64`, `i64` or `bool`.
#[diagnostic::on_unimplemented(
    message = "no tensor has elements of type `{Self}`",
    label = "not `f32`, `f64`, `i64` or `bool`",
    note = "labels, indices and other integers are `i64`, e.g. `1_i64`"
)]
pub trait Element: Stored + Copy + Send + Sync + PartialEq + fmt::Debug + Default + 'static {
    /// The type's name at run time.
    const DTYPE: DType;

    /// The value as an `f64`; `true` is 1.
    fn as_f64(self) -> f64;
}

macro_rules! element {
    ($($type:ty, $variant:ident, $as_f64:expr;)*) => {$(
        impl Stored for $type {
            fn wrap(buffer: Buffer<Self>) -> Storage {
                Storage::$variant(buffer)
            }
            fn buffer(storage: &Storage) -> Option<&Buffer<Self>> {
                if let Storage::$variant(buffer) = storage { Some(buffer) } else { None }
            }
            fn slice(storage: &Storage) -> Option<&[Self]> {
                Self::buffer(storage).map(Buffer::as_slice)
            }
            fn slice_mut(storage: &mut Storage) -> Option<&mut [Self]> {
                if let Storage::$variant(buffer) = storage { Some(buffer.as_mut_slice()) } else { None }
            }
        }
        impl Element for $type {
            const DTYPE: DType = DType::$variant;
            fn as_f64(self) -> f64 {
                let convert: fn(Self) -> f64 = $as_f64;
                convert(self)
            }
        }
    )*};
}
element! {
    f32, F32, f64::from;
    f64, F64, |x| x;
    i64, I64, |x| x as f64;
    bool, Bool, |x| f64::from(u8::from(x));
}

/// A floating-point element: `f32` or `f64`.
pub trait FloatElement: Element + backflow_kernels::Float {}
impl FloatElement for f32 {}
impl FloatElement for f64 {}

/// Refuses two operands of different element types.
#[track_caller]
pub(crate) fn require_one_dtype(op: &str, left: &Tensor, right: &Tensor) {
    if left.dtype() != right.dtype() {
        let rows = [("left", left.described()), ("right", right.described())];
        misuse(op, "element types differ", &rows, "convert one of them with to_dtype");
    }
}

impl Tensor {
    /// Shape and element type, for errors.
    pub(crate) fn described(&self) -> String {
        format!("{} {}", self.shape(), self.dtype())
    }
}

/// Runs a block once with `T` bound to the floating-point type of `dtype`, for code that is generic over
/// [`FloatElement`](crate::FloatElement) and gets a tensor. Every type is named in one place, so that the
/// compiler finds the code that does not know a new one; a wildcard arm would compute it as `f32`.
///
/// ```
/// use backflow_tensor::{DType, FloatElement, Tensor, with_float};
///
/// fn largest<T: FloatElement>(x: &Tensor) -> f64 {
///     x.to_vec::<T>().into_iter().map(|x| x.as_f64()).fold(f64::NEG_INFINITY, f64::max)
/// }
/// let x = Tensor::from([1.0, 3.0, 2.0]);
/// assert_eq!(with_float!("largest", x.dtype(), T => largest::<T>(&x)), 3.0);
/// ```
///
/// # Panics
/// If `dtype` is not a floating-point type, in the name of the operation that comes first.
#[macro_export]
macro_rules! with_float {
    ($op:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            other @ ($crate::DType::I64 | $crate::DType::Bool) => $crate::misuse(
                $op,
                "needs floating-point elements",
                &[("dtype", other.to_string())],
                "convert with to_dtype(DType::F32)",
            ),
        }
    };
}
pub(crate) use with_float;

/// Runs a block once with `T` bound to the Rust type of `dtype`.
macro_rules! with_element {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::Bool => {
                type $T = bool;
                $body
            }
        }
    };
}
pub(crate) use with_element;
