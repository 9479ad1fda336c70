//! Tensors from numbers, arrays of them and vectors, as programs write them: `Tensor::from([[1.0, 2.0]])`.
//!
//! The shape is that of the array; `Tensor::from(vec)` has one axis. Vectors of vectors, whose rows may
//! differ in length, are left to [`Tensor::from_vec`] and [`Tensor::stack`].

use crate::tensor::Tensor;

macro_rules! from_arrays {
    ($($type:ty)*) => {$(
        impl From<$type> for Tensor {
            fn from(value: $type) -> Self {
                Self::scalar(value)
            }
        }
        impl From<Vec<$type>> for Tensor {
            fn from(values: Vec<$type>) -> Self {
                let size = values.len();
                Self::from_vec(values, [size])
            }
        }
        impl<const A: usize> From<[$type; A]> for Tensor {
            fn from(values: [$type; A]) -> Self {
                Self::from_vec(values.to_vec(), [A])
            }
        }
        impl<const A: usize, const B: usize> From<[[$type; B]; A]> for Tensor {
            fn from(values: [[$type; B]; A]) -> Self {
                Self::from_vec(values.as_flattened().to_vec(), [A, B])
            }
        }
        impl<const A: usize, const B: usize, const C: usize> From<[[[$type; C]; B]; A]> for Tensor {
            fn from(values: [[[$type; C]; B]; A]) -> Self {
                Self::from_vec(values.as_flattened().as_flattened().to_vec(), [A, B, C])
            }
        }
    )*};
}
from_arrays!(f32 f64 i64 bool);
