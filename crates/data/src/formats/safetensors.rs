//! safetensors, the container of weights, as a container of data: named arrays behind a header of JSON.
//!
//! The reading of the container is the `safetensors` crate's, which checks that tensors lie within the file and cover it
//! without gaps or overlaps; the elements are [`Numbers`]. What it refuses: types of elements that are not read, such as
//! 8-bit floats and complex numbers. Source: the format's page, <https://github.com/huggingface/safetensors>.

use super::array::Array;
use super::numbers::{ByteOrder, NumberType, Numbers, NumbersError};
use ::safetensors::tensor::{Dtype, SafeTensors};
use backflow_tensor::quote::{quoted, told};
use std::fmt;

/// Why bytes are not such a file, or an array in it cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// The container is damaged.
    #[error("not a valid safetensors file: {}", told(reason))]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// Elements are of a type that is not read.
    #[error("{}: elements of type {element_type}, which is not read; convert them to float32", quoted(name))]
    ElementType {
        /// The array.
        name: String,
        /// The type.
        element_type: String,
    },
    /// An element is none of its type.
    #[error("{}: {source}", quoted(name))]
    Numbers {
        /// The array.
        name: String,
        /// What is wrong.
        source: NumbersError,
    },
}

/// The arrays of a file.
///
/// ```no_run
/// use backflow_data::formats::safetensors::Safetensors;
///
/// let file = std::fs::read("digits.safetensors")?;
/// let x = Safetensors::parse(&file)?.array("x").expect("an array of this name")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Safetensors<'a> {
    tensors: SafeTensors<'a>,
}

impl<'a> Safetensors<'a> {
    /// The arrays in a file, none of which is read yet.
    ///
    /// # Errors
    /// If the container is damaged.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SafetensorsError> {
        let failed =
            |error: ::safetensors::SafeTensorError| SafetensorsError::Invalid { reason: error.to_string() };
        Ok(Self { tensors: SafeTensors::deserialize(bytes).map_err(failed)? })
    }

    /// The names of the arrays, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names = self.tensors.names();
        names.sort_unstable();
        names
    }

    /// The array of this name, if there is one.
    ///
    /// # Errors
    /// If its elements are of a type that is not read.
    #[must_use]
    pub fn array(&self, name: &str) -> Option<Result<Array, SafetensorsError>> {
        let view = self.tensors.tensor(name).ok()?;
        let Some(number_type) = number_type(view.dtype()) else {
            let element_type = format!("{:?}", view.dtype());
            return Some(Err(SafetensorsError::ElementType { name: name.to_owned(), element_type }));
        };
        let numbers = Numbers::read(number_type, ByteOrder::Little, view.data());
        let failed = |source| SafetensorsError::Numbers { name: name.to_owned(), source };
        Some(numbers.map(|numbers| Array { numbers, shape: view.shape().to_vec() }).map_err(failed))
    }
}

impl fmt::Debug for Safetensors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

fn number_type(dtype: Dtype) -> Option<NumberType> {
    Some(match dtype {
        Dtype::BOOL => NumberType::Bool,
        Dtype::U8 => NumberType::U8,
        Dtype::U16 => NumberType::U16,
        Dtype::U32 => NumberType::U32,
        Dtype::U64 => NumberType::U64,
        Dtype::I8 => NumberType::I8,
        Dtype::I16 => NumberType::I16,
        Dtype::I32 => NumberType::I32,
        Dtype::I64 => NumberType::I64,
        Dtype::F16 => NumberType::F16,
        Dtype::BF16 => NumberType::BF16,
        Dtype::F32 => NumberType::F32,
        Dtype::F64 => NumberType::F64,
        _ => return None,
    })
}
