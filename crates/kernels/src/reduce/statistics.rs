//! Sums over whole arrays in `f64`, for norms and reports.

use super::fold::Fold;
use crate::Float;
use crate::isa::{Work, dispatch};
use crate::parallel::{self, GRAIN};

/// Σ xᵢ yᵢ in `f64`.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
#[must_use]
pub fn dot<T: Float>(x: &[T], y: &[T]) -> f64 {
    assert!(x.len() == y.len(), "dot: slices of {} and {} elements", x.len(), y.len());
    parallel::fork((x, y), GRAIN, |(x, y)| dispatch(Dot { x, y }), |left, right| left + right)
}

/// Σ xᵢ² in `f64`.
#[must_use]
pub fn sum_squares<T: Float>(x: &[T]) -> f64 {
    dot(x, x)
}

struct Dot<'a, T> {
    x: &'a [T],
    y: &'a [T],
}

impl<T: Float> Work for Dot<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        let add = Fold { identity: 0.0, join: |a: f64, b: f64| a + b };
        add.piece(self.x, self.y, |x, y| x.to_f64() * y.to_f64())
    }
}

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
            non_finite: self.non_finite + other.non_finite,
        }
    }
}

/// Statistics of all elements, in one pass over memory.
///
/// ```
/// let m = backflow_kernels::reduce::moments(&[0.0_f32, -3.0, 4.0]);
/// assert_eq!((m.sum, m.sum_squares, m.max_abs, m.zeros, m.non_finite), (1.0, 25.0, 4.0, 1, 0));
/// ```
#[must_use]
pub fn moments<T: Float>(x: &[T]) -> Moments {
    // One block of the fold at a time: the second look at it finds it in the first-level cache.
    parallel::fork(x, GRAIN, |x| dispatch(Look { x }), Moments::join)
}

struct Look<'a, T> {
    x: &'a [T],
}

impl<T: Float> Work for Look<'_, T> {
    type Output = Moments;
    #[inline(always)]
    fn run(self) -> Moments {
        let mut total = Moments::default();
        for x in self.x.chunks(super::fold::BLOCK) {
            let add = Fold { identity: 0.0, join: |a: f64, b: f64| a + b };
            let max = Fold { identity: T::ZERO, join: T::maximum };
            let count = Fold { identity: 0, join: |a: u32, b: u32| a + b };
            total = total.join(Moments {
                sum: add.block(x, x, |x, _| x.to_f64()),
                sum_squares: add.block(x, x, |x, _| x.to_f64() * x.to_f64()),
                max_abs: max.block(x, x, |x, _| x.abs()).to_f64(),
                zeros: count.block(x, x, |x, _| u32::from(x == T::ZERO)).into(),
                non_finite: count.block(x, x, |x, _| u32::from(!x.is_finite())).into(),
            });
        }
        total
    }
}
