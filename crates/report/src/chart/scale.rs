//! How values are spaced along the vertical axis, and which of them get a line.

use backflow_probe::Axis;
use backflow_probe::text::number;
use backflow_tensor::Float;

/// How values are spaced along the vertical axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scale {
    /// By the value.
    #[default]
    Linear,
    /// By the logarithm of the value.
    Log,
    /// By the logarithm of what is missing to 1: 0.9, 0.99 and 0.999 are equally far apart, so that good
    /// accuracies can be told from each other.
    Accuracy,
}

/// What an accuracy of 1 is drawn as: as if an example in ten thousand were wrong.
const LEAST_ERROR: f64 = 1e-4;

/// What 0 is drawn as on a logarithmic scale: far below the smallest number of single precision.
const LEAST: f64 = 1e-300;

/// Numbers whose small multiples are still finite.
pub(crate) const LARGEST: f64 = 1e300;

impl From<Axis> for Scale {
    fn from(axis: Axis) -> Self {
        match axis {
            Axis::Log | Axis::LogWithFloor => Self::Log,
            Axis::Linear | Axis::Share | Axis::Cosine => Self::Linear,
        }
    }
}

impl Scale {
    /// The ends of an axis that shows all of these values that have a place on it, with room beyond. A
    /// logarithmic axis has at least so many decades, or noise would look like a trend; a linear one has 0.
    /// `None` if no value has a place.
    pub(crate) fn range(self, values: impl Iterator<Item = f64>, decades: f64) -> Option<[f64; 2]> {
        let has_place = |x: &f64| x.is_finite() && (self != Self::Log || *x > 0.0);
        let ends = |ends: Option<[f64; 2]>, x: f64| {
            let [low, high] = ends.unwrap_or([x; 2]);
            Some([low.min(x), high.max(x)])
        };
        let [low, high] = values.filter(has_place).fold(None, ends)?;
        Some(match self {
            Self::Log => {
                let (low, high) = (low.min(LARGEST), high.min(LARGEST));
                let room = (Float::powf(10.0, decades / 2.0) * (low / high).sqrt()).max(1.15);
                [low / room, high * room]
            }
            Self::Linear | Self::Accuracy => {
                let (low, high) = (low.clamp(-LARGEST, 0.0), high.clamp(0.0, LARGEST));
                let room = 0.06 * (high - low).max(1e-30);
                [if low < 0.0 { low - room } else { 0.0 }, high + room]
            }
        })
    }

    /// Where the value is, in units of this scale.
    pub(crate) fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.max(LEAST).log10(),
            Self::Accuracy => -Float::ln((1.0 - value).max(LEAST_ERROR)),
        }
    }

    /// Values that deserve a line, among those between `low` and `high`.
    pub(crate) fn ticks(self, low: f64, high: f64) -> Vec<f64> {
        let candidates: Vec<f64> = match self {
            Self::Accuracy => vec![0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999],
            Self::Log => {
                let (low, high) = (Self::Log.place(low).floor() as i32, Self::Log.place(high).ceil() as i32);
                let decades = high - low;
                let digits: &[f64] = if decades > 3 { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let apart = [1, 2, 5, 10, 20, 50, 100].into_iter().find(|apart| decades / apart <= 9);
                let apart = apart.unwrap_or(100);
                let decade = |power: i32| digits.iter().map(move |digit| digit * 10_f64.powi(power));
                (low..=high).filter(|power| power % apart == 0).flat_map(decade).collect()
            }
            Self::Linear => {
                let step = round_step((high - low) / 6.0);
                let first = (low / step).ceil();
                (0..=8).map(|idx| (first + f64::from(idx)) * step).collect()
            }
        };
        let slack = if self == Self::Linear { (high - low) * 1e-9 } else { 0.0 };
        let inside = |tick: &f64| (low - slack..=high + slack).contains(tick);
        let ticks: Vec<f64> = candidates.into_iter().filter(inside).collect();
        // Less than a decade is as good as linear.
        if self == Self::Log && ticks.len() < 3 { Self::Linear.ticks(low, high) } else { ticks }
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.max(LEAST).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|digit| digit * decade)
        .into_iter()
        .find(|&step| step >= least)
        .unwrap_or(decade)
}

/// A handful of round numbers from `first` to `last`, with their texts.
pub(crate) fn round_ticks(first: f64, last: f64) -> Vec<(f64, String)> {
    Scale::Linear.ticks(first, last).into_iter().map(|tick| (tick, number(tick))).collect()
}

/// A handful of whole numbers from `first` to `last`, with their texts.
pub(crate) fn whole_ticks(first: f64, last: f64) -> Vec<(f64, String)> {
    let step = round_step(((last - first) / 8.0).max(1.0));
    let start = (first / step).ceil();
    let ticks = (0..=8).map(|idx| (start + f64::from(idx)) * step).filter(|&tick| tick <= last);
    ticks.map(|tick| (tick, number(tick))).collect()
}

#[cfg(test)]
mod tests {
    use super::{Scale, whole_ticks};

    #[test]
    fn a_range_shows_all_that_has_a_place() {
        let of = |scale: Scale, values: &[f64]| scale.range(values.iter().copied(), 1.0);
        for values in [&[1.0][..], &[1e-45, 1e38], &[f64::MAX, 1.0], &[2.0, 3.0, 0.0, f64::NAN, -1.0]] {
            let [low, high] = of(Scale::Log, values).unwrap();
            assert!(0.0 < low && high < f64::INFINITY && high / low >= 9.99, "{values:?}: {low} {high}");
            let shown = values.iter().filter(|&&x| x > 0.0 && x <= 1e300);
            assert!(shown.clone().count() > 0 && shown.clone().all(|x| low < *x && *x < high), "{values:?}");
            let [low, high] = of(Scale::Linear, values).unwrap();
            assert!(low <= 0.0 && 0.0 < high && (high - low).is_finite(), "{values:?}: {low} {high}");
        }
        assert_eq!(of(Scale::Log, &[0.0, -1.0, f64::NAN]), None);
        assert_eq!(of(Scale::Linear, &[f64::NAN, f64::INFINITY]), None);
    }

    #[test]
    fn ticks_are_few_and_readable() {
        let whole =
            |first, last| whole_ticks(first, last).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(whole(0.0, 5.0), ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(whole(0.0, 30.0), ["0", "5", "10", "15", "20", "25", "30"]);
        assert_eq!(whole(0.0, 1.0), ["0", "1"]);
        assert_eq!(whole(1.0, 40.0), ["5", "10", "15", "20", "25", "30", "35", "40"]);
        for (low, high) in [
            (1e-4, 10.0),
            (0.1, 3.0),
            (1.8, 2.5),
            (0.51, 0.52),
            (1e-3, 2.5),
            (1e-20, 1e20),
            (1e-45, 1.0),
            (2.0, 7.0),
        ] {
            let ticks = Scale::Log.ticks(low, high).len();
            assert!((3..=12).contains(&ticks), "{low} to {high}: {ticks}");
        }
        for (low, high) in [(0.0, 1.0), (-3.0, 2.0), (0.1, 0.13), (-1e30, 1e30)] {
            let ticks = Scale::Linear.ticks(low, high);
            assert!((3..=8).contains(&ticks.len()), "{low} to {high}: {ticks:?}");
        }
    }
}
