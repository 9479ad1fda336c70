//! What a perceptron is made of: layers, their functions, and where gradients are wanted.

use crate::Float;
use crate::map;
use crate::matmul::Matrix;
use std::ops::Range;

/// Makes f(z) of the first slice, which is z, and writes f'(z) into the second.
pub type WithSlope<T> = fn(&mut [T], &mut [T]);

/// What a layer applies to its sums.
#[derive(Clone, Copy, Debug)]
pub struct Function<T> {
    /// z becomes a = f(z).
    pub apply: fn(&mut [T]),
    /// The same from z, which is kept, to a.
    pub apply_to: fn(&[T], &mut [T]),
    /// z becomes a = f(z), and the second slice f'(z). `None` if f' can be told from a.
    pub apply_with_slope: Option<WithSlope<T>>,
    /// da becomes dz = da·f'(z); the second slice is f', or a if f' is told from it.
    pub pull: fn(&mut [T], &[T]),
    /// The same from da, which is kept, to dz.
    pub pull_to: fn(&[T], &[T], &mut [T]),
}

/// Writes, for a layer and a range of its outputs, row by row, which of them are kept.
pub type Draw<'a> = &'a (dyn Fn(usize, Range<usize>, &mut [bool]) + Sync);

/// A layer: a = f(x wᵀ + b), of which elements may be dropped.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a, T> {
    /// w, `[outputs, inputs]`.
    pub weight: Matrix<'a, T>,
    /// b, `[outputs]`.
    pub bias: &'a [T],
    /// Numbers of a row of x.
    pub inputs: usize,
    /// f; the identity without one.
    pub function: Option<Function<T>>,
    /// What elements of f are multiplied by that are kept, if the others become 0.
    pub kept: Option<T>,
}

/// Where the gradients of a layer's parameters are wanted. They are written over.
#[derive(Debug, Default)]
pub struct Gradients<'a, T> {
    /// dw, `[outputs, inputs]`, row by row.
    pub weight: Option<&'a mut [T]>,
    /// db, `[outputs]`.
    pub bias: Option<&'a mut [T]>,
}

impl<T: Float> Layer<'_, T> {
    /// How many numbers a row of the result has.
    pub(super) fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Whether f' cannot be told from the outputs.
    pub(super) fn keeps_slope(&self) -> bool {
        self.function.is_some_and(|function| function.apply_with_slope.is_some() || self.kept.is_some())
    }

    /// Multiplies elements by what they are multiplied by where they are kept, or by 0.
    pub(super) fn drop(&self, x: &mut [T], mask: &[bool]) {
        if let Some(kept) = self.kept {
            map::zip_inplace(x, mask, move |x, is_kept| x * if is_kept { kept } else { T::ZERO });
        }
    }

    /// The same, elsewhere.
    pub(super) fn drop_to(&self, x: &[T], mask: &[bool], out: &mut [T]) {
        if let Some(kept) = self.kept {
            map::zip(x, mask, out, move |x, is_kept| x * if is_kept { kept } else { T::ZERO });
        }
    }
}
