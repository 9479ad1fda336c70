//! [`Array`]: what any of the formats of arrays comes to, numbers and a shape.

use super::idx::Idx;
use super::npy::{Npy, NpyError};
use super::numbers::Numbers;

/// An array of any shape in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The elements, in C's order: the last index runs fastest.
    pub numbers: Numbers,
    /// The length along each axis; none for a single number.
    pub shape: Vec<usize>,
}

impl Array {
    /// The array of an NPY file.
    ///
    /// # Errors
    /// If the file is none that can be read.
    pub fn of_npy(bytes: &[u8]) -> Result<Self, NpyError> {
        let npy = Npy::parse(bytes)?;
        Ok(Self { numbers: npy.numbers()?, shape: npy.shape().to_vec() })
    }

    /// The array of an IDX file.
    #[must_use]
    pub fn of_idx(idx: &Idx<'_>) -> Self {
        let shape = idx.shape().iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect();
        Self { numbers: idx.numbers(), shape }
    }
}
