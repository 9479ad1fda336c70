//! The number at the beginning of some bytes, faster than the standard library reads one of which it knows the end.
//!
//! ```text
//! −12.5e3 = −(125 · 10²)      up to 19 digits as an integer w < 2⁶⁴, and the power of ten that follows from point and exponent
//! ```
//!
//! The power is an `f64`, off by half a unit in its last place at most, so y = w · 10ᵏ in `f64` is off by three roundings, fewer
//! than 4 of its units in the last place. The nearest `f32` of y is that of the number itself, unless a point halfway between two
//! `f32` lies that near: then, and wherever else this does not hold, the answer is left to the standard library. So the result is
//! always the nearest `f32`, rounded once.

/// 10⁻²² to 10²².
const POWERS: [f64; 45] = [
    1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8,
    1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Where 10⁰ stands.
const ONE: i32 = 22;

/// The most digits of which every integer is below 2⁶⁴.
const MOST_DIGITS: usize = 19;

/// The number that these bytes begin with and the bytes behind it, if it is one of the many that take no care.
#[inline]
pub(super) fn prefix(bytes: &[u8]) -> Option<(f32, &[u8])> {
    let (is_negative, rest) = match bytes.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, bytes),
    };
    let mut digits = Digits { value: 0, rest };
    digits.take_few();
    let mut count = rest.len().saturating_sub(digits.rest.len());
    let mut behind_point = 0;
    if let Some((b'.', fraction)) = digits.rest.split_first() {
        digits.rest = fraction;
        // Zeros before the first other digit are no part of the integer.
        if digits.value == 0 {
            count = count.min(1);
            digits.skip_zeros();
            behind_point = fraction.len().saturating_sub(digits.rest.len());
        }
        let significant = digits.rest;
        digits.take_many();
        let taken = significant.len().saturating_sub(digits.rest.len());
        count = count.saturating_add(taken).saturating_add(usize::from(behind_point > 0));
        behind_point = behind_point.saturating_add(taken);
    }
    if count == 0 || count > MOST_DIGITS {
        return None;
    }
    let (written, rest) = exponent(digits.rest)?;
    let exponent = written.checked_sub_unsigned(u32::try_from(behind_point).ok()?)?;
    let power = *POWERS.get(usize::try_from(exponent.checked_add(ONE)?).ok()?)?;
    let [low, high] =
        [digits.value & 0xffff_ffff, digits.value >> 32].map(|half| u32::try_from(half).unwrap_or(0));
    let integer = f64::from(high) * 4_294_967_296.0 + f64::from(low);
    let size = integer * power;
    let size = nearest(size)?;
    Some((if is_negative { -size } else { size }, rest))
}

/// The `f32` nearest to a number that this one, not negative, is nearly, if there is no doubt.
fn nearest(size: f64) -> Option<f32> {
    // The 29 bits that `f32` has not; halfway is the first of them alone.
    let halfway = (size.to_bits() & 0x1fff_ffff).abs_diff(0x1000_0000) <= 8;
    let is_normal = (1.2e-38..3.4e38).contains(&size) || size == 0.0;
    #[allow(clippy::as_conversions, reason = "rounding has no other name")]
    (is_normal && !halfway).then_some(size as f32)
}

/// What follows `e`, or 0 without one.
fn exponent(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let Some((b'e' | b'E', rest)) = bytes.split_first() else { return Some((0, bytes)) };
    let (is_negative, rest) = match rest.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, rest),
    };
    let mut digits = Digits { value: 0, rest };
    digits.take_few();
    let count = rest.len().saturating_sub(digits.rest.len());
    let value = i32::try_from(digits.value).ok().filter(|_| (1..=4).contains(&count))?;
    Some((if is_negative { value.saturating_neg() } else { value }, digits.rest))
}

/// Digits, one after another or eight at a time, as an integer that wraps around if they are too many.
struct Digits<'a> {
    value: u64,
    rest: &'a [u8],
}

impl Digits<'_> {
    /// Of few digits, as before the point: how many they are is guessed well by the processor.
    fn take_few(&mut self) {
        while let Some((&digit, rest)) = self.rest.split_first() {
            let digit = digit.wrapping_sub(b'0');
            if digit > 9 {
                return;
            }
            self.value = self.value.wrapping_mul(10).wrapping_add(digit.into());
            self.rest = rest;
        }
    }

    /// Of many digits, as behind the point: eight at a time, and what is left of them without a guess.
    fn take_many(&mut self) {
        while let Some((eight, rest)) = self.rest.split_first_chunk() {
            let (value, count) = leading_digits(u64::from_le_bytes(*eight));
            if count < 8 {
                let power = TENS.get(count).copied().unwrap_or_default();
                self.value = self.value.wrapping_mul(power).wrapping_add(value);
                self.rest = self.rest.get(count..).unwrap_or_default();
                return;
            }
            self.value = self.value.wrapping_mul(100_000_000).wrapping_add(value);
            self.rest = rest;
        }
        self.take_few();
    }

    fn skip_zeros(&mut self) {
        while let Some((b'0', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }
}

/// 10⁰ to 10⁷.
const TENS: [u64; 8] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000];

/// The digits at the beginning of eight bytes, the first in the lowest byte, as a number, and how many there are. Pairs become
/// numbers below 100, then fours, then all: D. Lemire, "Quickly parsing eight digits", 2018.
fn leading_digits(bytes: u64) -> (u64, usize) {
    // A byte is a digit if its upper half is 3, and still is with 6 added; what is carried reaches only bytes behind one that
    // is none.
    let numbers = bytes ^ 0x3030_3030_3030_3030;
    let others = (numbers | numbers.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0;
    let count = others.trailing_zeros() >> 3;
    // Zeros in front instead of what follows.
    let digits = numbers.checked_shl(64_u32.saturating_sub(count << 3)).unwrap_or(0);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let (even, odd) = (pairs & 0x0000_00ff_0000_00ff, pairs >> 16 & 0x0000_00ff_0000_00ff);
    let fours =
        even.wrapping_mul(0x000f_4240_0000_0064).wrapping_add(odd.wrapping_mul(0x0000_2710_0000_0001));
    (fours >> 32, usize::try_from(count).unwrap_or(0))
}

#[cfg(test)]
#[allow(clippy::as_conversions, clippy::panic, reason = "a test may panic")]
mod tests {
    use super::prefix;
    use backflow_tensor::Rng;

    /// The standard library rounds to the nearest; so does this, of whatever it gives an answer to.
    fn check(text: &str) -> bool {
        match prefix(text.as_bytes()) {
            Some((number, [])) => {
                let expected: f32 = text.parse().unwrap_or_else(|_| panic!("{text} is no number"));
                assert_eq!(number.to_bits(), expected.to_bits(), "{text}: {number:e} for {expected:e}");
                true
            }
            Some(_) | None => false,
        }
    }

    #[test]
    fn numbers_are_the_nearest() {
        let answered = [
            "0",
            "-0",
            "0.0",
            "1",
            "+1.5",
            "-12.5e3",
            ".5",
            "5.",
            "00.10",
            "0.000000000000000000001",
            "1e22",
            "1E-22",
        ];
        assert_eq!(answered.iter().filter(|text| !check(text)).collect::<Vec<_>>(), [&""; 0]);
        let left = [
            "",
            "-",
            ".",
            "e5",
            "1e",
            "1e99999",
            "1e39",
            "1e-46",
            "12345678901234567890",
            "1.17549435e-38",
            "16777217",
            "1 ",
        ];
        assert_eq!(left.iter().filter(|text| check(text)).collect::<Vec<_>>(), [&""; 0]);
    }

    #[test]
    fn all_lengths_and_ranges_are_rounded_once() {
        let mut rng = Rng::seed_from_u64(7);
        let mut answered = 0;
        for round in 0..400_000 {
            let number = f32::from_bits(rng.below(1 << 32) as u32);
            let double =
                f64::from(number) + f64::from(number) * (rng.below(1 << 20) as f64 / (1_u64 << 45) as f64);
            let text = match round % 4 {
                0 => format!("{number}"),
                1 => format!("{double:e}"),
                // The decimals that programs write.
                2 => format!("{:.1$}", rng.below(1 << 30) as f64 / 1e6 - 500.0, rng.below(18)),
                // Halfway between two, and what is next to it.
                _ => {
                    let halfway = (1 << 24) + 2 * rng.below(1 << 22) + 1;
                    format!("{halfway}.{}{}", "0".repeat(rng.below(4)), rng.below(2))
                }
            };
            answered += usize::from(check(&text));
        }
        assert!(answered > 100_000, "{answered} of 400,000 answered");
    }
}
