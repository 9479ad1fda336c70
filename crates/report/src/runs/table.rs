//! The table of runs: what differs, and what came of it.

use super::{FlowRun, RunsPage};
use backflow_probe::text::{short, signed};
use backflow_probe::{Column, GradFlow, Table, Verdict};
use std::collections::BTreeSet;

const LEGEND: &str =
    "loss, slope: at the last record; slope: the change of log10 rms delta per layer on the way back.";

/// A row per run: its name, the settings that differ, the figures of its last epoch, and the verdict.
#[must_use]
pub fn runs_table(page: &RunsPage<'_>) -> Table {
    let mut columns = vec![Column::words("run", Column::ALWAYS)];
    columns.extend(page.settings.iter().map(|name| Column::words(name, 5)));
    columns.push(Column::numbers("steps", 3));
    columns.push(Column::numbers("loss", 6));
    let names: BTreeSet<&str> = page
        .runs
        .iter()
        .filter_map(|run| run.epochs.last())
        .flat_map(|(_, figures)| figures.iter().map(|(name, _)| &**name))
        .collect();
    let is_metric = |name: &&&str| !matches!(**name, "train_loss" | "test_loss");
    let metrics: Vec<&str> = names.iter().filter(is_metric).copied().collect();
    columns.extend(metrics.iter().map(|name| Column::numbers(name.replace('_', " "), 7)));
    columns.push(Column::numbers("slope", 8));
    columns.push(Column::words("verdict", 9));
    let rows = page.runs.iter().map(|run| row(run, &metrics)).collect();
    Table { columns, rows, legend: vec![LEGEND] }
}

fn row(run: &FlowRun<'_>, metrics: &[&str]) -> Vec<String> {
    let last = run.steps.last();
    let mut row = vec![run.name.clone()];
    row.extend(run.settings.iter().cloned());
    row.push(last.map_or("-".to_owned(), |record| record.step.to_string()));
    row.push(short(last.map(|record| record.loss)));
    for metric in metrics {
        let figures = run.epochs.last().map_or(&[][..], |(_, figures)| figures);
        row.push(short(figures.iter().find(|(name, _)| name == metric).map(|&(_, figure)| figure)));
    }
    let slope = last.and_then(|record| GradFlow::of(std::slice::from_ref(record)).slope());
    row.push(signed(slope.map(|(slope, _)| slope)));
    let names: Vec<&str> = run.verdicts.iter().map(Verdict::name).collect();
    row.push(names.join(", "));
    row
}
