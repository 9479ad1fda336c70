//! [`View`]: which range of exponents a panel shows: what its numbers reach, or all of single precision.

use backflow_probe::Exponents;
use std::f64::consts::LOG2_10;

/// The range of single precision: below is 0, above is infinity.
pub(super) const FIRST: i32 = -149;
pub(super) const END: i32 = 128;
/// Below 2^this, numbers have fewer digits.
pub(super) const FULL: i32 = -126;

/// No panel shows fewer exponents, three decades: there are always marks to read it by.
const FEWEST: i32 = 10;

/// How many decades apart marks may be.
const STEPS: [i32; 6] = [1, 2, 5, 10, 20, 50];

/// Exponents from the first up to the end, which is not among them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct View {
    pub(super) first: i32,
    pub(super) end: i32,
}

impl View {
    /// Over everything that single precision can hold.
    pub(super) const WHOLE: Self = Self { first: FIRST, end: END };

    /// What these histograms reach together. It goes to the end of single precision where numbers lose digits
    /// or are too large for it.
    pub(super) fn reached<'e>(histograms: impl Iterator<Item = &'e Exponents>) -> Self {
        let (mut first, mut end) = (END, FIRST);
        for Exponents { subnormal, first: lowest, counts, .. } in histograms {
            let of = |at: Option<usize>| at.map(|at| *lowest + at as i32);
            let low = of(counts.iter().position(|&count| count > 0));
            let high = of(counts.iter().rposition(|&count| count > 0));
            if let (Some(low), Some(high)) = (low, high) {
                first = first.min(if low < FULL { FIRST } else { low });
                end = end.max((high + 1).clamp(FULL, END));
            }
            if *subnormal > 0 {
                (first, end) = (FIRST, end.max(FULL));
            }
        }
        if first >= end {
            // No number at all, or none that single precision holds.
            return Self::WHOLE;
        }
        // What is added is added on both sides, as far as there is room.
        let missing = (FEWEST - (end - first)).max(0);
        let first = (first - missing / 2).clamp(if first < FULL { FIRST } else { FULL }, END - FEWEST);
        Self { first, end: end.max(first + FEWEST) }
    }

    pub(super) fn exponents(self) -> f64 {
        f64::from(self.end - self.first)
    }

    /// The decades that are marked where an exponent is so wide, at least `apart` from one another.
    pub(super) fn decades(self, unit: f64, apart: f64) -> impl Iterator<Item = i32> {
        let step =
            STEPS.into_iter().find(|&step| f64::from(step) * LOG2_10 * unit >= apart).unwrap_or(STEPS[5]);
        let [first, end] =
            [self.first, self.end].map(|exponent| f64::from(exponent) / LOG2_10 / f64::from(step));
        (first.ceil() as i32..=end.floor() as i32).map(move |at| at * step)
    }

    /// The limits of single precision that are in sight.
    pub(super) fn limits(self) -> impl Iterator<Item = i32> {
        [FIRST, FULL, END].into_iter().filter(move |limit| (self.first..=self.end).contains(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::{END, FIRST, FULL, View};
    use backflow_probe::Exponents;

    fn numbers(first: i32, counts: &[u64]) -> Exponents {
        Exponents { first, counts: counts.to_vec(), ..Exponents::default() }
    }

    #[test]
    fn views_are_what_numbers_reach_and_not_too_narrow() {
        let subnormal = Exponents { subnormal: 1, ..numbers(-3, &[1]) };
        let none = Exponents { zeros: 4, infinite: 1, nan: 2, ..numbers(-126, &[0, 0]) };
        let cases: [(&[Exponents], i32, i32); 14] = [
            (&[numbers(-20, &[1; 30])], -20, 10),
            // Together, without what is counted as nothing.
            (&[numbers(-20, &[0, 0, 3, 0]), none.clone(), numbers(-1, &[0, 1, 0, 0, 0, 0, 2, 0])], -18, 6),
            // Widened on both sides, as far as there is room.
            (&[numbers(0, &[7])], -4, 6),
            (&[numbers(-5, &[7, 1, 1])], -8, 2),
            (&[numbers(FULL, &[7])], FULL, FULL + 10),
            (&[numbers(127, &[7])], END - 10, END),
            // To the end of single precision.
            (std::slice::from_ref(&subnormal), FIRST, -2),
            (&[subnormal.clone(), numbers(3, &[1])], FIRST, 4),
            // Of double precision.
            (&[numbers(-200, &[1; 203])], FIRST, 3),
            (&[numbers(-1000, &[1; 10])], FIRST, FULL),
            (&[numbers(100, &[1; 300])], 100, END),
            (&[numbers(500, &[1]), numbers(0, &[1])], 0, END),
            // Nothing that has a place between the ends.
            (&[none], FIRST, END),
            (&[numbers(500, &[1])], FIRST, END),
        ];
        for (histograms, first, end) in cases {
            assert_eq!(View::reached(histograms.iter()), View { first, end }, "{histograms:?}");
        }
        assert_eq!(View::reached([].iter()), View::WHOLE);
    }

    #[test]
    fn marks_are_decades_in_sight_and_never_too_close() {
        let (width, apart) = (265.0, 44.0);
        for first in (FIRST..=END - 10).step_by(3) {
            for end in first + 10..=END {
                let view = View { first, end };
                let unit = width / view.exponents();
                let decades: Vec<i32> = view.decades(unit, apart).collect();
                let at = |decade: i32| f64::from(decade) * std::f64::consts::LOG2_10;
                let is_in_sight = |&decade: &i32| (f64::from(first)..=f64::from(end)).contains(&at(decade));
                assert!(decades.len() > 1 && decades.iter().all(is_in_sight), "{view:?}: {decades:?}");
                assert!(
                    decades.windows(2).all(|two| unit * (at(two[1]) - at(two[0])) >= apart),
                    "{decades:?}"
                );
                assert!(view.limits().all(|limit| (first..=end).contains(&limit)), "{view:?}");
            }
        }
        assert_eq!(View::WHOLE.limits().count(), 3);
    }
}
