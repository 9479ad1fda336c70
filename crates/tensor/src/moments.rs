//! Moments of all elements of a tensor, which its storage remembers.
//!
//! Observers look at arrays that no cache holds, and to read one again takes longer than what is computed of it. So an
//! activation function that somebody looks on at looks at large operands and results itself, piece by piece, while
//! they pass through the cache. Its numbers are those of a look afterwards, to the bit.

use crate::dtype::{FloatElement, with_float};
use crate::mode::mode;
use crate::onlooker::OBSERVED;
use crate::storage::Buffer;
use crate::tensor::Tensor;
use backflow_kernels::reduce::{self, Moments};
use std::sync::OnceLock;

/// Elements from which on a look costs more than its arithmetic: half a megabyte of `f32`.
const LARGE: usize = 1 << 17;

/// What is remembered of these elements, if they are all of a storage, in the order in which they lie there.
fn remembered<T: FloatElement>(x: &Tensor) -> Option<&OnceLock<Box<Moments>>> {
    let buffer: &Buffer<T> = T::buffer(&x.storage)?;
    let whole = x.dense_slice::<T>().is_some_and(|elements| elements.len() == buffer.as_slice().len());
    whole.then(|| buffer.moments())
}

impl Tensor {
    /// Moments of all elements, as [`moments`](reduce::moments()) tells them without bounds of the elements in the order of
    /// memory, or row by row where they do not lie side by side.
    ///
    /// # Panics
    /// If the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn moments(&self) -> Moments {
        with_float!("moments", self.dtype(), T => {
            let of = |x: &[T]| reduce::moments(x, None);
            match remembered::<T>(self) {
                Some(moments) => **moments.get_or_init(|| Box::new(of(self.storage_slice()))),
                None => self.dense_slice().map_or_else(|| of(&self.to_vec()), of),
            }
        })
    }

    /// Whether somebody looked at them already.
    #[must_use]
    pub fn has_known_moments(&self) -> bool {
        match self.dtype().is_float() {
            true => with_float!("moments", self.dtype(), T => {
                remembered::<T>(self).is_some_and(|moments| moments.get().is_some())
            }),
            false => false,
        }
    }

    /// Remembers moments that were told of all elements on the way.
    pub(crate) fn remember<T: FloatElement>(&self, moments: Moments) {
        if let Some(remembered) = remembered::<T>(self) {
            let _ = remembered.set(Box::new(moments));
        }
    }
}

/// Whether an op looks at what it reads and makes, so many elements, on the way. Where results are rid of subnormal
/// numbers afterwards they are not yet what they will be.
pub(crate) fn looks_on_the_way(elements: usize) -> bool {
    elements >= LARGE && OBSERVED.get() && !mode().flushing
}
