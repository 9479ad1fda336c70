//! [`Together`]: runs on one axis of steps.

use super::FlowRun;
use crate::chart::ChartPoint;
use crate::flow::{broken, verdict};
use crate::steps::{self, Axis};
use backflow_probe::{FlowRow, FlowStep, GradFlow};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The rows of a run's table.
pub(super) struct Rows {
    pub(super) paths: Vec<String>,
    /// Whether a row's delta is the loss's doing, as that of the outputs.
    pub(super) ends: Vec<bool>,
    /// By column, in the order of the paths; none where the run has no record, or not this row.
    columns: Vec<Vec<Option<FlowRow>>>,
}

pub(super) struct Together<'a> {
    pub(super) runs: &'a [FlowRun<'a>],
    /// The steps that are shown.
    pub(super) steps: Vec<u64>,
    pub(super) axis: Axis,
    /// The column that is shown first.
    pub(super) shown: usize,
    /// By run.
    pub(super) rows: Vec<Rows>,
    /// By run: from which step to which it recorded nothing, where that is a gap.
    gaps: Vec<Vec<[u64; 2]>>,
}

/// What the data of the script call a run.
pub(super) fn key(run: usize) -> String {
    format!("run{run}")
}

impl<'a> Together<'a> {
    /// All steps that any of the runs recorded, thinned to what a screen shows. `None` if nothing was recorded.
    pub(super) fn of(runs: &'a [FlowRun<'a>], step: Option<u64>) -> Option<Self> {
        let recorded = runs.iter().flat_map(|run| run.steps.iter().map(|flow| flow.step));
        let all: Vec<u64> = recorded.collect::<BTreeSet<u64>>().into_iter().collect();
        let place = |step: u64| all.partition_point(|&other| other < step);
        let first_broken = runs.iter().filter_map(|run| run.steps.iter().find(|flow| broken(flow)));
        // The last step of a full batch that all have reached.
        let shown = |run: &FlowRun<'_>| Some(run.steps[FlowStep::shown(run.steps)?].step);
        let step = step.or(runs.iter().filter_map(shown).min())?;
        let asked = Some(all.partition_point(|&other| other <= step).saturating_sub(1));
        // The last is there in any case.
        let always = first_broken.map(|flow| place(flow.step)).chain(asked).filter(|at| at + 1 < all.len());
        let kept = steps::thinned(all.len(), always);
        let kept: Vec<usize> = kept.into_iter().collect();
        let own: Vec<Vec<[u64; 2]>> = runs.iter().map(gaps_of_run).collect();
        let axis = Axis::of(&kept, &gaps(runs, &own, &all));
        let steps: Vec<u64> = kept.iter().map(|&at| all[at]).collect();
        let shown = steps.partition_point(|&other| other <= step).saturating_sub(1);
        let rows = runs.iter().zip(&own).map(|(run, gaps)| Rows::of(run, gaps, &steps)).collect();
        Some(Self { runs, steps, axis, shown, rows, gaps: own })
    }

    /// What a run recorded from a column to the next.
    fn span(&self, run: usize, column: usize) -> &'a [FlowStep] {
        let steps = self.runs[run].steps;
        let before = |step: u64| steps.partition_point(|flow| flow.step < step);
        let end = self.steps.get(column + 1).map_or(steps.len(), |&next| before(next));
        &steps[before(self.steps[column])..end]
    }

    /// A point per column at which a run has a figure, the first of those from this column to the next, with the
    /// range of all of them; no number where the run recorded nothing, so that lines are broken there.
    pub(super) fn points(&self, run: usize, of: &dyn Fn(&FlowStep) -> Option<f64>) -> Vec<ChartPoint> {
        let point = |column: usize| {
            if is_in_gap(&self.gaps[run], self.steps[column]) {
                return Some(ChartPoint::new(self.axis.places[column] + 0.5, f64::NAN));
            }
            let figures: Vec<f64> = self.span(run, column).iter().filter_map(of).collect();
            let y = *figures.first()?;
            let finite = || figures.iter().copied().filter(|figure| figure.is_finite());
            let (low, high) = (finite().fold(y, f64::min), finite().fold(y, f64::max));
            Some(ChartPoint { x: self.axis.places[column] + 0.5, y, low, high })
        };
        (0..self.steps.len()).filter_map(point).collect()
    }

    /// Where a step is on the axis, also between two that are shown.
    pub(super) fn x(&self, step: u64) -> f64 {
        let places = &self.axis.places;
        let next = self.steps.partition_point(|&other| other < step).min(self.steps.len() - 1);
        let before = next.saturating_sub(1);
        let [from, to] = [self.steps[before], self.steps[next]].map(|step| step as f64);
        if to <= from || step as f64 >= to {
            return places[next] + 0.5;
        }
        let share = ((step as f64 - from) / (to - from)).max(0.0);
        places[before] + share * (places[next] - places[before]) + 0.5
    }

    /// A figure of a row; `None` if there is none.
    pub(super) fn get(
        &self,
        run: usize,
        column: usize,
        row: usize,
        of: fn(&FlowRow) -> Option<f64>,
    ) -> Option<f64> {
        of(self.rows[run].columns[column].get(row)?.as_ref()?)
    }

    /// Round numbers of steps and where they are.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        steps::ticks(&self.steps, &self.axis)
    }

    /// The verdicts on what a run shows at a column.
    pub(super) fn said(&self, run: usize, column: usize) -> String {
        let Some(record) = record(self.runs[run].steps, &self.gaps[run], self.steps[column]) else {
            return String::new();
        };
        let verdicts = GradFlow::of(std::slice::from_ref(record)).verdicts();
        let words: Vec<String> = verdicts.iter().map(|it| verdict(it.name())).collect();
        words.join(", ")
    }

    /// The verdicts for the script.
    pub(super) fn judged(&self) -> Value {
        let mut texts: Vec<String> = Vec::new();
        let columns: Vec<Vec<(usize, usize)>> = (0..self.steps.len())
            .map(|column| {
                let said = (0..self.runs.len()).map(|run| {
                    let text = self.said(run, column);
                    let at = texts.iter().position(|other| *other == text).unwrap_or_else(|| {
                        texts.push(text);
                        texts.len() - 1
                    });
                    (run, at)
                });
                said.collect()
            })
            .collect();
        json!({ "texts": texts, "network": [], "layers": columns })
    }
}

/// What a run recorded last at a step; `None` before its first record, behind its last and in its gaps.
fn record<'a>(steps: &'a [FlowStep], gaps: &[[u64; 2]], step: u64) -> Option<&'a FlowStep> {
    let last = steps.last()?;
    let at = steps.partition_point(|flow| flow.step <= step);
    if step > last.step || is_in_gap(gaps, step) { None } else { Some(&steps[at.checked_sub(1)?]) }
}

fn is_in_gap(gaps: &[[u64; 2]], step: u64) -> bool {
    gaps.iter().any(|&[begin, end]| begin < step && step < end)
}

fn gaps_of_run(run: &FlowRun<'_>) -> Vec<[u64; 2]> {
    let steps: Vec<u64> = run.steps.iter().map(|flow| flow.step).collect();
    steps::gaps_after(&steps).into_iter().map(|at| [steps[at], steps[at + 1]]).collect()
}

/// Behind which of all steps there is a gap: where every run that reaches over it has one. That one run records
/// seldom makes none for another.
fn gaps(runs: &[FlowRun<'_>], own: &[Vec<[u64; 2]>], all: &[u64]) -> Vec<usize> {
    let is_gap = |at: &usize| {
        let (from, to) = (all[*at], all[at + 1]);
        let reaches = |run: &FlowRun<'_>| {
            run.steps.first().is_some_and(|flow| flow.step <= from)
                && run.steps.last().is_some_and(|flow| flow.step >= to)
        };
        let mut reaching = runs.iter().zip(own).filter(|(run, _)| reaches(run)).peekable();
        reaching.peek().is_some()
            && reaching.all(|(_, gaps)| gaps.iter().any(|&[begin, end]| begin <= from && to <= end))
    };
    (0..all.len().saturating_sub(1)).filter(is_gap).collect()
}

impl Rows {
    fn of(run: &FlowRun<'_>, gaps: &[[u64; 2]], steps: &[u64]) -> Self {
        let columns: Vec<Vec<FlowRow>> =
            steps.iter().map(|&step| record(run.steps, gaps, step).map_or(Vec::new(), FlowRow::of)).collect();
        let fullest = columns.iter().max_by_key(|rows| rows.len());
        let paths: Vec<String> =
            fullest.map_or(Vec::new(), |rows| rows.iter().map(|row| row.path.clone()).collect());
        let ends = fullest.map_or(Vec::new(), |rows| rows.iter().map(|row| row.is_end).collect());
        let place: BTreeMap<&str, usize> =
            paths.iter().enumerate().rev().map(|(row, path)| (&**path, row)).collect();
        let aligned = |rows: Vec<FlowRow>| {
            let mut aligned: Vec<Option<FlowRow>> = Vec::new();
            aligned.resize_with(paths.len(), || None);
            for row in rows {
                if let Some(&at) = place.get(&*row.path) {
                    aligned[at].get_or_insert(row);
                }
            }
            aligned
        };
        let columns = columns.into_iter().map(aligned).collect();
        Self { columns, paths, ends }
    }
}

#[cfg(test)]
mod tests {
    use super::{FlowRun, Together, record};
    use backflow_probe::FlowStep;

    fn records(steps: impl Iterator<Item = u64>) -> Vec<FlowStep> {
        steps.map(|step| FlowStep { step, loss: step as f64, ..FlowStep::default() }).collect()
    }

    fn run(steps: &[FlowStep]) -> FlowRun<'_> {
        FlowRun { steps, ..FlowRun::default() }
    }

    #[test]
    fn a_run_shows_its_last_record_while_it_lasts() {
        let steps = records([10, 20, 40].into_iter());
        let shown = |step| record(&steps, &[[20, 40]], step).map(|flow| flow.step);
        assert_eq!(
            [9, 10, 19, 20, 39, 40, 41].map(shown),
            [None, Some(10), Some(10), Some(20), None, Some(40), None]
        );
    }

    #[test]
    fn runs_that_record_at_other_steps_make_no_gaps_and_what_nobody_recorded_is_one() {
        for (a, b) in [(9, 10), (20, 23), (50, 49), (1, 100)] {
            let (a, b) = (records((1..2000).step_by(a)), records((1..2000).step_by(b)));
            let runs = [run(&a), run(&b)];
            let together = Together::of(&runs, None).unwrap();
            assert!(together.axis.gaps.is_empty(), "{:?}", together.axis.gaps);
        }
        let holed = |each: usize| records((1..100).chain(900..1000).step_by(each));
        let (a, b) = (holed(1), holed(3));
        let runs = [run(&a), run(&b)];
        assert_eq!(Together::of(&runs, None).unwrap().axis.gaps.len(), 1);
        // One of them was there, and the other shows nothing meanwhile.
        let whole = records(1..1000);
        let runs = [run(&a), run(&whole)];
        let together = Together::of(&runs, Some(500)).unwrap();
        assert!(together.axis.gaps.is_empty() && together.steps[together.shown] == 500);
        let points = together.points(0, &|flow| Some(flow.loss));
        assert!(points.iter().any(|point| point.y.is_nan()) && points[points.len() - 1].y.is_finite());
        assert!(Together::of(&[], None).is_none() && Together::of(&[run(&[])], None).is_none());
    }

    #[test]
    fn every_step_has_its_place_and_nothing_between_two_columns_is_lost() {
        let steps = records((0..5000).map(|idx| 3 * idx));
        let runs = [run(&steps)];
        let together = Together::of(&runs, None).unwrap();
        for (column, &step) in together.steps.iter().enumerate() {
            assert_eq!(together.x(step), together.axis.places[column] + 0.5);
        }
        let between = (together.steps[3] + together.steps[4]) / 2;
        assert!(together.axis.places[3] + 0.5 < together.x(between));
        assert!(together.x(between) < together.axis.places[4] + 0.5);
        let points = together.points(0, &|flow| Some(flow.loss));
        let covered: f64 = points.iter().map(|point| (point.high - point.low) / 3.0 + 1.0).sum();
        assert_eq!(covered, steps.len() as f64, "each record is in the range of one point");
    }
}
