//! What reports say about an array: its moments, in one pass.
//!
//! Gradients that vanish or explode are what the figures are about, so none of them may under- or overflow on
//! the way. Squares of `f32` do, outside 1e-19 to 1e19. They are summed in `f32` all the same, which is
//! several times as fast, and once more in `f64` if the sum is not to be trusted.

use super::fold::{self, Fold};
use crate::Float;
use crate::isa::{Work, dispatch};
use crate::map::ahead;
use crate::parallel::{self, GRAIN};
use std::ops::Range;

/// What reports say about an array, in `f64`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Σ xᵢ.
    pub sum: f64,
    /// Σ xᵢ².
    pub sum_squares: f64,
    /// max |xᵢ|; NaN if any element is.
    pub max_abs: f64,
    /// How many elements are 0.
    pub zeros: u64,
    /// How many elements are outside the bounds that were given.
    pub outside: u64,
    /// How many elements are NaN or infinite.
    pub non_finite: u64,
}

impl Moments {
    fn join(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            sum_squares: self.sum_squares + other.sum_squares,
            max_abs: Float::maximum(self.max_abs, other.max_abs),
            zeros: self.zeros + other.zeros,
            outside: self.outside + other.outside,
            non_finite: self.non_finite + other.non_finite,
        }
    }
}

/// Statistics of all elements; `bounds` are those that [`Moments::outside`] counts by.
///
/// ```
/// let m = backflow_kernels::reduce::moments(&[0.0_f32, -3.0, 4.0], Some((-1.0, 5.0)));
/// assert_eq!((m.sum, m.sum_squares, m.max_abs, m.zeros, m.outside, m.non_finite), (1.0, 25.0, 4.0, 1, 1, 0));
/// ```
#[must_use]
pub fn moments<T: Float>(x: &[T], bounds: Option<(f64, f64)>) -> Moments {
    let (low, high) =
        bounds.map_or((T::NEG_INFINITY, T::INFINITY), |(a, b)| (T::from_f64(a), T::from_f64(b)));
    parallel::fork(
        x,
        GRAIN,
        |x| {
            // Without bounds there is nothing to compare with.
            let quick = match bounds {
                Some(_) => dispatch(Quick::<T, true> { x, low, high }),
                None => dispatch(Quick::<T, false> { x, low, high }),
            };
            // A sum of nothing but zeros is exact.
            let mean = quick.sum_squares / x.len() as f64;
            let trusted = SAFE_MEAN_SQUARE.contains(&mean) || quick.zeros == x.len() as u64;
            if trusted { quick } else { dispatch(Careful { x, low, high }) }
        },
        Moments::join,
    )
}

/// Lets `make` write `out` piece by piece, and looks at each piece while it is in the cache: [`moments`] without bounds,
/// to the bit; and, before them, those of `x`, of which `out` is made.
///
/// ```
/// use backflow_kernels::reduce::{moments, moments_as_made};
/// let (x, mut y) = ([3.0, -4.0], [0.0; 2]);
/// let of_both = moments_as_made(Some(&x), &mut y, &|piece, y| {
///     y.iter_mut().zip(&x[piece]).for_each(|(y, x): (&mut f64, &f64)| *y = x.abs());
/// });
/// assert_eq!(of_both, [moments(&x, None), moments(&y, None)]);
/// ```
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn moments_as_made<T: Float>(
    x: Option<&[T]>,
    out: &mut [T],
    make: &(dyn Fn(Range<usize>, &mut [T]) + Sync),
) -> [Moments; 2] {
    let fits = x.is_none_or(|x| x.len() == out.len());
    assert!(fits, "moments_as_made: slices of different lengths");
    parallel::fork(
        (0..out.len(), out),
        GRAIN,
        |(piece, out)| {
            make(piece.clone(), &mut *out);
            [x.map_or(Moments::default(), |x| moments(&x[piece], None)), moments(out, None)]
        },
        |[x, out], [x_after, out_after]| [x.join(x_after), out.join(out_after)],
    )
}

/// Where a mean of `f32` squares is to be trusted: what is lost of smaller ones does not count beside it, and
/// no partial sum came near the largest `f32`.
const SAFE_MEAN_SQUARE: Range<f64> = 1e-30..1e30;

const LANES: usize = 32;
/// Rows of lanes that are summed at their own precision before they join the `f64` totals, which takes as
/// long as eight rows.
const ROWS: usize = 64;

struct Quick<'a, T, const BOUNDED: bool> {
    x: &'a [T],
    low: T,
    high: T,
}

impl<T: Float, const BOUNDED: bool> Work for Quick<'_, T, BOUNDED> {
    type Output = Moments;
    #[inline(always)]
    fn run(self) -> Moments {
        let Self { x, low, high } = self;
        let mut total = Moments::default();
        let mut largest = [T::ZERO; LANES];
        for block in x.chunks(ROWS * LANES) {
            let (rows, rest) = block.as_chunks::<LANES>();
            let padding = if rest.is_empty() { 0 } else { LANES - rest.len() };
            // Zeros that count nowhere but among the zeros, where they are taken off again.
            let mut last = [T::ZERO; LANES];
            last[..rest.len()].copy_from_slice(rest);
            let last = (padding > 0).then_some(&last);
            let one = |yes: bool| if yes { T::ONE } else { T::ZERO };
            let total_of = |lanes: [T; LANES]| lanes.iter().map(|x| x.to_f64()).sum::<f64>();

            // Two or three registers at a time for each lane; the block stays in the first-level cache.
            let (mut sum, mut squares) = ([T::ZERO; LANES], [T::ZERO; LANES]);
            each(rows, last, |row| {
                for l in 0..LANES {
                    sum[l] += row[l];
                    squares[l] += row[l] * row[l];
                }
            });
            let mut zeros = [T::ZERO; LANES];
            each(rows, last, |row| {
                // This block is in the cache: meanwhile the next one comes.
                ahead(row, ROWS);
                for l in 0..LANES {
                    zeros[l] += one(row[l] == T::ZERO);
                    // Drops NaN, which the sum of squares does not.
                    largest[l] = if row[l].abs() > largest[l] { row[l].abs() } else { largest[l] };
                }
            });
            if BOUNDED {
                let mut outside = [T::ZERO; LANES];
                each(rows, last, |row| {
                    for l in 0..LANES {
                        outside[l] += one((row[l] < low) | (row[l] > high));
                    }
                });
                let zero_outside = u64::from(T::ZERO < low || T::ZERO > high);
                total.outside += total_of(outside) as u64 - zero_outside * padding as u64;
            }
            total.sum += total_of(sum);
            total.sum_squares += total_of(squares);
            total.zeros += total_of(zeros) as u64 - padding as u64;
        }
        total.max_abs = largest.iter().fold(T::ZERO, |a, &b| if b > a { b } else { a }).to_f64();
        total
    }
}

#[inline(always)]
fn each<T>(rows: &[[T; LANES]], last: Option<&[T; LANES]>, mut row: impl FnMut(&[T; LANES])) {
    rows.iter().for_each(&mut row);
    last.into_iter().for_each(row);
}

struct Careful<'a, T> {
    x: &'a [T],
    low: T,
    high: T,
}

impl<T: Float> Work for Careful<'_, T> {
    type Output = Moments;
    #[inline(always)]
    fn run(self) -> Moments {
        let Self { x, low, high } = self;
        let mut total = Moments::default();
        // One block of the fold at a time: the second look at it finds it in the first-level cache.
        for x in x.chunks(fold::BLOCK) {
            let add = Fold { identity: 0.0, join: |a: f64, b: f64| a + b };
            let max = Fold { identity: T::ZERO, join: T::maximum };
            let count = Fold { identity: 0, join: |a: u32, b: u32| a + b };
            total = total.join(Moments {
                sum: add.block(x, x, |x, _| x.to_f64()),
                sum_squares: add.block(x, x, |x, _| x.to_f64() * x.to_f64()),
                max_abs: max.block(x, x, |x, _| x.abs()).to_f64(),
                zeros: count.block(x, x, |x, _| u32::from(x == T::ZERO)).into(),
                outside: count.block(x, x, move |x, _| u32::from(x < low || x > high)).into(),
                non_finite: count.block(x, x, |x, _| u32::from(!x.is_finite())).into(),
            });
        }
        total
    }
}
