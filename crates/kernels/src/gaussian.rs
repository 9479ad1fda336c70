//! The normal distribution far out in its tails, to the last digits: Φ(x), its tanh approximation, and
//! e^−kx².
//!
//! An exponent of −30 that is rounded has an error of 30 half units in the last place, and its exponential
//! has it as a relative one. So exponents are not rounded here: they are computed as the sum of two numbers
//! (Dekker, "A floating-point technique for extending the available precision", 1971), or in `f32` in `f64`.
//! And Φ(x) = ½ (1 + erf(x/√2)) is not computed so: far on the left nothing is left of the sum.

use crate::elementary::{exp_of_exact, exp_of_sum, horner};

/// Beyond, everything here is what it is at ±40: 0 or 1.
const FAR: f64 = 40.0;
const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;

/// For loops of `f32`, straight-line code as all in [`elementary`](crate::elementary).
pub(crate) mod single {
    use super::{FAR, SQRT_2_OVER_PI, exp_of_exact, exp_of_sum, horner};

    #[inline(always)]
    fn clamp(x: f32) -> f32 {
        let far = FAR as f32;
        let x = if x > far { far } else { x };
        if x < -far { -far } else { x }
    }

    /// e^−kx², for k a power of two.
    #[inline(always)]
    pub(crate) fn gaussian(x: f32, k: f64) -> f32 {
        let (x, k) = (clamp(x), k as f32);
        let square = x * x;
        let lost = x.mul_add(x, -square);
        exp_of_sum(-k * square, -k * lost)
    }

    /// Φ(−t) = e^−½t² · Q(t) for t ≥ 0, and 1 less of it on the right.
    ///
    /// (1 + ¾t)·Q(t), which is flat at 0, is a polynomial in q = (t − 4)/(t + 4), fitted at the Chebyshev
    /// points of 0..15 with 40 digits: relative error 2e-8.
    #[inline(always)]
    pub(crate) fn normal_cdf(x: f32) -> f32 {
        let x = clamp(x);
        let t = x.abs();
        // One division for both quotients, for it takes as long as ten products; what that lost of them is added.
        let (first, second) = (t + 4.0, t.mul_add(0.75, 1.0));
        let inverse = 1.0 / (first * second);
        let (of_first, of_second) = (second * inverse, first * inverse);
        let corrected = |quotient: f32, dividend: f32, divisor: f32, inverse: f32| {
            quotient.mul_add(-divisor, dividend).mul_add(inverse, quotient)
        };
        let q = corrected((t - 4.0) * of_first, t - 4.0, first, of_first);
        let p =
            [-5.387_941_2e-5, -6.380_802e-5, 4.748_178e-4, -6.284_423_6e-5, -3.625_537e-3, 1.133_086_1e-2];
        let p = horner(q, p).mul_add(q, -1.643_208_2e-2).mul_add(q, 3.523_248_5e-3).mul_add(q, 4.159_454e-2);
        let p = p.mul_add(q, -1.151_270_3e-1).mul_add(q, 3.776_425_7e-1);
        let tail = gaussian(x, 0.5) * corrected(p * of_second, p, second, of_second);
        if x < 0.0 { tail } else { 1.0 - tail }
    }

    /// σ(2u) = ½ (1 + tanh u) and its slope σ(2u) σ(−2u) 2u′, u = √(2/π) (x + 0.044715 x³).
    #[inline(always)]
    pub(crate) fn normal_cdf_tanh_and_slope(x: f32) -> (f32, f32) {
        let wide = f64::from(clamp(x));
        let cubic = 0.044_715 * (wide * wide);
        let twice = 2.0 * SQRT_2_OVER_PI * wide * (1.0 + cubic);
        let twice_slope = 2.0 * SQRT_2_OVER_PI * cubic.mul_add(3.0, 1.0);
        let e = exp_of_exact(-twice.abs());
        let small = e / (1.0 + e);
        // The slope has few roundings: σ(2u) σ(−2u) = e/(1 + e)², not by way of the two.
        let slope = (f64::from(e) * twice_slope) as f32 / (1.0 + e * (2.0 + e));
        (if x < 0.0 { small } else { 1.0 - small }, slope)
    }

    /// The first of these.
    #[inline(always)]
    pub(crate) fn normal_cdf_tanh(x: f32) -> f32 {
        normal_cdf_tanh_and_slope(x).0
    }
}

/// For `f64`, on top of `libm`, which is not inlined into loops either: so these are compiled once.
pub(crate) mod double {
    use super::{FAR, SQRT_2_OVER_PI};
    use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI};

    /// What is missing from [`FRAC_1_SQRT_2`].
    const FRAC_1_SQRT_2_LOW: f64 = -4.833_646_656_726_457e-17;
    /// What is missing from twice [`SQRT_2_OVER_PI`].
    const LINEAR_LOW: f64 = -9.969_308_809_110_92e-17;
    /// 2√(2/π) · 0.044715 in two parts.
    const CUBIC: (f64, f64) = (7.135_481_627_260_025e-2, -6.175_149_918_155_315e-19);

    fn clamp(x: f64) -> f64 {
        let x = if x > FAR { FAR } else { x };
        if x < -FAR { -FAR } else { x }
    }

    /// x·y, and what rounding it lost. For numbers far from the ends of the range.
    fn product(x: f64, y: f64) -> (f64, f64) {
        let split = |x: f64| {
            let c = x * 134_217_729.0; // 2²⁷ + 1
            let high = c - (c - x);
            (high, x - high)
        };
        let ((x1, x0), (y1, y0)) = (split(x), split(y));
        let rounded = x * y;
        (rounded, ((x1 * y1 - rounded) + x1 * y0 + x0 * y1) + x0 * y0)
    }

    /// e^−kx², for k a power of two.
    #[inline(never)]
    pub(crate) fn gaussian(x: f64, k: f64) -> f64 {
        let x = clamp(x);
        let (square, lost) = product(x, x);
        libm::exp(-k * square) * (1.0 - k * lost)
    }

    /// ½ erfc(z) with z = −x/√2, corrected for what rounding z lost by the slope of ln erfc there. A rough
    /// one does: −(z + √(z² + 4/π)) is off by a few per cent.
    #[inline(never)]
    pub(crate) fn normal_cdf(x: f64) -> f64 {
        let x = clamp(x);
        let (z, lost) = product(-x, FRAC_1_SQRT_2);
        let lost = lost - x * FRAC_1_SQRT_2_LOW;
        let slope = z + (z * z + 2.0 * FRAC_2_PI).sqrt();
        0.5 * (libm::erfc(z) * (1.0 - lost * slope))
    }

    /// As in `f32`: v = 2u in two parts, and σ(v) = e/(1 + e).
    #[inline(never)]
    pub(crate) fn normal_cdf_tanh_and_slope(x: f64) -> (f64, f64) {
        let x = clamp(x);
        let (square, square_low) = product(x, x);
        let (cubic, cubic_low) = product(CUBIC.0, square);
        let cubic_low = cubic_low + CUBIC.0 * square_low + CUBIC.1 * square;
        let linear = 2.0 * SQRT_2_OVER_PI;
        let factor = linear + cubic;
        // The sum of two positive numbers, and what rounding it lost (Knuth's two-sum).
        let back = factor - linear;
        let factor_low = (linear - (factor - back)) + (cubic - back) + cubic_low + LINEAR_LOW;
        let (v, v_low) = product(x, factor);
        let v_low = v_low + x * factor_low;
        let e = libm::exp(-v.abs()) * (1.0 - v.signum() * v_low);
        let small = e / (1.0 + e);
        let large = 1.0 - small;
        (if x < 0.0 { small } else { large }, small * large * (linear + 3.0 * cubic))
    }

    /// The first of these.
    pub(crate) fn normal_cdf_tanh(x: f64) -> f64 {
        normal_cdf_tanh_and_slope(x).0
    }
}
