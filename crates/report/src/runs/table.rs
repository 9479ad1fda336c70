//! The table of runs: what differs, and what came of it.

use super::{FlowRun, RunsPage};
use backflow_probe::text::{short, signed};
use backflow_probe::{Column, FlowStep, Table, Verdict};
use std::collections::BTreeSet;

const LEGEND: &str = "slope: in decades (the change of log10 rms delta) per layer, or residual block, on the way back; \
                      below 0 deltas vanish.";

/// A row per run: its name, the settings that differ, the figures at the page's step, and the verdict.
#[must_use]
pub fn runs_table(page: &RunsPage<'_>) -> Table {
    let mut columns = vec![Column::words("run", Column::ALWAYS)];
    let settings = page.runs.first().map_or(&[][..], |run| &run.settings);
    columns.extend(settings.iter().map(|(name, _)| Column::words(name, 5)));
    columns.push(Column::numbers("step", 3));
    columns.push(Column::numbers("loss", 6));
    let figures = page.runs.iter().flat_map(|run| &run.epochs).flat_map(|(_, figures)| figures);
    let names: BTreeSet<&str> = figures.map(|(name, _)| &**name).collect();
    let is_metric = |name: &&&str| !matches!(**name, "train_loss" | "test_loss");
    let metrics: Vec<&str> = names.iter().filter(is_metric).copied().collect();
    columns.extend(metrics.iter().map(|name| Column::numbers(name.replace('_', " "), 7)));
    columns.push(Column::numbers("slope", 8));
    columns.push(Column::words("verdict", 9));
    let rows = page.runs.iter().map(|run| row(run, page.step, &metrics)).collect();
    Table { columns, rows, legend: vec![LEGEND] }
}

fn row(run: &FlowRun<'_>, step: Option<u64>, metrics: &[&str]) -> Vec<String> {
    let record = match step {
        Some(step) => run.steps.iter().rfind(|record| record.step <= step),
        None => FlowStep::shown(run.steps).map(|at| &run.steps[at]),
    };
    let step = step.unwrap_or(u64::MAX);
    let epoch = run.epochs.iter().rfind(|(end, _)| *end <= step).map_or(&[][..], |(_, figures)| figures);
    let mut row = vec![run.name.clone()];
    row.extend(run.settings.iter().map(|(_, value)| value.clone()));
    row.push(record.map_or("-".to_owned(), |record| record.step.to_string()));
    row.push(short(record.map(|record| record.loss)));
    for metric in metrics {
        row.push(short(epoch.iter().find(|(name, _)| name == metric).map(|&(_, figure)| figure)));
    }
    row.push(signed(record.and_then(FlowStep::slope)));
    let names: Vec<&str> = run.verdicts.iter().map(Verdict::name).collect();
    row.push(names.join(", "));
    row
}
