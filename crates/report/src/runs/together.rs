//! [`Together`]: runs on one axis of steps.

use super::FlowRun;
use crate::chart::{Chart, Frame};
use crate::flow::verdict;
use crate::steps::{self, Axis, Columns};
use backflow_probe::{FlowRow, FlowStep, GradFlow};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ops::Range;

/// So many steps are told apart on a screen.
const COLUMNS: usize = 200;

/// The rows of a run's table.
pub(super) struct Rows {
    pub(super) paths: Vec<String>,
    /// By column; none where the run has no record.
    columns: Vec<Option<Vec<FlowRow>>>,
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
}

/// What the data of the script call a run.
pub(super) fn key(run: usize) -> String {
    format!("run{run}")
}

impl<'a> Together<'a> {
    /// All steps that any of the runs recorded, thinned to what a screen shows.
    pub(super) fn of(runs: &'a [FlowRun<'a>], step: Option<u64>) -> Self {
        let all: BTreeSet<u64> = runs.iter().flat_map(|run| run.steps.iter().map(|flow| flow.step)).collect();
        let all: Vec<u64> = all.into_iter().collect();
        let kept: Vec<usize> = match all.len() {
            ..=COLUMNS => (0..all.len()).collect(),
            many => (0..COLUMNS).map(|idx| idx * (many - 1) / (COLUMNS - 1)).collect(),
        };
        let axis = Axis::of(&all, &kept);
        let steps: Vec<u64> = kept.iter().map(|&at| all[at]).collect();
        // The last step that all have reached.
        let ends = runs.iter().filter_map(|run| run.steps.last()).map(|flow| flow.step);
        let step = step.or(ends.min()).unwrap_or(u64::MAX);
        let shown = steps.partition_point(|&other| other <= step);
        let shown = shown.saturating_sub(1);
        let rows = runs.iter().map(|run| Rows::of(run, &steps)).collect();
        Self { runs, steps, axis, shown, rows }
    }

    /// What a run recorded last at a column; `None` before its first record and behind its last.
    pub(super) fn record(&self, run: usize, column: usize) -> Option<&'a FlowStep> {
        record(self.runs[run].steps, self.steps[column])
    }

    /// What a run recorded since the column before, up to this one.
    pub(super) fn since(&self, run: usize, column: usize) -> &'a [FlowStep] {
        let steps = self.runs[run].steps;
        let up_to = |step: u64| steps.partition_point(|flow| flow.step <= step);
        let first = column.checked_sub(1).map_or(0, |before| up_to(self.steps[before]));
        let span: Range<usize> = first..up_to(self.steps[column]);
        &steps[span]
    }

    /// A figure of a row; `None` if there is none.
    pub(super) fn get(
        &self,
        run: usize,
        column: usize,
        row: usize,
        of: fn(&FlowRow) -> Option<f64>,
    ) -> Option<f64> {
        let Rows { paths, columns } = &self.rows[run];
        let rows = columns[column].as_ref()?;
        let here = rows.get(row).filter(|it| it.path == paths[row]);
        of(here.or_else(|| rows.iter().find(|it| it.path == paths[row]))?)
    }

    /// Round numbers of steps and where they are.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        steps::ticks(&self.steps, &self.axis)
    }

    /// The chart with the mark of the shown step.
    pub(super) fn marked(&self, chart: &Chart) -> String {
        let Frame { width, height, left, right, top, bottom } = chart.frame;
        let columns = Columns::between(&self.axis, left, width - right);
        let mark = columns.mark(&self.axis, self.shown, top, height - bottom);
        chart.svg().replace("</svg>\n", &format!("{mark}</svg>\n"))
    }

    /// The verdicts on what a run shows at a column.
    pub(super) fn said(&self, run: usize, column: usize) -> String {
        let Some(record) = self.record(run, column) else { return String::new() };
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

fn record(steps: &[FlowStep], step: u64) -> Option<&FlowStep> {
    let last = steps.last()?;
    let at = steps.partition_point(|flow| flow.step <= step);
    if step > last.step { None } else { Some(&steps[at.checked_sub(1)?]) }
}

impl Rows {
    fn of(run: &FlowRun<'_>, steps: &[u64]) -> Self {
        let columns: Vec<Option<Vec<FlowRow>>> =
            steps.iter().map(|&step| record(run.steps, step).map(FlowRow::of)).collect();
        let fullest = columns.iter().flatten().max_by_key(|rows| rows.len());
        let paths = fullest.map_or(Vec::new(), |rows| rows.iter().map(|row| row.path.clone()).collect());
        Self { paths, columns }
    }
}

#[cfg(test)]
mod tests {
    use super::record;
    use backflow_probe::FlowStep;

    #[test]
    fn a_run_shows_its_last_record_while_it_lasts() {
        let steps: Vec<FlowStep> = [10, 20, 40].map(|step| FlowStep { step, ..FlowStep::default() }).to_vec();
        let shown = |step| record(&steps, step).map(|flow| flow.step);
        assert_eq!(
            [9, 10, 19, 20, 39, 40, 41].map(shown),
            [None, Some(10), Some(10), Some(20), Some(20), Some(40), None]
        );
    }
}
