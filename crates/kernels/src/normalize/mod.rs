//! Normalisation: numbers less their mean, divided by their standard deviation, forwards and back.
//!
//! ```text
//! x̂ = (x − μ) / √(σ² + ε),   y = x̂ w + b
//! dx = (g − mean g − x̂ · mean(g x̂)) / √(σ² + ε),   g = dy w        means over what shares μ and σ²
//! ```
//!
//! What is normalised together lies in the rows of a matrix ([`rows`]), or in its columns ([`channels`]): pixels
//! with their channels innermost.
//!
//! Squares are summed of distances from a mean, or from a number near it, never of the numbers themselves. A mean that is
//! rounded to the element type is corrected by what is left of it in the distances. Sums over rows are taken in runs of 32 at
//! the elements' own precision and from there on in `f64`, pieces of work being joined in a tree; which rows are
//! in a piece is a matter of the shape alone. Where `f32` squares overflow, they are summed again in `f64`; of
//! `f64` numbers beyond 1e154 the variance is ∞.

pub mod channels;
mod columns;
pub mod rows;

use crate::Float;

/// Mean and variance (biased) of what is normalised together.
pub type Moments = [f64; 2];

/// How a number is normalised: x̂ = (x − mean) · scale + rest.
#[derive(Clone, Copy)]
struct Standard<T> {
    /// The mean, rounded.
    mean: T,
    /// 1/√(σ² + ε).
    scale: f64,
    /// What the mean was rounded by, scaled.
    rest: f64,
}

impl<T: Float> Standard<T> {
    #[inline(always)]
    fn new([mean, variance]: Moments, eps: f64) -> Self {
        let (rounded, scale) = (T::from_f64(mean), 1.0 / (variance + eps).sqrt());
        Self { mean: rounded, scale, rest: (rounded.to_f64() - mean) * scale }
    }
}

/// The same of numbers whose squares overflowed, or that are not all finite.
#[cold]
#[inline(never)]
fn careful_moments<T: Float>(x: impl Iterator<Item = T> + Clone, count: usize) -> Moments {
    let mean = x.clone().map(Float::to_f64).sum::<f64>() / count as f64;
    let squares: f64 = x.map(|x| (x.to_f64() - mean) * (x.to_f64() - mean)).sum();
    [mean, squares / count as f64]
}
