//! The element types of the framework: what a floating-point number must be able to do.
//!
//! `f32` and `f64` implement [`Float`]. The standard library's `exp`, `ln`, `tanh` … are not used anywhere:
//! their precision is documented as varying by platform, Rust version and even call. Those of `f32` are this
//! crate's own branch-free polynomials, which vectorise inside the loops of [`map`]: 0.3 to 0.7 ns an
//! element with AVX-512. What is transcendental in `f64`, and sines and cosines of more than a million
//! radians, are the pure-Rust `libm` crate's.
//!
//! The worst errors of `f32`, in units in the last place (ulp) of the exact result, of which perfect rounding
//! leaves 0.5. They were found among all numbers from 2⁻¹⁷ to 2¹⁶ in magnitude and a sixteenth of the others
//! (`worst_errors` in `tests/float.rs`, which else looks at every 997th `f32` there is).
//!
//! | `exp` | `exp_m1` | `ln` `ln_1p` | `tanh` | `sigmoid` | `softplus` | `erf` | `gaussian` | `normal_cdf` | `normal_cdf_tanh` |
//! |-------|----------|--------------|--------|-----------|------------|-------|------------|--------------|-------------------|
//! | 1.02  | 1.45     | 0.76         | 2.93   | 2.11      | 1.6        | 1.1   | 1.02       | 4.0          | 2.4               |
//!
//! `sin`, `cos` and `powf` stay below 0.8.

use std::fmt::{Debug, Display};
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::gaussian::{double, single};
use crate::{elementary, map, power, trigonometry};

/// A floating-point element: `f32` or `f64`.
///
/// Every method is a pure function of its arguments' bits, the same on every platform.
pub trait Float:
    Copy
    + Send
    + Sync
    + PartialOrd
    + PartialEq
    + Default
    + Debug
    + Display
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + crate::matmul::Tiled
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// +∞.
    const INFINITY: Self;
    /// −∞.
    const NEG_INFINITY: Self;
    /// A quiet NaN.
    const NAN: Self;
    /// The distance from 1 to the next larger number: 2⁻²³ or 2⁻⁵².
    const EPSILON: Self;
    /// The smallest positive normal number: 2⁻¹²⁶ or 2⁻¹⁰²².
    const MIN_POSITIVE: Self;

    /// How many values [`biased_exponent`](Self::biased_exponent) can have: 256 or 2048.
    const EXPONENTS: usize;
    /// The exponent as it is stored: 0 of zeros and subnormal numbers, `EXPONENTS - 1` of infinities and
    /// NaNs, else ⌊log₂|x|⌋ + `EXPONENTS / 2 - 1`.
    fn biased_exponent(self) -> u16;
    /// x − [`MIN_POSITIVE`](Self::MIN_POSITIVE) of an x from this to twice this, by its bits: a processor may take as long
    /// for a difference that is subnormal as for a product.
    fn less_smallest_normal(self) -> Self;

    /// The nearest number to `value`.
    fn from_f64(value: f64) -> Self;
    /// The same number as `f64`, exactly.
    fn to_f64(self) -> f64;

    /// |x|.
    fn abs(self) -> Self;
    /// √x, correctly rounded; NaN below zero.
    fn sqrt(self) -> Self;
    /// The largest integer not above `x`.
    fn floor(self) -> Self;
    /// The smallest integer not below `x`.
    fn ceil(self) -> Self;
    /// The nearest integer; ties go to the even one, as in PyTorch and NumPy (Rust's own `round` sends them
    /// away from 0).
    fn round(self) -> Self;
    /// self · factor + summand, rounded once. Slow on x86-64 before 2013, which has no instruction for it.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    /// The magnitude of `self` with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;
    /// Whether `x` is NaN.
    fn is_nan(self) -> bool;
    /// Whether `x` is neither NaN nor infinite.
    fn is_finite(self) -> bool;
    /// The larger of two, or NaN if either is (Rust's own `max` drops the NaN).
    fn maximum(self, other: Self) -> Self;
    /// The smaller of two, or NaN if either is.
    fn minimum(self, other: Self) -> Self;

    /// eˣ.
    fn exp(self) -> Self;
    /// eˣ − 1, accurate near 0.
    fn exp_m1(self) -> Self;
    /// Natural logarithm: −∞ at 0, NaN below.
    fn ln(self) -> Self;
    /// ln(1 + x), accurate near 0.
    fn ln_1p(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// 1 / (1 + e⁻ˣ), keeping relative accuracy in the left tail down to subnormal numbers.
    fn sigmoid(self) -> Self;
    /// The same, and what is missing from it to 1, which is what it is at −x. Their product is the
    /// derivative.
    fn sigmoid_and_rest(self) -> (Self, Self);
    /// 1 / (1 + e⁻ˣ) and its derivative.
    #[inline(always)]
    fn sigmoid_and_slope(self) -> (Self, Self) {
        let (y, rest) = self.sigmoid_and_rest();
        (y, y * rest)
    }
    /// Hyperbolic tangent and its derivative 1/cosh² x = 4 σ(2x) σ(−2x), which keeps its relative accuracy.
    fn tanh_and_slope(self) -> (Self, Self);
    /// ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|).
    fn softplus(self) -> Self;
    /// Sine of `x` radians.
    fn sin(self) -> Self;
    /// Cosine of `x` radians.
    fn cos(self) -> Self;
    /// `out[i] = sin x[i]`, many at a time.
    ///
    /// # Panics
    /// If the lengths differ.
    fn sines(x: &[Self], out: &mut [Self]);
    /// `out[i] = cos x[i]`, many at a time.
    ///
    /// # Panics
    /// If the lengths differ.
    fn cosines(x: &[Self], out: &mut [Self]);
    /// The error function 2/√π ∫₀ˣ exp(−t²) dt.
    fn erf(self) -> Self;
    /// e^−kx², for k a power of two, without the error that x² would have if it were rounded.
    fn gaussian(self, k: f64) -> Self;
    /// Φ(x), the chance that a standard normal number is below x, accurate in both tails.
    fn normal_cdf(self) -> Self;
    /// ½ (1 + tanh(√(2/π) (x + 0.044715 x³))), an approximation of Φ(x), accurate in both tails.
    fn normal_cdf_tanh(self) -> Self;
    /// The same, and its slope.
    fn normal_cdf_tanh_and_slope(self) -> (Self, Self);
    /// xʸ.
    fn powf(self, exponent: Self) -> Self;
    /// The same, for an exponent that may not be a number of this type.
    fn powf_wide(self, exponent: f64) -> Self;
    /// xⁿ by repeated squaring, in a fixed order of multiplications.
    fn powi(self, exponent: i32) -> Self;
}

/// xⁿ by repeated squaring; a negative exponent inverts the result, or, where that is out of the range of
/// normal numbers, x.
#[inline]
fn whole_power<T: Float>(x: T, exponent: i32) -> T {
    let y = positive_power(x, exponent.unsigned_abs());
    if exponent >= 0 {
        return y;
    }
    let is_normal = y.abs() >= T::MIN_POSITIVE && y.abs() < T::INFINITY;
    if is_normal { T::ONE / y } else { positive_power(T::ONE / x, exponent.unsigned_abs()) }
}

#[inline]
fn positive_power<T: Float>(x: T, exponent: u32) -> T {
    let (mut base, mut left, mut y) = (x, exponent, T::ONE);
    while left > 0 {
        if left & 1 == 1 {
            y *= base;
        }
        base *= base;
        left >>= 1;
    }
    y
}

/// Functions of one number, each with the function that computes it.
macro_rules! functions {
    ($inline:meta: $($name:ident $function:path;)*) => {$(
        #[$inline]
        fn $name(self) -> Self {
            $function(self)
        }
    )*};
}

/// What both types share word for word: constants, and the operations IEEE 754 rounds exactly.
macro_rules! exact_operations {
    ($t:ident) => {
        const ZERO: Self = 0.0;
        const ONE: Self = 1.0;
        const INFINITY: Self = $t::INFINITY;
        const NEG_INFINITY: Self = $t::NEG_INFINITY;
        const NAN: Self = $t::NAN;
        const EPSILON: Self = $t::EPSILON;
        const MIN_POSITIVE: Self = $t::MIN_POSITIVE;

        functions! { inline(always):
            abs $t::abs;
            sqrt $t::sqrt;
            floor $t::floor;
            ceil $t::ceil;
            round $t::round_ties_even;
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, summand: Self) -> Self {
            $t::mul_add(self, factor, summand)
        }
        #[inline(always)]
        fn copysign(self, sign: Self) -> Self {
            $t::copysign(self, sign)
        }
        #[inline(always)]
        fn is_nan(self) -> bool {
            $t::is_nan(self)
        }
        #[inline(always)]
        fn is_finite(self) -> bool {
            $t::is_finite(self)
        }
        #[inline(always)]
        fn maximum(self, other: Self) -> Self {
            let larger = if self > other { self } else { other };
            if self.is_nan() { self } else { larger }
        }
        #[inline(always)]
        fn minimum(self, other: Self) -> Self {
            let smaller = if self < other { self } else { other };
            if self.is_nan() { self } else { smaller }
        }
        #[inline]
        fn powi(self, exponent: i32) -> Self {
            whole_power(self, exponent)
        }
    };
}

impl Float for f32 {
    exact_operations!(f32);
    const EXPONENTS: usize = 256;

    #[inline(always)]
    fn biased_exponent(self) -> u16 {
        (self.to_bits() >> 23 & 0xff) as u16
    }
    #[inline(always)]
    fn less_smallest_normal(self) -> Self {
        Self::from_bits(self.to_bits().wrapping_sub(Self::MIN_POSITIVE.to_bits()))
    }
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as Self
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    // Inlined into the loops over memory, which vectorise them.
    functions! { inline(always):
        exp elementary::exp;
        exp_m1 elementary::exp_m1;
        ln elementary::ln;
        ln_1p elementary::ln_1p;
        tanh elementary::tanh;
        sigmoid elementary::sigmoid;
        softplus elementary::softplus;
        erf elementary::erf;
        normal_cdf single::normal_cdf;
        normal_cdf_tanh single::normal_cdf_tanh;
    }
    functions! { inline:
        sin trigonometry::sin;
        cos trigonometry::cos;
    }
    fn sines(x: &[Self], out: &mut [Self]) {
        trigonometry::sines(x, out);
    }
    fn cosines(x: &[Self], out: &mut [Self]) {
        trigonometry::cosines(x, out);
    }

    #[inline(always)]
    fn sigmoid_and_rest(self) -> (Self, Self) {
        elementary::sigmoid_and_rest(self)
    }
    #[inline(always)]
    fn tanh_and_slope(self) -> (Self, Self) {
        elementary::tanh_and_slope(self)
    }
    #[inline(always)]
    fn gaussian(self, k: f64) -> Self {
        single::gaussian(self, k)
    }
    #[inline(always)]
    fn normal_cdf_tanh_and_slope(self) -> (Self, Self) {
        single::normal_cdf_tanh_and_slope(self)
    }
    #[inline(always)]
    fn powf(self, exponent: Self) -> Self {
        power::pow(self, f64::from(exponent))
    }
    #[inline(always)]
    fn powf_wide(self, exponent: f64) -> Self {
        power::pow(self, exponent)
    }
}

impl Float for f64 {
    exact_operations!(f64);
    const EXPONENTS: usize = 2048;

    #[inline(always)]
    fn biased_exponent(self) -> u16 {
        (self.to_bits() >> 52 & 0x7ff) as u16
    }
    #[inline(always)]
    fn less_smallest_normal(self) -> Self {
        Self::from_bits(self.to_bits().wrapping_sub(Self::MIN_POSITIVE.to_bits()))
    }
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    functions! { inline:
        exp libm::exp;
        exp_m1 libm::expm1;
        ln libm::log;
        ln_1p libm::log1p;
        tanh libm::tanh;
        sin libm::sin;
        cos libm::cos;
        erf libm::erf;
        normal_cdf double::normal_cdf;
        normal_cdf_tanh double::normal_cdf_tanh;
    }
    fn sines(x: &[Self], out: &mut [Self]) {
        map::map(x, out, libm::sin);
    }
    fn cosines(x: &[Self], out: &mut [Self]) {
        map::map(x, out, libm::cos);
    }

    #[inline]
    fn sigmoid(self) -> Self {
        self.sigmoid_and_rest().0
    }
    #[inline]
    fn sigmoid_and_rest(self) -> (Self, Self) {
        let e = libm::exp(-self.abs());
        let small = e / (1.0 + e);
        let large = 1.0 - small;
        if self < 0.0 { (small, large) } else { (large, small) }
    }
    #[inline]
    fn tanh_and_slope(self) -> (Self, Self) {
        let (y, rest) = (self + self).sigmoid_and_rest();
        (libm::tanh(self), y * rest * 4.0)
    }
    #[inline]
    fn softplus(self) -> Self {
        Float::maximum(self, 0.0) + libm::log1p(libm::exp(-self.abs()))
    }
    #[inline]
    fn gaussian(self, k: f64) -> Self {
        double::gaussian(self, k)
    }
    #[inline]
    fn normal_cdf_tanh_and_slope(self) -> (Self, Self) {
        double::normal_cdf_tanh_and_slope(self)
    }
    #[inline]
    fn powf(self, exponent: Self) -> Self {
        libm::pow(self, exponent)
    }
    #[inline]
    fn powf_wide(self, exponent: f64) -> Self {
        libm::pow(self, exponent)
    }
}
