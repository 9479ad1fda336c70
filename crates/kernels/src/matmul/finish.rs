//! What is done with the result of a product while it is still in the cache: a function of each element.

use crate::Float;
use crate::isa::{Work, dispatch};
use std::marker::PhantomData;

/// Finishes a rectangle of the result, whose sums are complete.
pub(super) type Finish<'a, T> = dyn Fn(Rectangle<'_, T>) + Sync + 'a;

/// A rectangle of a row-major result.
#[derive(Debug)]
pub(super) struct Rectangle<'a, T> {
    first: *mut T,
    rows: usize,
    cols: usize,
    row_stride: usize,
    elements: PhantomData<&'a mut T>,
}

impl<T> Rectangle<'_, T> {
    /// # Safety
    /// As long as the rectangle is there, its elements are valid and nobody else uses them. What lies between its rows may be
    /// anybody's.
    pub(super) unsafe fn new(first: *mut T, rows: usize, cols: usize, row_stride: usize) -> Self {
        Self { first, rows, cols, row_stride, elements: PhantomData }
    }
}

impl<T: Float> Rectangle<'_, T> {
    /// `c = f(c)` for each element.
    pub(super) fn map(self, f: impl Fn(T) -> T) {
        dispatch(Map(self, f));
    }
}

struct Map<'a, T, F>(Rectangle<'a, T>, F);

impl<T: Float, F: Fn(T) -> T> Work for Map<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self(Rectangle { first, rows, cols, row_stride, .. }, f) = self;
        // Rows that follow each other are one long row.
        let (rows, cols) = if cols == row_stride { (1, rows * cols) } else { (rows, cols) };
        for i in 0..rows {
            // SAFETY: `new` was promised that the elements of each row are ours.
            let row = unsafe { std::slice::from_raw_parts_mut(first.add(i * row_stride), cols) };
            for c in row {
                *c = f(*c);
            }
        }
    }
}
