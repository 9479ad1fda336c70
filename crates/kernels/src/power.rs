//! xʸ for `f32`, as straight-line code of `f64`, like all in [`elementary`](crate::elementary).
//!
//! |x|ʸ = 2^(y log₂ |x|): the exponent has a few digits more than the result, of which it is rounded once.

/// 1.5 · 2⁵²: adding and subtracting it rounds a small number to the nearest integer.
pub(crate) const ROUND: f64 = 6_755_399_441_055_744.0;

/// The polynomial with these coefficients, the highest first.
#[inline(always)]
pub(crate) fn horner<const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
    let mut p = coefficients[0];
    for c in &coefficients[1..] {
        p = p.mul_add(x, *c);
    }
    p
}

/// log₂ of a positive, finite number that was an `f32`: relative error 3e-14.
///
/// log₂ m = 2/ln 2 · atanh(s) with s = (m − 1)/(m + 1), for m in [√½, √2): a minimax polynomial in s².
#[inline(always)]
fn log2(x: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const FRACTION: u64 = (1 << 52) - 1;
    let bits = x.to_bits().wrapping_sub(SQRT_HALF);
    let m = f64::from_bits((bits & FRACTION).wrapping_add(SQRT_HALF));
    // The exponent above 2¹⁰²⁴, as the last digits of a number near 2⁵²: an `f32` has none so low.
    let k = f64::from_bits((bits.wrapping_add(1024 << 52) >> 52) | 0x4330_0000_0000_0000)
        - 4_503_599_627_371_520.0;
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let p =
        [0.282_901_439_436_676_17, 0.319_905_612_190_641_6, 0.412_209_254_324_926_5, 0.577_077_942_346_723_6];
    let p = horner(z, p).mul_add(z, 0.961_796_694_113_401_2).mul_add(z, 2.885_390_081_777_85);
    p.mul_add(s, k)
}

/// 2ᵗ for |t| up to 200, or NaN: relative error 5e-11.
#[inline(always)]
fn exp2(t: f64) -> f64 {
    let shifted = t + ROUND;
    let r = t - (shifted - ROUND);
    let p = [
        1.519_645_295_523_333_2e-5,
        1.546_676_507_817_742e-4,
        1.333_393_373_431_108e-3,
        9.618_038_120_250_49e-3,
    ];
    let p = horner(r, p).mul_add(r, 5.550_410_367_896_759e-2).mul_add(r, 2.402_265_106_648_673_3e-1);
    p.mul_add(r, 6.931_471_807_036_692e-1).mul_add(r, 1.0)
        * f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52))
}

/// xʸ, with the special cases of C's `pow`.
#[inline(always)]
pub(crate) fn pow(x: f32, y: f64) -> f32 {
    const FAR: f64 = 200.0; // 2²⁰⁰ overflows, 2⁻²⁰⁰ rounds to 0
    let size = f64::from(x.abs());
    let log = log2(size);
    let log = if size < f64::INFINITY { log } else { size }; // +∞ and NaN
    let log = if size == 0.0 { f64::NEG_INFINITY } else { log };
    let t = y * log;
    let t = if t > FAR { FAR } else { t };
    let t = if t < -FAR { -FAR } else { t };
    let power = exp2(t) as f32;
    let power = if (size == 1.0) & (y.abs() == f64::INFINITY) { 1.0 } else { power };
    let is_whole = y.floor() == y;
    let is_odd = is_whole & ((y * 0.5).floor() != y * 0.5);
    let power = if is_odd { power.copysign(x) } else { power };
    let power = if (x < 0.0) & (x > f32::NEG_INFINITY) & !is_whole { f32::NAN } else { power };
    if (y == 0.0) | (x == 1.0) { 1.0 } else { power }
}
