//! The heat map of deltas: a row per layer, a column per step.

use super::figures::Figures;
use crate::heat_map::{Colours, HeatMap, Rows, label};
use backflow_probe::quantities::DELTA_RMS;
use std::borrow::Cow;

/// What the row of a layer is called.
pub(super) fn row_label(place: usize, name: &str) -> String {
    format!("{}\u{2002}{}", label(name), place + 1)
}

/// The map of log₁₀ RMS delta.
pub(super) fn of<'a>(figures: &'a Figures<'_>) -> HeatMap<'a> {
    HeatMap {
        id: "map".to_owned(),
        title: "Root mean square of deltas by layer and step".to_owned(),
        of: Rows::Layers,
        rows: figures.layers.iter().enumerate().map(|(place, (path, _))| row_label(place, path)).collect(),
        axis: Cow::Borrowed(&figures.axis),
        ticks: figures.ticks(),
        shown: Some(figures.shown),
        colours: Colours::of_sizes(figures.finite(&DELTA_RMS)),
        value: Box::new(|row, column| figures.get(&DELTA_RMS, column, row)),
    }
}
