//! [`Norm`]: the length of gradients whose squares may leave the range of `f64`.
//!
//! Squares are summed in `f64`, whose range those of `f32` numbers never leave. Those of `f64` numbers below
//! 1e-154 and above 1e154 do; there the numbers are scaled before they are squared.

use backflow_kernels::reduce;
use backflow_tensor::{DType, FloatElement, Tensor, with_float};
use std::iter::Sum;
use std::ops::Add;

/// The length of one gradient, or of several together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Norm {
    /// ‖x‖².
    pub(crate) square: f64,
    /// ‖x‖, also where its square has no digits left.
    pub(crate) length: f64,
}

impl Norm {
    pub(crate) fn of(x: &Tensor) -> Self {
        let square = sum_squares(x);
        let is_known = is_exact(square) || x.dtype() == DType::F32;
        let length = if is_known { square.sqrt() } else { x.detach().to_dtype(DType::F64).norm(..).item() };
        Self { square, length }
    }

    /// Of a square that is known.
    pub(crate) fn of_square(square: f64) -> Self {
        Self { square, length: square.sqrt() }
    }

    /// That of the same gradient times a factor.
    pub(crate) fn times(self, factor: f64) -> Self {
        let length = self.length * factor.abs();
        let square = if is_exact(self.square) { factor * factor * self.square } else { length * length };
        Self { square, length: if is_exact(square) { square.sqrt() } else { length } }
    }
}

impl Add for Norm {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let square = self.square + other.square;
        let length = if is_exact(square) { square.sqrt() } else { hypotenuse(self.length, other.length) };
        Self { square, length }
    }
}

impl Sum for Norm {
    fn sum<I: Iterator<Item = Self>>(norms: I) -> Self {
        norms.fold(Self::default(), Self::add)
    }
}

/// Whether nothing that counts was lost of a sum of squares.
pub(crate) fn is_exact(square: f64) -> bool {
    (1e-290..1e290).contains(&square)
}

/// √(a² + b²) of lengths, without their squares.
pub(crate) fn hypotenuse(a: f64, b: f64) -> f64 {
    let (large, small) = if a < b { (b, a) } else { (a, b) };
    if large == 0.0 || large.is_infinite() {
        return large + small;
    }
    large * (1.0 + (small / large).powi(2)).sqrt()
}

/// A factor of what may be as small as 1e-42, in two where one would leave the range of `f32`.
pub(crate) fn in_two_factors(factor: f64) -> [f64; 2] {
    if factor > 1e30 { [factor.sqrt(); 2] } else { [factor, 1.0] }
}

/// Σ x² in `f64`.
pub(crate) fn sum_squares(x: &Tensor) -> f64 {
    dot(x, x)
}

/// Σ x·y in `f64`.
pub(crate) fn dot(x: &Tensor, y: &Tensor) -> f64 {
    fn sum<T: FloatElement>(x: &Tensor, y: &Tensor) -> f64 {
        match (x.as_slice::<T>(), y.as_slice::<T>()) {
            (Some(x), Some(y)) => reduce::dot(x, y),
            _ => reduce::dot(&x.to_vec::<T>(), &y.to_vec::<T>()),
        }
    }
    with_float!("dot", x.dtype(), T => sum::<T>(x, y))
}
