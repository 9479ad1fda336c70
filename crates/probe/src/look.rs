//! What one pass over an array sees: its moments, a histogram of its exponents, which of its units are not 0.

use crate::record::{Exponents, Stats};
use backflow_kernels::reduce::{self, Moments};
use backflow_tensor::{FloatElement, Tensor, with_float};
use std::borrow::Cow;

/// The share of the mean square below which a variance is computed with care: sums in `f32` are good to some
/// 1e-6 of it.
const CLOSE: f64 = 1e-3;

/// What was seen of an array.
pub(crate) struct Look {
    pub(crate) stats: Stats,
    pub(crate) exponents: Option<Exponents>,
    /// The share of elements outside the bounds that were given.
    pub(crate) outside: f64,
}

/// The elements in row-major order, where they lie if they lie so.
pub(crate) fn in_rows<T: FloatElement>(x: &Tensor) -> Cow<'_, [T]> {
    x.as_slice::<T>().map_or_else(|| Cow::Owned(x.to_vec::<T>()), Cow::Borrowed)
}

/// The elements in any order: images are looked at as they lie.
fn elements<T: FloatElement>(x: &Tensor) -> Cow<'_, [T]> {
    x.dense_slice::<T>().map_or_else(|| Cow::Owned(x.to_vec::<T>()), Cow::Borrowed)
}

/// Looks at all elements: moments always, the rest if asked for.
pub(crate) fn look(x: &Tensor, bounds: Option<(f64, f64)>, histogram: bool) -> Look {
    with_float!("look", x.dtype(), T => {
        let elements = elements::<T>(x);
        // Without bounds, moments are remembered.
        let moments = match (&elements, bounds) {
            (Cow::Borrowed(_), None) => x.moments(),
            _ => reduce::moments(&elements, bounds),
        };
        of(&elements, moments, histogram)
    })
}

fn of<T: FloatElement>(x: &[T], moments: Moments, histogram: bool) -> Look {
    let exponents = histogram.then(|| exponents(x, || moments.zeros));
    let n = x.len().max(1) as f64;
    // In units of the largest, where squares of f64 numbers are out of range.
    let out_of_range = moments.max_abs > 0.0
        && moments.max_abs.is_finite()
        && !(1e-280..1e280).contains(&(moments.max_abs * moments.max_abs));
    let unit = if out_of_range { moments.max_abs } else { 1.0 };
    let (mut mean, mut square) = (moments.sum / n, moments.sum_squares / n);
    let mut variance = square - mean * mean;
    // Numbers close to their mean: the difference of two squares would be rounding more than anything else.
    if out_of_range || variance < CLOSE * square {
        let numbers = || x.iter().map(|x| x.as_f64() / unit);
        let (sum, squares) = numbers().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
        (mean, square) = (sum / n, squares / n);
        variance = numbers().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    }
    let stats = Stats {
        mean: mean * unit,
        std: variance.sqrt() * unit,
        rms: square.sqrt() * unit,
        max: moments.max_abs,
        zero_share: moments.zeros as f64 / n,
    };
    Look { stats, exponents, outside: moments.outside as f64 / n }
}

/// The histogram of the exponents of numbers, of which so many are 0, if any has the exponent of 0.
fn exponents<T: FloatElement>(x: &[T], zeros: impl FnOnce() -> u64) -> Exponents {
    let counts = reduce::exponents(x);
    let mut exponents = Exponents::new(&counts, if counts[0] > 0 { zeros() } else { 0 });
    if exponents.infinite > 0 {
        // Infinities and NaNs share an exponent.
        exponents.nan = x.iter().filter(|x| x.is_nan()).count() as u64;
        exponents.infinite -= exponents.nan;
    }
    exponents
}

/// The cosine of the angle between two gradients of any size; 0 if one is zero.
pub(crate) fn cosine(a: &Tensor, b: &Tensor) -> f64 {
    // In units of the largest: of f64 numbers, too, squares may be out of range.
    let [a, b] = [a, b].map(|g| {
        let mut g = g.to_f64_vec();
        let largest = reduce::moments(&g, None).max_abs;
        if largest > 0.0 {
            g.iter_mut().for_each(|g| *g /= largest);
        }
        g
    });
    let scale = reduce::sum_squares(&a).sqrt() * reduce::sum_squares(&b).sqrt();
    if scale == 0.0 { 0.0 } else { reduce::dot(&a, &b) / scale }
}

/// How many units lie along this axis of `y`; one if it has no such axis.
pub(crate) fn units(y: &Tensor, axis: isize) -> usize {
    let rank = y.rank() as isize;
    if (-rank..rank).contains(&axis) { y.size(axis) } else { 1 }
}

/// All axes but this one, in their order.
fn others(y: &Tensor, axis: isize) -> impl Iterator<Item = isize> {
    let rank = y.rank() as isize;
    (0..rank).filter(move |&other| other != axis.rem_euclid(rank))
}

/// Which units of `y` are anything but 0.
pub(crate) fn alive(y: &Tensor, axis: isize) -> Vec<bool> {
    let mut alive = vec![false; units(y, axis)];
    // The kernel wants units in columns, as channels lie that are innermost.
    let columns = if alive.len() > 1 {
        y.permute(others(y, axis).chain([axis]).collect::<Vec<_>>())
    } else {
        y.clone()
    };
    with_float!("alive", y.dtype(), T => reduce::mark_nonzero_columns(&in_rows::<T>(&columns), &mut alive));
    alive
}

/// The root of the mean square of each unit of `y`.
pub(crate) fn unit_rms(y: &Tensor, axis: isize) -> Vec<f64> {
    let units = units(y, axis);
    let rows = if units > 1 { y.transpose(axis, 0) } else { y.clone() };
    with_float!("unit_rms", y.dtype(), T => {
        let numbers = in_rows::<T>(&rows);
        let len = (numbers.len() / units.max(1)).max(1);
        let rms = |unit: &[T]| of(unit, reduce::moments(unit, None), false).stats.rms;
        numbers.chunks_exact(len).map(rms).collect()
    })
}

impl Stats {
    /// Of all elements of a floating-point tensor.
    #[must_use]
    pub fn of(x: &Tensor) -> Self {
        look(x, None, false).stats
    }

    /// Of several arrays together, each with how many numbers it has; `None` of none.
    pub(crate) fn joined(parts: &[(usize, Self)]) -> Option<Self> {
        let all = parts.iter().map(|(numbers, _)| *numbers as f64).sum::<f64>();
        let max = parts
            .iter()
            .map(|(_, stats)| stats.max)
            .fold(0.0, |a: f64, b| if b > a || b.is_nan() { b } else { a });
        // In units of the largest, whose square may be out of range.
        let unit = if max > 0.0 && max.is_finite() { max } else { 1.0 };
        let over = |of: &dyn Fn(&Self) -> f64| {
            parts.iter().map(|(numbers, stats)| *numbers as f64 * of(stats)).sum::<f64>() / all
        };
        let square = |x: f64| (x / unit) * (x / unit);
        let mean = over(&|stats| stats.mean);
        let stats = Self {
            mean,
            std: over(&|stats| square(stats.std) + square(stats.mean - mean)).sqrt() * unit,
            rms: over(&|stats| square(stats.rms)).sqrt() * unit,
            max,
            zero_share: over(&|stats| stats.zero_share),
        };
        (!parts.is_empty()).then_some(stats)
    }
}

impl Exponents {
    /// Of all elements of a floating-point tensor.
    ///
    /// # Panics
    /// For a tensor of another type.
    #[must_use]
    pub fn of(x: &Tensor) -> Self {
        fn of<T: FloatElement>(x: &[T]) -> Exponents {
            exponents(x, || x.iter().filter(|&&x| x == T::ZERO).count() as u64)
        }
        with_float!("exponents", x.dtype(), T => of(&elements::<T>(x)))
    }

    /// Of several arrays together.
    pub(crate) fn joined(parts: &[&Self]) -> Self {
        let filled = || parts.iter().filter(|part| !part.counts.is_empty());
        let first = filled().map(|part| part.first).min().unwrap_or(0);
        let end = filled().map(|part| part.first + part.counts.len() as i32).max().unwrap_or(first);
        let mut counts = vec![0; (end - first) as usize];
        for part in filled() {
            let at = (part.first - first) as usize;
            counts[at..].iter_mut().zip(&part.counts).for_each(|(sum, count)| *sum += count);
        }
        let sum = |of: fn(&Self) -> u64| parts.iter().map(|part| of(part)).sum();
        Self {
            zeros: sum(|part| part.zeros),
            subnormal: sum(|part| part.subnormal),
            first,
            counts,
            infinite: sum(|part| part.infinite),
            nan: sum(|part| part.nan),
        }
    }

    /// From counts by biased exponent, of which the last is taken for infinities.
    fn new(counts: &[u64], zeros: u64) -> Self {
        let (first_normal, last) = (1, counts.len() - 1);
        let normal = &counts[first_normal..last];
        let first = normal.iter().position(|&count| count > 0).unwrap_or(0);
        let end = normal.iter().rposition(|&count| count > 0).map_or(first, |last| last + 1);
        let bias = (counts.len() / 2 - 1) as i32;
        Self {
            zeros,
            subnormal: counts[0] - zeros,
            first: (first + first_normal) as i32 - bias,
            counts: normal[first..end].to_vec(),
            infinite: counts[last],
            nan: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{alive, cosine};
    use backflow_tensor::Tensor;

    /// Squares of the largest and the smallest of these are out of the range of `f64`.
    #[test]
    fn cosines_of_gradients_of_any_size() {
        let (a, b) = (Tensor::from([3.0, 4.0]), Tensor::from([4.0, 3.0]));
        for scale in [1e-300, 1e-10, 1.0, 1e300] {
            for (sign, other) in [(1.0, 1.0), (-1.0, 1e-300), (1.0, 1e300)] {
                let found = cosine(&(&a * scale), &(&b * (sign * other)));
                assert!((found - sign * 24.0 / 25.0).abs() < 1e-15, "{scale}, {other}: {found}");
            }
            assert_eq!(cosine(&(&a * scale), &b.zeros_like()), 0.0);
            assert_eq!(cosine(&b.zeros_like(), &(&a * scale)), 0.0);
        }
    }

    #[test]
    fn units_lie_along_any_axis() {
        // Of two examples, three units, and two positions, the second unit is 0 everywhere.
        let x = Tensor::from([[[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0], [3.0, 0.0]]]);
        assert_eq!(alive(&x, 1), [true, false, true]);
        assert_eq!(alive(&x, -2), [true, false, true]);
        assert_eq!(alive(&x, -1), [true, true]);
        assert_eq!(alive(&x, 0), [true, true]);
        assert_eq!(alive(&x.zeros_like(), 7), [false], "no such axis: one unit");
    }
}
