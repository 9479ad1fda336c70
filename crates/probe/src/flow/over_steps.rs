//! The table of places with an axis of time.

use super::GradFlow;
use super::lines::{LONGEST_PATH, log10};
use crate::rows::FlowRow;
use crate::table::{Column, Table};
use crate::text::{clipped, factor, short};
use crate::time::{Reach, TimeFlow};

const LEGEND: &str = "over steps, in the order in which they are computed: rms of the output (a) and the delta (d) of the \
                      first and the last, and the delta farthest from the last by its logarithm, with its step.";
const LEGEND_OF_FACTOR: &str = "factor: by how much deltas of one loss are multiplied from a step to the one before, by the line \
                                through their logarithms, and R² of that; deltas of what a step hands on, which is c of an LSTM and \
                                h and c together of a cell by hand, and the output elsewhere.";
const LEGEND_OF_SEVERAL: &str = "loss: where it reaches several steps directly, deltas are by all of them, and the factor, where \
                                 it is known, is that of the last one alone, in the first 8 sequences of the batch.";

impl GradFlow {
    /// What goes through the steps in time of each place that has some; `None` if there are none.
    #[must_use]
    pub fn over_steps(&self) -> Option<Table> {
        let sequences = self.rows.iter().filter_map(|row| Some((row, row.time.as_ref()?)));
        let sequences: Vec<(&FlowRow, &TimeFlow)> =
            sequences.filter(|(_, time)| time.is_sequence()).collect();
        let has_several = sequences.iter().any(|(_, time)| time.reach == Reach::Several);
        let columns = [
            (true, Column::words("layer", Column::ALWAYS)),
            (true, Column::numbers("steps", 6)),
            (has_several, Column::words("loss", 5)),
            (true, Column::numbers("a first", 1)),
            (true, Column::numbers("a last", 2)),
            (true, Column::numbers("d first", 8)),
            (true, Column::numbers("d last", 7)),
            (true, Column::numbers("d worst", 4)),
            (true, Column::numbers("at", 3)),
            (true, Column::numbers("factor", 9)),
            (true, Column::numbers("R²", 6)),
        ];
        let is_there = columns.each_ref().map(|&(is_there, _)| is_there);
        let line = |&(row, time): &(&FlowRow, &TimeFlow)| {
            let ends = |list: &[f64]| [list.get(time.begins), list.last()].map(|x| short(x.copied()));
            let [[a_first, a_last], [d_first, d_last]] = [ends(&time.output_rms), ends(&time.delta_rms)];
            let worst = worst(time);
            let line = row.time_line();
            let cells = [
                clipped(&row.path, LONGEST_PATH).into_owned(),
                (time.steps.len() - time.begins).to_string(),
                if time.reach == Reach::Several { "several" } else { "one" }.to_owned(),
                a_first,
                a_last,
                d_first,
                d_last,
                short(worst.map(|(_, delta)| delta)),
                worst.map_or("-".to_owned(), |(step, _)| step.to_string()),
                line.as_ref().map_or("-".to_owned(), |line| factor(line.factor())),
                line.as_ref().map_or("-".to_owned(), |line| format!("{:.2}", line.fit)),
            ];
            cells.into_iter().zip(is_there).filter(|&(_, is_there)| is_there).map(|(cell, _)| cell).collect()
        };
        let rows: Vec<Vec<String>> = sequences.iter().map(line).collect();
        let columns =
            columns.into_iter().filter(|&(is_there, _)| is_there).map(|(_, column)| column).collect();
        let legend = [LEGEND, LEGEND_OF_FACTOR].into_iter().chain(has_several.then_some(LEGEND_OF_SEVERAL));
        (!rows.is_empty()).then(|| Table { columns, rows, legend: legend.collect() })
    }
}

/// Of the steps up to the last that the loss reaches, the one whose delta is farthest from that of the last, by its
/// logarithm: with the step in time.
fn worst(time: &TimeFlow) -> Option<(u64, f64)> {
    let deltas = time.delta_rms.get(time.begins..)?;
    let end = deltas.iter().rposition(|delta| !delta.is_nan() && *delta != 0.0)?;
    let last = log10(deltas[end]);
    // What has no logarithm is farthest.
    let away =
        |delta: f64| log10(delta).zip(last).map_or(f64::INFINITY, |(delta, last)| (delta - last).abs());
    let steps = time.steps.get(time.begins..)?.iter().zip(&deltas[..end]);
    let known = steps.filter(|(_, delta)| !delta.is_nan());
    let (&step, &delta) = known.rev().max_by(|a, b| away(*a.1).total_cmp(&away(*b.1)))?;
    Some((step, delta))
}
