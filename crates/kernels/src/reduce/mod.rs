//! Sums, extremes and statistics in an order that is a function of the shape alone.
//!
//! A contiguous array is seen as `[outer, len, inner]` and its middle axis is folded away: with `inner = 1`
//! the rows of a matrix, with `outer = 1` its columns, with both all elements. Sums are pairwise, so that
//! their errors grow like log n; the tree they follow is written in `fold` and `columns` and knows nothing of
//! threads or registers.

mod columns;
mod exponents;
pub(crate) mod fold;
mod moments;
mod nonzero_columns;
mod statistics;

use crate::Float;
use crate::map::Element;
use crate::parallel::{self, GRAIN};
pub use exponents::exponents;
use fold::{Fold, Largest, Piece, Smallest, Squares, Values};
pub use moments::{Moments, moments, moments_as_made};
pub use nonzero_columns::mark_nonzero_columns;
pub use statistics::{dot, sum_squares};

#[track_caller]
fn check(name: &str, x: usize, outer: usize, len: usize, inner: usize, out: usize) {
    assert!(
        x == outer * len * inner,
        "{name}: [{outer}, {len}, {inner}] does not describe a slice of {x} elements"
    );
    assert!(out == outer * inner, "{name}: the result is [{outer}, {inner}], its slice has {out} elements");
}

/// `piece` folds a slice as `fold` does.
fn reduce<A: Element, F: Fn(A, A) -> A + Copy + Send + Sync>(
    x: &[A],
    len: usize,
    inner: usize,
    out: &mut [A],
    fold: Fold<A, F>,
    piece: impl Piece<A>,
) {
    if x.is_empty() {
        return out.fill(fold.identity);
    }
    match inner {
        0 => {}
        1 => fold::rows(x, len, out, fold, piece),
        _ => columns::middle(x, len, inner, out, fold),
    }
}

/// Sum over the middle axis of `[outer, len, inner]`; 0 where `len` is.
///
/// ```
/// let mut columns = [0.0; 2];
/// backflow_kernels::reduce::sum(&[1.0, 2.0, 3.0, 4.0], 1, 2, 2, &mut columns);
/// assert_eq!(columns, [4.0, 6.0]);
/// ```
///
/// # Panics
/// If a slice does not have the length its shape says.
#[track_caller]
pub fn sum<T: Float>(x: &[T], outer: usize, len: usize, inner: usize, out: &mut [T]) {
    check("sum", x.len(), outer, len, inner, out.len());
    reduce(x, len, inner, out, fold::addition(), Values);
}

/// Sum of squares over the last axis of `[rows, len]`, to the bits of [`sum`] of their squares.
///
/// # Panics
/// If a slice does not have the length its shape says.
#[track_caller]
pub fn sum_of_squares<T: Float>(x: &[T], rows: usize, len: usize, out: &mut [T]) {
    check("sum_of_squares", x.len(), rows, len, 1, out.len());
    reduce(x, len, 1, out, fold::addition(), Squares);
}

/// Sum of integers over the middle axis of `[outer, len, inner]`, wrapping around on overflow.
///
/// # Panics
/// If a slice does not have the length its shape says.
#[track_caller]
pub fn sum_i64(x: &[i64], outer: usize, len: usize, inner: usize, out: &mut [i64]) {
    check("sum_i64", x.len(), outer, len, inner, out.len());
    reduce(x, len, inner, out, Fold { identity: 0, join: i64::wrapping_add }, Values);
}

/// Largest element over the middle axis of `[outer, len, inner]`; NaN if there is one.
///
/// # Panics
/// If a slice does not have the length its shape says, or `len` is 0.
#[track_caller]
pub fn max<T: Float>(x: &[T], outer: usize, len: usize, inner: usize, out: &mut [T]) {
    check("max", x.len(), outer, len, inner, out.len());
    assert!(len > 0, "max: an empty axis has no largest element");
    reduce(x, len, inner, out, Fold { identity: T::NEG_INFINITY, join: T::maximum }, Largest);
}

/// Smallest element over the middle axis of `[outer, len, inner]`; NaN if there is one.
///
/// # Panics
/// If a slice does not have the length its shape says, or `len` is 0.
#[track_caller]
pub fn min<T: Float>(x: &[T], outer: usize, len: usize, inner: usize, out: &mut [T]) {
    check("min", x.len(), outer, len, inner, out.len());
    assert!(len > 0, "min: an empty axis has no smallest element");
    reduce(x, len, inner, out, Fold { identity: T::INFINITY, join: T::minimum }, Smallest);
}

/// Index of the first largest element over the middle axis of `[outer, len, inner]`; a NaN is larger than
/// all.
///
/// # Panics
/// If a slice does not have the length its shape says, or `len` is 0.
#[track_caller]
pub fn argmax<T: Float>(x: &[T], outer: usize, len: usize, inner: usize, out: &mut [i64]) {
    check("argmax", x.len(), outer, len, inner, out.len());
    assert!(len > 0, "argmax: an empty axis has no largest element");
    locate(x, len, inner, out, |x, best| x > best);
}

/// Index of the first smallest element over the middle axis of `[outer, len, inner]`; a NaN is smaller than
/// all.
///
/// # Panics
/// If a slice does not have the length its shape says, or `len` is 0.
#[track_caller]
pub fn argmin<T: Float>(x: &[T], outer: usize, len: usize, inner: usize, out: &mut [i64]) {
    check("argmin", x.len(), outer, len, inner, out.len());
    assert!(len > 0, "argmin: an empty axis has no smallest element");
    locate(x, len, inner, out, |x, best| x < best);
}

/// Where the first NaN is, or else the first element that `beats` all before it.
fn locate<T: Float>(
    x: &[T],
    len: usize,
    inner: usize,
    out: &mut [i64],
    beats: impl Fn(T, T) -> bool + Copy + Send + Sync,
) {
    let grain = (GRAIN / len).max(1);
    parallel::for_each((0..out.len(), out), grain, |(range, out)| {
        for (at, out) in range.zip(out) {
            let column = x[at / inner * len * inner + at % inner..].iter().step_by(inner).take(len);
            let mut best = (0, x[at / inner * len * inner + at % inner]);
            for (i, &x) in column.enumerate() {
                if !best.1.is_nan() && (beats(x, best.1) || x.is_nan()) {
                    best = (i, x);
                }
            }
            *out = i64::try_from(best.0).unwrap_or(i64::MAX);
        }
    });
}
