//! [`Grid`]: figures by row and step in time, at every measurement; and the map of one of them.

use crate::flow::figures::json;
use crate::flow::sparse::Sparse;
use crate::heat_map::{Colours, HeatMap, Rows};
use crate::steps::{self, Axis};
use serde_json::{Value, json};
use std::borrow::Cow;

#[derive(Debug)]
pub(super) struct Grid {
    /// The name of its file, and of its element.
    pub(super) id: String,
    /// Under which name the data of the page have its figures.
    pub(super) name: String,
    pub(super) title: String,
    pub(super) of: Rows,
    /// What rows are called.
    pub(super) rows: Vec<String>,
    /// The columns, which rise.
    pub(super) times: Vec<u64>,
    pub(super) sparse: Sparse,
    /// By measurement, row after row.
    pub(super) values: Vec<Vec<Option<f64>>>,
}

impl Grid {
    /// All that are numbers.
    pub(super) fn finite(&self) -> impl Iterator<Item = f64> {
        self.values.iter().flatten().flatten().copied().filter(|value| value.is_finite())
    }

    /// The map at a column of the page. Colours mean the same at all.
    pub(super) fn map(&self, shown: usize) -> HeatMap<'_> {
        let count = self.times.len();
        let axis = Axis::of(&(0..count).collect::<Vec<_>>(), &[]);
        let values = &self.values[self.sparse.row(shown)];
        HeatMap {
            id: format!("{}-cells", self.id),
            title: format!("{}, root mean square", self.title),
            of: self.of,
            rows: self.rows.clone(),
            ticks: steps::ticks(&self.times, &axis),
            axis: Cow::Owned(axis),
            shown: None,
            colours: Colours::of_sizes(self.finite()),
            value: Box::new(move |row, column| values[row * count + column]),
        }
    }

    /// Its figures as the scripts read them.
    pub(super) fn numbers(&self) -> Value {
        let row = |values: &Vec<Option<f64>>| values.iter().map(|&value| json(value)).collect::<Value>();
        self.values.iter().map(row).collect()
    }

    /// What the script needs to draw the map of any step.
    pub(super) fn data(&self, shown: usize) -> Value {
        json!({
            "name": self.id,
            "id": format!("{}-cells", self.id),
            "of": self.name,
            "rows": self.rows,
            "times": self.times,
            "place": self.map(shown).place(),
        })
    }
}
