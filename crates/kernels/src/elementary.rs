//! `exp`, `ln`, `tanh` and their family for `f32`, as straight-line code.
//!
//! Only `+ − × ÷`, fused multiply-add, comparisons that select, and bit operations: no branch, no table. So a loop around
//! them vectorises, and every processor returns the same bits. One without the instruction (on x86-64, before 2013) has
//! `mul_add` of its library, which is slow, and exact as well; products and sums apart would take all others up to twice
//! the time.

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts (Cody and Waite). The high one has 9 trailing zero bits, so that `n × LN_2_HIGH` is
/// exact for the exponents `n` of this file, which need at most 8.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// 1.5 · 2²³: adding and subtracting it rounds a small number to the nearest integer.
const ROUND: f32 = 12_582_912.0;

/// The polynomial with these coefficients, the highest first.
#[inline(always)]
pub(crate) fn horner<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut p = coefficients[0];
    for c in &coefficients[1..] {
        p = p.mul_add(x, *c);
    }
    p
}

/// 2ⁿ for an integral `n` in −126..=127.
#[inline(always)]
fn power_of_two(n: f32) -> f32 {
    // `ROUND + n + 127` holds n + 127 in its low mantissa bits; shifted into the exponent field they are 2ⁿ.
    f32::from_bits((n + (ROUND + 127.0)).to_bits() << 23)
}

/// Splits `x = n·ln 2 + r` with |r| ≤ ½ ln 2 and returns `(n, eʳ − 1)`.
///
/// The polynomial is that of `expf` in S. Moshier's Cephes library: eʳ ≈ 1 + r + r²·p(r).
#[inline(always)]
fn reduced_exp_m1(x: f32) -> (f32, f32) {
    let n = x.mul_add(LOG2_E, ROUND) - ROUND;
    (n, polynomial(n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x))))
}

/// eʳ − 1 for |r| ≤ ½ ln 2.
#[inline(always)]
fn polynomial(r: f32) -> f32 {
    let p = horner(r, [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5]);
    p.mul_add(r * r, r)
}

/// Clamps into `low..=high` and lets NaN through.
#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x > high { high } else { x };
    if x < low { low } else { x }
}

#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // e⁸⁹ overflows to +∞ and e⁻¹⁰⁵ rounds to 0: nothing beyond changes the result.
    let (n, m1) = reduced_exp_m1(clamp(x, -105.0, 89.0));
    scaled(n, m1)
}

/// 2ⁿ (1 + m1).
#[inline(always)]
fn scaled(n: f32, m1: f32) -> f32 {
    // 2ⁿ in two factors: n reaches 128 and −151, which one exponent field cannot hold. Only the last product
    // rounds.
    let half = n.mul_add(0.5, ROUND) - ROUND;
    let scale = power_of_two(half);
    m1.mul_add(scale, scale) * power_of_two(n - half)
}

/// e^(x + low) for an x below 88 and what rounding it lost.
#[inline(always)]
pub(crate) fn exp_of_sum(x: f32, low: f32) -> f32 {
    let x = if x < -105.0 { -105.0 } else { x };
    let n = x.mul_add(LOG2_E, ROUND) - ROUND;
    scaled(n, polynomial(n.mul_add(-LN_2_HIGH, x) + n.mul_add(-LN_2_LOW, low)))
}

/// eˣ of a number with more digits than an `f32` has, below 88: its fraction is rounded after the reduction.
#[inline(always)]
pub(crate) fn exp_of_exact(x: f64) -> f32 {
    /// As [`ROUND`](self::ROUND), for `f64`.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let x = if x < -105.0 { -105.0 } else { x };
    let n = x.mul_add(std::f64::consts::LOG2_E, ROUND) - ROUND;
    let r = n.mul_add(-std::f64::consts::LN_2, x) as f32;
    scaled(n as f32, polynomial(r))
}

#[inline(always)]
pub(crate) fn exp_m1(x: f32) -> f32 {
    // At −18 the result has been −1 for a while.
    let (n, m1) = reduced_exp_m1(clamp(x, -18.0, 89.0));
    // (2ⁿ·(eʳ − 1) + (2ⁿ − 1)), computed at half its size: 2¹²⁸ is not a number, 2¹²⁷ is.
    let half_scale = power_of_two(n - 1.0);
    let y = half_scale.mul_add(m1, half_scale - 0.5) * 2.0;
    // Keeps −0 and the subnormals, where the doubling above would round.
    if x.abs() < 1e-10 { x } else { y }
}

/// `(k, m)` with `x = 2ᵏ·m` and m in [√½, √2), for a positive normal `x`.
#[inline(always)]
fn split_exponent(x: f32) -> (f32, f32) {
    const SQRT_HALF: u32 = 0x3f35_04f3;
    let bits = x.to_bits().wrapping_sub(SQRT_HALF);
    let k = (bits as i32) >> 23;
    (k as f32, f32::from_bits((bits & 0x007f_ffff).wrapping_add(SQRT_HALF)))
}

/// `k·ln 2 + ln(1 + f) + c` for f in [√½ − 1, √2 − 1].
///
/// The polynomial is that of `logf` in S. Moshier's Cephes library: ln(1 + f) ≈ f − ½f² + f³·p(f). One in s = f / (2 + f)
/// has half the terms, and a division that takes longer than all of these.
#[inline(always)]
fn ln_near_one(k: f32, f: f32, c: f32) -> f32 {
    let p = [7.037_683_6e-2, -0.115_146_1, 0.116_769_984, -0.124_201_41, 0.142_493_23, -0.166_680_57];
    let p = horner(f, p).mul_add(f, 0.200_007_15).mul_add(f, -0.249_999_94).mul_add(f, 0.333_333_3);
    let low = (p * f).mul_add(f * f, k.mul_add(LN_2_LOW, c));
    k.mul_add(LN_2_HIGH, (-0.5 * f).mul_add(f, low) + f)
}

#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // Subnormal numbers have no exponent of their own: scale them by 2²⁵ first.
    let tiny = x < f32::MIN_POSITIVE;
    let (k, m) = split_exponent(if tiny { x * 33_554_432.0 } else { x });
    let y = ln_near_one(if tiny { k - 25.0 } else { k }, m - 1.0, 0.0);
    let y = if x < f32::INFINITY { y } else { x }; // +∞ and NaN are their own logarithms
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x < 0.0 { f32::NAN } else { y }
}

#[inline(always)]
pub(crate) fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    let (k, m) = split_exponent(u);
    // What rounding 1 + x to u lost, relative to u. Both differences are exact where they are used.
    let lost = if x > 1.0 { 1.0 - (u - x) } else { x - (u - 1.0) } / u;
    let unscaled = k == 0.0;
    let y = ln_near_one(k, if unscaled { x } else { m - 1.0 }, if unscaled { 0.0 } else { lost });
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x == -1.0 { f32::NEG_INFINITY } else { y };
    let y = if x.abs() < 1e-10 { x } else { y };
    if x < -1.0 { f32::NAN } else { y }
}

/// 2⁻²⁸.
const DECAY: f32 = f32::from_bits((127 - 28) << 23);

/// What functions are made of that saturate, for e = eˣ = 2ⁿ eʳ with an x that is not above 0.
struct Decay {
    /// 2ⁿ.
    scale: f32,
    /// eʳ − 1.
    m1: f32,
    /// 1 / (1 + e). The only division, which takes as long as all products here.
    inverse: f32,
    /// 2²⁸ e/(1 + e). Numbers so large are normal without a second factor as in [`scaled`], and a product
    /// with 2⁻²⁸ rounds what becomes subnormal, and nothing else.
    large_share: f32,
}

/// At −106 four of e are less than half of the smallest number, and everything made of it is 0 from there on.
#[inline(always)]
fn decay(x: f32) -> Decay {
    let (n, m1) = reduced_exp_m1(if x < -106.0 { -106.0 } else { x });
    let scale = power_of_two(n + 28.0);
    let inverse = 1.0 / (m1 + 1.0).mul_add(scale * DECAY, 1.0);
    // Not of e, which is rounded.
    let whole = scale * inverse;
    Decay { scale: scale * DECAY, m1, inverse, large_share: whole.mul_add(m1, whole) }
}

/// tanh x and its derivative 1/cosh² x.
#[inline(always)]
pub(crate) fn tanh_and_slope(x: f32) -> (f32, f32) {
    // tanh |x| = (1 − e) / (1 + e) with e = e^{−2|x|}, where 1 − e has all of its digits.
    let Decay { scale, m1, inverse, large_share } = decay(-2.0 * x.abs());
    let rest = scale.mul_add(-m1, 1.0 - scale);
    ((rest * inverse).copysign(x), large_share * (4.0 * DECAY) * large_share.mul_add(-DECAY, 1.0))
}

#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    tanh_and_slope(x).0
}

/// σ(x) and σ(−x), whose product is the derivative.
#[inline(always)]
pub(crate) fn sigmoid_and_rest(x: f32) -> (f32, f32) {
    // e^{−|x|} is at most 1, so neither side overflows; the tail e/(1 + e) keeps its relative accuracy.
    let small = decay(-x.abs()).large_share * DECAY;
    let large = 1.0 - small;
    if x < 0.0 { (small, large) } else { (large, small) }
}

#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    sigmoid_and_rest(x).0
}

#[inline(always)]
pub(crate) fn softplus(x: f32) -> f32 {
    let positive = if x < 0.0 { 0.0 } else { x };
    positive + ln_1p(exp(-x.abs()))
}

/// Two minimax polynomials, by N. Juffa: near 0 in x², and of ln(1 − erf x) beyond.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let square = x * x;
    let near =
        [-5.967_617e-4, 4.991_194e-3, -2.676_813_5e-2, 1.128_199_2e-1, -3.761_253_4e-1, 1.283_791_7e-1];
    let near = horner(square, near).mul_add(x, x);

    let t = clamp(x.abs(), 0.0, 4.0); // erf 4 rounds to 1
    let far =
        [-1.728_534_7e-5, 3.831_971_3e-4, -3.883_964_4e-3, 2.425_462_2e-2, -1.067_778_8e-1, -6.348_467e-1];
    let far = horner(t, far).mul_add(t, -1.287_175_1e-1);
    let far = 1.0 - exp(far.mul_add(t, -t));
    if x.abs() > 0.927_734_4 { far.copysign(x) } else { near }
}
