//! [`Table`]: results as text, for terminal and page alike.

use crate::page::escaped;
use std::fmt::Write;

/// Rows under headings. What it is of: [`Table::of_comparison`], [`Table::of_study`].
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// One per column.
    pub headings: Vec<String>,
    /// As many cells in each as there are headings.
    pub rows: Vec<Vec<String>>,
    /// The columns that hold words.
    pub words: &'static [usize],
    /// What the headings mean, in lines.
    pub legend: Vec<&'static str>,
}

impl Table {
    /// The lines of a terminal, headings first: columns are as wide as what is in them; those of words begin
    /// on the left, those of numbers end on the right.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let Self { headings, rows, words, .. } = self;
        let width = |column: usize| {
            let cells = rows.iter().map(|row| &row[column]).chain([&headings[column]]);
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..headings.len()).map(width).collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if words.contains(&column) { format!("{cell:width$}") } else { format!("{cell:>width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        std::iter::once(line(headings)).chain(rows.iter().map(|row| line(row))).collect()
    }

    /// The attribute that tells a column of words from one of numbers.
    pub(crate) fn class(&self, column: usize) -> &'static str {
        if self.words.contains(&column) { " class=\"words\"" } else { "" }
    }

    /// The table in HTML up to its first row, in a box that scrolls where it has no room.
    pub(crate) fn begin(&self, page: &mut String, label: &str) {
        begin(page, label);
        for (column, heading) in self.headings.iter().enumerate() {
            let _ = write!(page, "<th scope=\"col\"{}>{}</th>", self.class(column), escaped(heading));
        }
        page.push_str("</tr></thead>\n<tbody>\n");
    }
}

/// A table in HTML up to its first heading, in a box that scrolls where it has no room.
pub(crate) fn begin(page: &mut String, label: &str) {
    let _ = write!(
        page,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\">\n<table>\n<thead><tr>"
    );
}

/// The end of what [`begin`] began.
pub(crate) fn end(page: &mut String) {
    page.push_str("</tbody>\n</table>\n</div>\n");
}
