//! The axis of steps, which heat maps and curves over runs have in common.
//!
//! Steps that were recorded side by side stand side by side, whatever lies between them, so that steps spaced
//! by their logarithm are seen evenly. Where recording stopped for much longer than before and after, the axis
//! has a gap.

use crate::chart::{Chart, Frame};
use std::collections::BTreeSet;

/// How many times the distances beside it make a distance a gap.
const LONG: f64 = 3.0;

/// The share of the axis that a gap takes.
const GAP: f64 = 1.0 / 40.0;

/// Where each column is, in widths of a column.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Axis {
    /// The left side of each column.
    pub(crate) places: Vec<f64>,
    pub(crate) end: f64,
    /// Where there is nothing.
    pub(crate) gaps: Vec<[f64; 2]>,
}

impl Axis {
    /// Of recorded steps of which these are shown, with gaps behind these.
    pub(crate) fn of(kept: &[usize], gaps: &[usize]) -> Self {
        let width = (kept.len() as f64 * GAP).max(1.0);
        let mut axis = Self::default();
        for (column, &record) in kept.iter().enumerate() {
            let before = column.checked_sub(1).map_or(record, |column| kept[column]);
            if gaps.iter().any(|gap| (before..record).contains(gap)) {
                axis.gaps.push([axis.end, axis.end + width]);
                axis.end += width;
            }
            axis.places.push(axis.end);
            axis.end += 1.0;
        }
        axis
    }

    /// The chart with the mark of the column that is shown elsewhere.
    pub(crate) fn marked(&self, chart: &Chart, shown: usize) -> String {
        let Frame { width, height, left, right, top, bottom } = chart.frame;
        let mark = Columns::between(self, left, width - right).mark(self, shown, top, height - bottom);
        chart.svg().replace("</svg>\n", &format!("{mark}</svg>\n"))
    }

    /// The column that is at a place or left of it.
    pub(crate) fn column(&self, x: f64) -> usize {
        self.places.partition_point(|&place| place <= x).saturating_sub(1)
    }
}

/// So many steps are told apart on a screen.
pub(crate) const COLUMNS: usize = 200;

/// Which of so many records are shown: evenly many of them, the ends, and these, each with the one before it.
pub(crate) fn thinned(records: usize, always: impl Iterator<Item = usize>) -> BTreeSet<usize> {
    if records <= COLUMNS {
        return (0..records).collect();
    }
    let even = (0..COLUMNS).map(|idx| idx * (records - 1) / (COLUMNS - 1));
    even.chain(always.flat_map(|at| at.saturating_sub(1)..=at)).collect()
}

/// Behind which of these steps, which rise, there is a gap.
pub(crate) fn gaps_after(steps: &[u64]) -> Vec<usize> {
    let apart: Vec<f64> =
        steps.windows(2).map(|pair| pair[1].saturating_sub(pair[0]).max(1) as f64).collect();
    let is_gap = |&idx: &usize| {
        let ratio = |other: Option<&f64>| Some(apart[idx] / other?);
        let [before, after] = [idx.checked_sub(1).and_then(|before| apart.get(before)), apart.get(idx + 1)];
        match (ratio(before), ratio(after)) {
            (Some(before), Some(after)) => before > LONG && after > LONG,
            // At an end, distances may grow all the way, as with steps spaced by their logarithm.
            (Some(before), None) => {
                before
                    > LONG * idx.checked_sub(2).map_or(before, |far| (apart[idx - 1] / apart[far]).max(1.0))
            }
            (None, Some(after)) => {
                after > LONG * apart.get(idx + 2).map_or(after, |far| (apart[idx + 1] / far).max(1.0))
            }
            (None, None) => false,
        }
    };
    (0..apart.len()).filter(is_gap).collect()
}

/// Where the first column begins, and how wide each is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Columns {
    pub(crate) left: f64,
    pub(crate) width: f64,
}

impl Columns {
    /// All columns between two margins.
    pub(crate) fn between(axis: &Axis, left: f64, right: f64) -> Self {
        Self { left, width: (right - left) / axis.end }
    }

    /// The line at the column that is shown elsewhere.
    pub(crate) fn mark(self, axis: &Axis, shown: usize, top: f64, bottom: f64) -> String {
        let Self { left, width } = self;
        let x = left + width * (axis.places[shown] + 0.5);
        let path = format!("d=\"M0 {:.1}V{:.1}\"", top - 4.0, bottom + 4.0);
        format!(
            "<g class=\"now\" data-left=\"{left:.2}\" data-width=\"{width:.4}\" transform=\"translate({x:.1} \
             0)\"><path class=\"halo\" {path}/><path {path}/></g>\n"
        )
    }
}

/// Round numbers of these steps and where they are, in columns; far enough from each other to be read.
pub(crate) fn ticks(steps: &[u64], axis: &Axis) -> Vec<(f64, String)> {
    let (first, last) = (steps[0], steps[steps.len() - 1]);
    let middle = steps[steps.len() / 2].saturating_sub(first);
    // Where the half of the columns is within a quarter of the way, the steps are spaced by their logarithm.
    let digits: &'static [u64] = if last / first.max(1) > 500 { &[1] } else { &[1, 2, 5] };
    let powers = |digits: &'static [u64]| {
        (0..19).flat_map(|power| digits.iter().map(move |digit| digit * 10_u64.pow(power).min(u64::MAX / 5)))
    };
    let round: Vec<u64> = if middle < last.saturating_sub(first) / 4 {
        powers(digits).collect()
    } else {
        let apart = powers(&[1, 2, 5]).find(|apart| last.saturating_sub(first) / apart <= 8).unwrap_or(1);
        (0..=9).map_while(|idx| first.div_ceil(apart).checked_add(idx)?.checked_mul(apart)).collect()
    };
    // Where a gap ends, the step is said.
    let behind = |column: usize| axis.gaps.iter().any(|&[_, end]| axis.places[column] == end);
    let ends = (0..steps.len()).filter(|&column| behind(column)).map(|column| (column, steps[column]));
    let round = round.into_iter().filter(|step| (first..=last).contains(step)).filter_map(|step| {
        let column = steps.partition_point(|&shown| shown < step);
        // Nothing was recorded where the gap is.
        (steps[column] == step || !behind(column)).then_some((column, step))
    });
    let mut ticks: Vec<(f64, String)> = Vec::new();
    for (column, step) in ends.chain(round) {
        let place = axis.places[column] + 0.5;
        if ticks.iter().all(|(other, _)| (place - other).abs() >= axis.end / 12.0) {
            ticks.push((place, step.to_string()));
        }
    }
    ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
    ticks
}

#[cfg(test)]
mod tests {
    use super::{Axis, gaps_after, ticks};

    fn axis(steps: &[u64]) -> Axis {
        Axis::of(&(0..steps.len()).collect::<Vec<_>>(), &gaps_after(steps))
    }

    #[test]
    fn steps_are_marked_at_round_numbers_however_they_are_spaced() {
        let texts =
            |steps: &[u64]| ticks(steps, &axis(steps)).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(texts(&(1..=60).collect::<Vec<_>>()), ["10", "20", "30", "40", "50", "60"]);
        assert_eq!(texts(&(0..=200).map(|idx| 50 * idx).collect::<Vec<_>>())[..3], ["0", "2000", "4000"]);
        let spaced: Vec<u64> = (0..200).map(|idx| 10_f64.powf(f64::from(idx) / 50.0) as u64).collect();
        assert_eq!(texts(&spaced), ["1", "10", "100", "1000"]);
        assert_eq!(texts(&[7]), ["7"]);
        // Of what was not recorded, no step is marked.
        let holed: Vec<u64> = (1..=100).chain(901..=1000).collect();
        assert_eq!(texts(&holed), ["901", "1000"]);
    }

    #[test]
    fn gaps_are_where_recording_stopped_and_not_where_it_slowed_down() {
        let gaps = |steps: &[u64]| gaps_after(steps);
        assert_eq!(gaps(&(1..=100).chain(901..=1000).collect::<Vec<_>>()), [99]);
        let powers: Vec<u64> = (0..12).map(|power| 10_u64.pow(power)).collect();
        for steps in [&powers[..], &[1, 50, 100, 150, 200, 217], &[1, 2, 3, 50, 100, 150], &[7], &[], &[1, 9]]
        {
            assert!(gaps(steps).is_empty(), "{steps:?}");
        }
        assert_eq!(gaps(&[10, 20, 30, 500]), [2], "at the end");
        assert_eq!(gaps(&[0, 500, 510, 520]), [0], "at the beginning");
        assert_eq!(gaps(&[0, 10, 20, 500, 510, 900, 910, 920]), [2, 4]);
    }

    #[test]
    fn columns_and_gaps_share_the_axis_and_each_place_is_of_one_column() {
        let steps: Vec<u64> = (1..=100).chain(901..=1000).collect();
        let axis = axis(&steps);
        assert_eq!(axis.gaps, [[100.0, 105.0]]);
        assert_eq!((axis.places[99], axis.places[100], axis.end), (99.0, 105.0, 205.0));
        for column in 0..steps.len() {
            assert_eq!(axis.column(axis.places[column] + 0.5), column);
        }
    }
}
