//! Maps of units by steps: of each layer one of what its channels put out, and one of what comes back to them.

use super::figures::Figures;
use super::sparse::Sparse;
use crate::chart::six_digits;
use crate::heat_map::{Colours, HeatMap, Rows};
use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{Drawn, Read};
use std::borrow::Cow;
use std::fmt::Write;

/// So many measurements are drawn, and so many rows on a page, with which it has a few megabytes.
const SHOWN: usize = 64;
const ROWS: usize = 4096;

/// The map of a layer.
#[derive(Debug)]
pub(super) struct UnitMap<'a> {
    /// The name of its file, and of its element.
    pub(super) id: String,
    pub(super) title: String,
    /// What its layer is.
    pub(super) kind: String,
    sparse: Sparse,
    /// By measurement, then by unit.
    values: Vec<&'a [f64]>,
}

/// The maps of all layers, input first, as far as there is room; and of how many layers there are figures, and how
/// many are drawn.
pub(super) fn all<'a>(figures: &Figures<'a>) -> (Vec<UnitMap<'a>>, [usize; 2]) {
    let (mut maps, mut rows, mut counts) = (Vec::new(), 0, [0, 0]);
    for (place, (path, kind)) in figures.layers.iter().enumerate() {
        let of_layer: Vec<UnitMap<'a>> = QUANTITIES
            .iter()
            .filter_map(|quantity| {
                let (Drawn::UnitMaps { id }, Read::Units(of)) = (quantity.drawn, quantity.read) else {
                    return None;
                };
                let units = |flow: &'a _| figures.layer(flow, place).map_or(&[][..], of);
                let sparse = figures.sparse(SHOWN, |flow| {
                    figures.layer(flow, place).is_some_and(|layer| !of(layer).is_empty())
                })?;
                let values = sparse.records().iter().map(|&record| units(&figures.steps[record])).collect();
                let title = format!("{}: {path}", quantity.title);
                let (id, kind) = (format!("{id}-{}", place + 1), kind.name.clone());
                Some(UnitMap { id, title, kind, sparse, values })
            })
            .collect();
        counts[0] += usize::from(!of_layer.is_empty());
        rows += of_layer.iter().map(UnitMap::units).sum::<usize>();
        if rows <= ROWS {
            counts[1] += usize::from(!of_layer.is_empty());
            maps.extend(of_layer);
        }
    }
    (maps, counts)
}

impl UnitMap<'_> {
    fn units(&self) -> usize {
        self.values.iter().map(|units| units.len()).max().unwrap_or(0)
    }

    /// The map: at every step the latest measurement by then.
    pub(super) fn svg(&self, figures: &Figures<'_>) -> String {
        let finite = self.values.iter().copied().flatten().copied().filter(|x| x.is_finite());
        HeatMap {
            id: self.id.clone(),
            title: format!("{}, root mean square by step", self.title),
            of: Rows::Units,
            rows: (0..self.units()).map(|unit| unit.to_string()).collect(),
            axis: Cow::Borrowed(&figures.axis),
            ticks: figures.ticks(),
            shown: Some(figures.shown),
            colours: Colours::of_sizes(finite),
            value: Box::new(|row, column| self.values[self.sparse.row(column)].get(row).copied()),
        }
        .svg()
    }

    /// The numbers, a line a measurement.
    pub(super) fn csv(&self, figures: &Figures<'_>) -> String {
        let mut csv = "step".to_owned();
        for unit in 0..self.units() {
            let _ = write!(csv, ",{unit}");
        }
        for (&record, units) in self.sparse.records().iter().zip(&self.values) {
            let _ = write!(csv, "\n{}", figures.steps[record].step);
            for &x in *units {
                let _ = write!(csv, ",{}", six_digits(x));
            }
        }
        csv
    }
}
