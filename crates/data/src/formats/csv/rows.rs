//! Rows of plain text, of which most tables are made: cells without quotes, numbers where numbers are due.
//!
//! What is not so is left to the records of the crate `csv`, from the row on where it begins; they take four times as long.

use super::cells::{Cells, is_missing, number};
use super::layout::Layout;
use super::number::prefix;

/// The features and targets of all rows so far.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) features: Vec<f32>,
    pub(super) targets: Cells,
}

impl Rows {
    /// Reads plain rows from this place of a text on; gives the place where the first row begins that is not one, or the end.
    pub(super) fn read_plain(&mut self, text: &[u8], from: usize, layout: &Layout) -> usize {
        let mut rest = text.get(from..).unwrap_or_default();
        loop {
            // Line ends between rows, empty lines among them.
            while let Some((b'\n' | b'\r', behind)) = rest.split_first() {
                rest = behind;
            }
            let before = (self.features.len(), self.targets.mark());
            match (rest.is_empty(), self.row(rest, layout)) {
                (false, Some(behind)) => rest = behind,
                _ => {
                    self.features.truncate(before.0);
                    self.targets.truncate(before.1);
                    return text.len().saturating_sub(rest.len());
                }
            }
        }
    }

    /// What is behind one row, if it is as it should be.
    fn row<'a>(&mut self, mut rest: &'a [u8], layout: &Layout) -> Option<&'a [u8]> {
        let ends = |byte: u8| byte == layout.delimiter || byte == b'\n' || byte == b'\r';
        for column in 0..layout.width {
            if rest.first() == Some(&b'"') {
                return None;
            }
            let number_read = if column == layout.target { None } else { prefix(rest) };
            match number_read.filter(|(_, behind)| behind.first().is_none_or(|&byte| ends(byte))) {
                Some((number, behind)) => {
                    self.features.push(number);
                    rest = behind;
                }
                None => {
                    let end = rest.iter().position(|&byte| ends(byte)).unwrap_or(rest.len());
                    let (cell, behind) = rest.split_at_checked(end)?;
                    match column == layout.target {
                        true if is_missing(cell) => return None,
                        true => self.targets.push(cell.trim_ascii()),
                        false => self.features.push(number(cell)?),
                    }
                    rest = behind;
                }
            }
            let is_last = column.saturating_add(1) == layout.width;
            rest = match rest.split_first() {
                Some((&byte, behind)) if byte == layout.delimiter && !is_last => behind,
                Some((b'\n' | b'\r', _)) | None if is_last => rest,
                _ => return None,
            };
        }
        Some(rest)
    }
}
