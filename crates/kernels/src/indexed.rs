//! Rows of `[outer, len, inner]` by their places along the middle axis: picked, and added back.
//!
//! ```text
//! pick     out[o, i, …]         = x[o, places[i], …]
//! add      out[o, places[i], …] += src[o, i, …]
//! ```
//!
//! Rows that are added to one place come in the order of `places`: threads share the places and not what is added, so the
//! bits are those of one thread.

use crate::Float;
use crate::isa::{Work, dispatch};
use crate::map::Element;
use crate::parallel::{self, GRAIN, Rows};

/// Pieces of what is added to, at most: each goes through all places, to find its own.
const PIECES: usize = 8;

/// Whether all places, of which negative ones count from the end, are within an axis of `len`.
///
/// ```
/// assert!(backflow_kernels::indexed::are_within(&[0, 2, -3], 3));
/// assert!(!backflow_kernels::indexed::are_within(&[0, 3], 3));
/// ```
#[must_use]
pub fn are_within(places: &[i64], len: usize) -> bool {
    let signs = |places: &[i64]| dispatch(Signs { places, len: i64::try_from(len).unwrap_or(i64::MAX) });
    places.is_empty() || parallel::fork(places, GRAIN, signs, |a, b| a | b) >= 0
}

/// Negative where one place is outside.
struct Signs<'a> {
    places: &'a [i64],
    len: i64,
}

impl Work for Signs<'_> {
    type Output = i64;
    #[inline(always)]
    fn run(self) -> i64 {
        let mut signs = 0;
        for &place in self.places {
            signs |= place.wrapping_add(self.len) | (self.len - 1).wrapping_sub(place);
        }
        signs
    }
}

#[track_caller]
fn check(name: &str, [all, picked]: [usize; 2], len: usize, inner: usize, places: &[usize]) {
    let fits = all * places.len() == picked * len && all.is_multiple_of((len * inner).max(1));
    assert!(fits, "{name}: {all} and {picked} elements of [_, {len}, {inner}] at {} places", places.len());
    assert!(places.iter().all(|&place| place < len), "{name}: a place is not one of {len}");
}

/// Copies the rows at the places.
///
/// ```
/// let mut out = [0; 4];
/// backflow_kernels::indexed::pick(&[1, 2, 3, 4, 5, 6], 3, 2, &[2, 0], &mut out);
/// assert_eq!(out, [5, 6, 1, 2]);
/// ```
///
/// # Panics
/// If the slices do not have the lengths that are told, or a place is outside the axis.
#[track_caller]
pub fn pick<T: Element>(x: &[T], len: usize, inner: usize, places: &[usize], out: &mut [T]) {
    check("pick", [x.len(), out.len()], len, inner, places);
    if out.is_empty() {
        return;
    }
    parallel::for_each(Rows::new(out, inner), (GRAIN / 4 / inner).max(1), |rows| {
        let (mut outer, mut at) = (rows.first / places.len(), rows.first % places.len());
        for row in rows.data.chunks_exact_mut(inner) {
            row.copy_from_slice(&x[(outer * len + places[at]) * inner..][..inner]);
            at += 1;
            if at == places.len() {
                (outer, at) = (outer + 1, 0);
            }
        }
    });
}

/// Adds rows at the places.
///
/// ```
/// let mut out = [1.0, 1.0, 1.0];
/// backflow_kernels::indexed::add(&[2.0, 3.0, 4.0], 3, 1, &[0, 2, 0], &mut out);
/// assert_eq!(out, [7.0, 1.0, 4.0]);
/// ```
///
/// # Panics
/// As [`pick`].
#[track_caller]
pub fn add<T: Float>(src: &[T], len: usize, inner: usize, places: &[usize], out: &mut [T]) {
    check("add", [out.len(), src.len()], len, inner, places);
    if src.is_empty() {
        return;
    }
    let pieces = (src.len() / (GRAIN / 4)).clamp(1, PIECES);
    let grain = (out.len() / inner).div_ceil(pieces);
    parallel::for_each(Rows::new(out, inner), grain, |Rows { first, data, .. }| {
        dispatch(Add { src, len, inner, places, first, out: data });
    });
}

/// What comes to some rows, from the `first` on.
struct Add<'a, T> {
    src: &'a [T],
    len: usize,
    inner: usize,
    places: &'a [usize],
    first: usize,
    out: &'a mut [T],
}

impl<T: Float> Work for Add<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Add { src, len, inner, places, first, out } = self;
        let count = out.len() / inner;
        for outer in first / len..(first + count).div_ceil(len) {
            let src = src[outer * places.len() * inner..].chunks_exact(inner);
            for (src, &place) in src.zip(places) {
                let row = (outer * len + place).wrapping_sub(first);
                if row < count {
                    for (out, &addend) in out[row * inner..][..inner].iter_mut().zip(src) {
                        *out += addend;
                    }
                }
            }
        }
    }
}
