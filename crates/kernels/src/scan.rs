//! Running sums along an axis, and what they are a case of.
//!
//! ```text
//! recurrence   y[k] = a[k]·y[k − 1] + b[k],  y before the first place is 0        from the end: k + 1 for k − 1
//! cumsum       the same with a = 1
//! ```
//!
//! Each sum runs in `f64`, place after place, and is rounded where it is written.

use crate::Float;
use crate::parallel::{self, GRAIN, Rows};

/// Columns whose sums run side by side.
const LANES: usize = 32;
/// Rows whose sums do, where each is a single column: an addition waits for the one before it.
const ROWS: usize = 8;

/// Sums over the middle axis of `[outer, len, inner]` up to each place, or from each place on.
///
/// ```
/// let (mut y, mut back) = ([0.0; 3], [0.0; 3]);
/// backflow_kernels::scan::cumsum(&[1.0, 2.0, 3.0], 3, 1, false, &mut y);
/// backflow_kernels::scan::cumsum(&[1.0, 2.0, 3.0], 3, 1, true, &mut back);
/// assert_eq!((y, back), ([1.0, 3.0, 6.0], [6.0, 5.0, 3.0]));
/// ```
///
/// # Panics
/// If the slices are not alike, or no such array.
#[track_caller]
pub fn cumsum<T: Float>(x: &[T], len: usize, inner: usize, from_end: bool, out: &mut [T]) {
    assert!(x.len() == out.len(), "cumsum: slices of {} and {} elements", x.len(), out.len());
    scan(len, inner, from_end, out, |at, before, _| before + x[at].to_f64());
}

/// `y[k] = a[k]·y[k − 1] + b[k]` along the middle axis of `[outer, len, inner]`, or from its end on. The first `a` has
/// nothing to multiply.
///
/// # Panics
/// As [`cumsum`].
#[track_caller]
pub fn recurrence<T: Float>(a: &[T], b: &[T], len: usize, inner: usize, from_end: bool, out: &mut [T]) {
    let fits = a.len() == out.len() && b.len() == out.len();
    assert!(fits, "recurrence: slices of {}, {} and {} elements", a.len(), b.len(), out.len());
    scan(len, inner, from_end, out, |at, before, is_first| {
        // An infinite factor there would make NaN of it.
        let carried = if is_first { 0.0 } else { a[at].to_f64() * before };
        carried + b[at].to_f64()
    });
}

/// `next` makes of a place, the sum before it, and whether there is one, the sum there.
#[track_caller]
fn scan<T: Float>(
    len: usize,
    inner: usize,
    from_end: bool,
    out: &mut [T],
    next: impl Fn(usize, f64, bool) -> f64 + Copy + Send + Sync,
) {
    if out.is_empty() {
        return;
    }
    assert!(out.len().is_multiple_of(len * inner), "scan: {} elements are no [_, {len}, {inner}]", out.len());
    let block = len * inner;
    parallel::for_each(Rows::new(out, block), (GRAIN / 4 / block).max(1), |mut rows| {
        if inner == 1 {
            let mut together = rows.data.chunks_exact_mut(ROWS * len);
            let mut first = rows.first;
            for out in &mut together {
                let (start, mut sums) = (first * len, [0.0; ROWS]);
                for nth in 0..len {
                    let place = if from_end { len - 1 - nth } else { nth };
                    for (row, sum) in sums.iter_mut().enumerate() {
                        *sum = next(start + row * len + place, *sum, nth == 0);
                        out[row * len + place] = T::from_f64(*sum);
                    }
                }
                first += ROWS;
            }
            rows = Rows { first, width: len, data: together.into_remainder() };
        }
        for (idx, out) in rows.data.chunks_exact_mut(block).enumerate() {
            let start = (rows.first + idx) * block;
            for column in (0..inner).step_by(LANES) {
                let columns = LANES.min(inner - column);
                let mut sums = [0.0; LANES];
                for nth in 0..len {
                    let place = if from_end { len - 1 - nth } else { nth };
                    let at = place * inner + column;
                    for (lane, sum) in sums[..columns].iter_mut().enumerate() {
                        *sum = next(start + at + lane, *sum, nth == 0);
                        out[at + lane] = T::from_f64(*sum);
                    }
                }
            }
        }
    });
}
