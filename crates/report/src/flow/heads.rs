//! Maps of the heads of all attentions: a row per head, a column per step.

use super::figures::Figures;
use crate::chart::six_digits;
use crate::heat_map::{Colours, HeatMap, Rows, label};
use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{Drawn, LayerFlow, Read};
use std::borrow::Cow;
use std::fmt::Write;

/// The map of a quantity.
#[derive(Debug)]
pub(super) struct HeadMap {
    /// The name of its file, and of its element.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    of: fn(&LayerFlow) -> &[f64],
    /// The place of the layer, the head, and what the row is called.
    rows: Vec<(usize, usize, String)>,
}

/// So many rows are drawn at most: more cannot be read.
const ROWS: usize = 512;

/// The maps for which there are figures.
pub(super) fn all(figures: &Figures<'_>) -> Vec<HeadMap> {
    let map = |quantity: &&backflow_probe::Quantity| {
        let (Drawn::HeadMap { id }, Read::Units(of)) = (quantity.drawn, quantity.read) else { return None };
        let heads = |place: usize| {
            let here = figures.columns.iter().filter_map(|flow| figures.layer(flow, place));
            here.map(|layer| of(layer).len()).max().unwrap_or(0)
        };
        let layers: Vec<(usize, usize)> = (0..figures.layers.len())
            .map(|place| (place, heads(place)))
            .filter(|&(_, heads)| heads > 0)
            .collect();
        let paths: Vec<&str> = layers.iter().map(|&(place, _)| &*figures.layers[place].0).collect();
        let names = told_apart(&paths);
        let rows: Vec<_> = layers
            .iter()
            .zip(names)
            .flat_map(|(&(place, heads), name)| {
                (0..heads).map(move |head| (place, head, format!("{}\u{2002}{}", label(name), head + 1)))
            })
            .take(ROWS)
            .collect();
        (!rows.is_empty()).then_some(HeadMap { id, title: quantity.title, of, rows })
    };
    QUANTITIES.iter().filter_map(map).collect()
}

/// Paths without the parts that all of them end in.
fn told_apart<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    let mut names = paths.to_vec();
    while let Some((_, end)) =
        names.first().filter(|_| names.len() > 1).and_then(|name| name.rsplit_once('.'))
        && names.iter().all(|name| name.rsplit_once('.').is_some_and(|(_, other)| other == end))
    {
        names.iter_mut().for_each(|name| *name = name.rsplit_once('.').map_or(*name, |(name, _)| name));
    }
    names
}

impl HeadMap {
    fn value(&self, figures: &Figures<'_>, row: usize, column: usize) -> Option<f64> {
        let (place, head, _) = &self.rows[row];
        (self.of)(figures.layer(figures.columns[column], *place)?).get(*head).copied()
    }

    pub(super) fn svg(&self, figures: &Figures<'_>) -> String {
        HeatMap {
            id: self.id.to_owned(),
            title: format!("{}, by step", self.title),
            of: Rows::Heads,
            rows: self.rows.iter().map(|(_, _, name)| name.clone()).collect(),
            axis: Cow::Borrowed(&figures.axis),
            ticks: figures.ticks(),
            shown: Some(figures.shown),
            colours: Colours::Shares,
            value: Box::new(|row, column| self.value(figures, row, column)),
        }
        .svg()
    }

    /// The numbers, a line a step.
    pub(super) fn csv(&self, figures: &Figures<'_>) -> String {
        let mut csv = "step".to_owned();
        for (place, head, _) in &self.rows {
            let _ = write!(csv, ",{} head {}", figures.layers[*place].0, head + 1);
        }
        for column in 0..figures.columns.len() {
            let _ = write!(csv, "\n{}", figures.step(column));
            for row in 0..self.rows.len() {
                csv.push(',');
                csv.push_str(&self.value(figures, row, column).map_or_else(String::new, six_digits));
            }
        }
        csv
    }
}

#[cfg(test)]
mod tests {
    use super::told_apart;

    #[test]
    fn names_are_what_tells_attentions_apart() {
        assert_eq!(
            told_apart(&["layers.0.self_attn.weights", "layers.1.self_attn.weights"]),
            ["layers.0", "layers.1"]
        );
        assert_eq!(told_apart(&["l.self.weights", "l.cross.weights"]), ["l.self", "l.cross"]);
        assert_eq!(told_apart(&["layer.weights"]), ["layer.weights"]);
        assert_eq!(told_apart(&["a.b", "b"]), ["a.b", "b"]);
        assert!(told_apart(&[]).is_empty());
    }
}
