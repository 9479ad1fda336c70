//! A [`Table`] in HTML.

use crate::page::escaped;
use backflow_probe::{Column, Table};
use std::fmt::Write;

/// The attribute that tells a column of words from one of numbers.
pub(crate) fn class(column: &Column) -> &'static str {
    if column.holds_words { " class=\"words\"" } else { "" }
}

/// The table up to its first row, in a box that scrolls where it has no room.
pub(crate) fn begin_with(table: &Table, page: &mut String, label: &str) {
    begin(page, label);
    for column in &table.columns {
        let _ = write!(page, "<th scope=\"col\"{}>{}</th>", class(column), escaped(&column.heading));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
}

/// A table up to its first heading, in a box that scrolls where it has no room.
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
