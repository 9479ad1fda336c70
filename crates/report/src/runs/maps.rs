//! The flow map of each run, in the same colours, and how each differs from the first.

use super::together::Together;
use crate::heat_map::{Colours, HeatMap, Rows, label};
use crate::page::field;
use backflow_probe::FlowRow;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

pub(super) struct Map {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) svg: String,
    pub(super) csv: String,
}

fn delta(row: &FlowRow) -> Option<f64> {
    row.delta_rms
}

/// Maps of all runs, then the differences.
pub(super) fn all(together: &Together<'_>) -> Vec<Map> {
    let columns = together.steps.len();
    let places = |run: usize| {
        (0..columns).flat_map(move |column| (0..together.rows[run].paths.len()).map(move |row| (column, row)))
    };
    let sizes = (0..together.runs.len())
        .flat_map(|run| places(run).filter_map(move |(column, row)| together.get(run, column, row, delta)));
    let colours = Colours::of_sizes(sizes.filter(|x| x.is_finite()));
    let mut maps: Vec<Map> = (0..together.runs.len())
        .map(|run| {
            let name = &together.runs[run].name;
            let rows: Vec<usize> = (0..together.rows[run].paths.len()).collect();
            let value = move |row: usize, column: usize| together.get(run, column, row, delta);
            let text = ["log₁₀ of delta RMS, layer by step", "delta RMS"];
            map(
                together,
                &format!("map-{}", run + 1),
                &format!("Gradient flow of {name}"),
                text,
                run,
                &rows,
                colours,
                &value,
            )
        })
        .collect();
    let of_first: BTreeMap<&str, usize> =
        together.rows[0].paths.iter().enumerate().map(|(row, path)| (&**path, row)).collect();
    for run in 1..together.runs.len() {
        // Rows of one path are one layer, but for outputs of a network that are none of the other.
        let (own, first) = (&together.rows[run], &together.rows[0]);
        let paths = own.paths.iter().enumerate();
        let pairs = paths.filter_map(|(row, path)| Some((row, *of_first.get(&**path)?)));
        let pairs: Vec<(usize, usize)> =
            pairs.filter(|&(row, other)| own.ends[row] == first.ends[other]).collect();
        if pairs.is_empty() {
            continue;
        }
        let rows: Vec<usize> = pairs.iter().map(|&(row, _)| row).collect();
        let value = |row: usize, column: usize| {
            let (own, first) = pairs[row];
            let (own, first) =
                (together.get(run, column, own, delta)?, together.get(0, column, first, delta)?);
            // Nothing comes to either: they do not differ.
            Some(if own == first { 0.0 } else { own.log10() - first.log10() })
        };
        let values = (0..columns).flat_map(|column| (0..rows.len()).map(move |row| (row, column)));
        let colours = Colours::of_differences(values.filter_map(|(row, column)| value(row, column)));
        let (first, name) = (&together.runs[0].name, &together.runs[run].name);
        let title = format!("{name} against {first}");
        let text = ["decades by which delta RMS is larger, red, or smaller, blue", "decades"];
        maps.push(map(together, &format!("difference-{run}"), &title, text, run, &rows, colours, &value));
    }
    maps
}

fn map(
    together: &Together<'_>,
    name: &str,
    title: &str,
    [description, unit]: [&str; 2],
    run: usize,
    rows: &[usize],
    colours: Colours,
    value: &dyn Fn(usize, usize) -> Option<f64>,
) -> Map {
    let paths: Vec<&str> = rows.iter().map(|&row| &*together.rows[run].paths[row]).collect();
    let mut csv = format!("step,{}\n", paths.iter().map(|path| field(path)).collect::<Vec<_>>().join(","));
    for (column, step) in together.steps.iter().enumerate() {
        let figures =
            (0..rows.len()).map(|row| value(row, column).map_or(String::new(), crate::chart::six_digits));
        let _ = writeln!(csv, "{step},{}", figures.collect::<Vec<_>>().join(","));
    }
    let heat_map = HeatMap {
        id: name.to_owned(),
        title: format!("{title}: {unit}"),
        of: Rows::Layers,
        rows: rows
            .iter()
            .zip(&paths)
            .map(|(row, path)| format!("{}\u{2002}{}", label(path), row + 1))
            .collect(),
        axis: Cow::Borrowed(&together.axis),
        ticks: together.ticks(),
        shown: Some(together.shown),
        colours,
        value: Box::new(value),
    };
    Map {
        name: name.to_owned(),
        title: title.to_owned(),
        description: description.to_owned(),
        svg: heat_map.svg(),
        csv,
    }
}
