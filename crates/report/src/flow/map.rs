//! The heat map of deltas: a row per layer, a column per step.

use super::figures::Figures;
use crate::heat_map::{Colours, HeatMap, Rows, label};
use backflow_probe::quantities::DELTA_RMS;

/// The map of log₁₀ RMS delta.
pub(super) fn of<'a>(figures: &'a Figures<'_>) -> HeatMap<'a> {
    let row_label =
        |(place, (path, _)): (usize, &(String, _))| format!("{}\u{2002}{}", label(path), place + 1);
    HeatMap {
        id: "map".to_owned(),
        title: "Root mean square of deltas by layer and step".to_owned(),
        of: Rows::Layers,
        rows: figures.layers.iter().enumerate().map(row_label).collect(),
        axis: &figures.axis,
        ticks: figures.ticks(),
        shown: figures.shown,
        colours: Colours::of_sizes(figures.finite(&DELTA_RMS)),
        value: Box::new(|row, column| figures.get(&DELTA_RMS, column, row)),
    }
}
