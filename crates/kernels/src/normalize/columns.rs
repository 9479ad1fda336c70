//! Sums over the rows of matrices, column by column, of what is computed from two of them.

use crate::Float;
use crate::isa::{Work, dispatch};
use crate::parallel::{self, GRAIN};

/// Columns that are summed side by side, in registers.
pub(super) const LANES: usize = 32;
/// Rows that are summed at their own precision before they join the totals.
pub(super) const RUN: usize = 32;

/// `Σ value(row, a[row][column], b[row][column], constants[column])` over the rows of `a` and `b`, added to
/// `totals`: `K` rows of sums.
#[inline(always)]
pub(super) fn add<T: Float, const K: usize>(
    [a, b]: [&[T]; 2],
    constants: &[T],
    value: impl Fn(usize, T, T, T) -> [T; K] + Copy,
    totals: &mut [f64],
) {
    let (width, rows) = (constants.len(), a.len() / constants.len());
    for first in (0..rows).step_by(RUN) {
        let last = rows.min(first + RUN);
        let wide = width - width % LANES;
        for column in (0..wide).step_by(LANES) {
            add_run::<T, K, LANES>([a, b], constants, column, first..last, value, totals);
        }
        for column in wide..width {
            add_run::<T, K, 1>([a, b], constants, column, first..last, value, totals);
        }
    }
}

#[inline(always)]
fn add_run<T: Float, const K: usize, const N: usize>(
    [a, b]: [&[T]; 2],
    constants: &[T],
    column: usize,
    rows: std::ops::Range<usize>,
    value: impl Fn(usize, T, T, T) -> [T; K] + Copy,
    totals: &mut [f64],
) {
    let width = constants.len();
    let lanes = |of: &[T], at: usize| -> [T; N] { *of[at..].first_chunk().expect("rows are of this width") };
    let constants = lanes(constants, column);
    let mut sums = [[T::ZERO; N]; K];
    for row in rows {
        let (a, b) = (lanes(a, row * width + column), lanes(b, row * width + column));
        for l in 0..N {
            let value = value(row, a[l], b[l], constants[l]);
            for k in 0..K {
                sums[k][l] += value[k];
            }
        }
    }
    for k in 0..K {
        let totals = &mut totals[k * width + column..][..N];
        for l in 0..N {
            totals[l] += sums[k][l].to_f64();
        }
    }
}

/// [`add`] for rows that may be narrower than the registers: then several, side by side, are taken as one.
struct Narrow<'a, T, F> {
    of: [&'a [T]; 2],
    constants: &'a [T],
    value: F,
    totals: &'a mut [f64],
}

/// `K` rows of sums over all rows of `a` and `b`.
pub(super) fn sums<T: Float, const K: usize>(
    of: [&[T]; 2],
    constants: &[T],
    value: impl Fn(T, T, T) -> [T; K] + Copy,
) -> Vec<f64> {
    let mut totals = vec![0.0; K * constants.len()];
    dispatch(Narrow { of, constants, value, totals: &mut totals });
    totals
}

impl<T: Float, F: Fn(T, T, T) -> [T; K] + Copy, const K: usize> Work for Narrow<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { of: [a, b], constants, value, totals } = self;
        let width = constants.len();
        let wide = if width < LANES { whole_registers(constants) } else { constants.to_vec() };
        let (a, a_rest) = a.split_at(a.len() / wide.len() * wide.len());
        let (b, b_rest) = b.split_at(a.len());
        let value = |_, a, b, constant| value(a, b, constant);
        let mut wide_totals = vec![0.0; K * wide.len()];
        add([a, b], &wide, value, &mut wide_totals);
        add([a_rest, b_rest], constants, value, totals);
        for (totals, wide) in totals.chunks_exact_mut(width).zip(wide_totals.chunks_exact(wide.len())) {
            for wide in wide.chunks_exact(width) {
                totals.iter_mut().zip(wide).for_each(|(total, wide)| *total += wide);
            }
        }
    }
}

/// The constants of so many rows side by side that they fill whole registers.
pub(super) fn whole_registers<T: Float>(constants: &[T]) -> Vec<T> {
    constants.repeat(LANES >> constants.len().trailing_zeros().min(LANES.trailing_zeros()))
}

/// What `leaf` makes of pieces of so many rows, joined two by two.
pub(super) fn in_pieces<R: Send>(
    rows: usize,
    width: usize,
    leaf: impl Fn(std::ops::Range<usize>) -> R + Sync,
    join: impl Fn(R, R) -> R,
) -> R {
    parallel::fork(0..rows, (GRAIN / width).max(1).next_multiple_of(RUN), leaf, join)
}

/// The sum of two rows.
pub(super) fn added(mut left: Vec<f64>, right: Vec<f64>) -> Vec<f64> {
    left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
    left
}
