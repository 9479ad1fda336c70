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
