//! Cells: numbers, words, and what stands for nothing; and why one is not what its column holds.

use super::error::{CsvError, Place};
use std::str::from_utf8;

/// What programs write where there is no value.
const MISSING: [&str; 8] = ["", "na", "n/a", "nan", "null", "?", "#n/a", "<na>"];

/// What stands for it in a column of numbers, and may be a class in one of words.
const PERHAPS: [&str; 4] = ["none", "-", ".", "missing"];

/// Whether a cell stands for nothing.
pub(super) fn is_missing(cell: &[u8]) -> bool {
    is_one_of(&MISSING, cell)
}

fn is_one_of(words: &[&str], cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    cell.len() <= 7 && words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(cell))
}

/// The number in a cell, rounded once to the nearest `f32`, if there is one that is finite.
pub(super) fn number(cell: &[u8]) -> Option<f32> {
    written(cell)?.parse().ok().filter(|number: &f32| number.is_finite())
}

/// The text of a cell that has only the signs that numbers have. `inf`, `nan` and hexadecimals are none.
fn written(cell: &[u8]) -> Option<&str> {
    let cell = cell.trim_ascii();
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
    if cell.iter().all(is_part) { from_utf8(cell).ok() } else { None }
}

/// The cells of one column, in one block.
#[derive(Default)]
pub(super) struct Cells {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    pub(super) fn push(&mut self, cell: &[u8]) {
        self.text.extend_from_slice(cell);
        self.ends.push(self.text.len());
    }

    /// How many bytes and how many cells there are.
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.text.len(), self.ends.len())
    }

    /// Takes back what was added since.
    pub(super) fn truncate(&mut self, (bytes, cells): (usize, usize)) {
        self.text.truncate(bytes);
        self.ends.truncate(cells);
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether each is UTF-8.
    pub(super) fn is_text(&self) -> bool {
        self.bytes().all(|cell| from_utf8(cell).is_ok())
    }

    /// Their words, which were seen to be UTF-8.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.bytes().map(|cell| from_utf8(cell).unwrap_or_default())
    }

    fn bytes(&self) -> impl Iterator<Item = &[u8]> {
        let begins = [0].into_iter().chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, &end)| self.text.get(begin..end).unwrap_or_default())
    }

    pub(super) fn get(&self, row: usize) -> Option<&str> {
        self.iter().nth(row)
    }
}

/// All cells as numbers, or the first that is none.
pub(super) fn numbers(cells: &Cells) -> Result<Vec<f32>, usize> {
    cells.iter().enumerate().map(|(row, cell)| number(cell.as_bytes()).ok_or(row)).collect()
}

/// All cells as whole numbers, `3` or `3.0`, or the first that is none.
pub(super) fn whole(cells: &Cells) -> Result<Vec<i64>, usize> {
    let whole = |cell: &str| {
        let text = written(cell.as_bytes())?;
        let digits = match text.split_once('.') {
            Some((digits, zeros)) if !digits.is_empty() && zeros.bytes().all(|byte| byte == b'0') => digits,
            _ => text,
        };
        digits.parse().ok()
    };
    cells.iter().enumerate().map(|(row, cell)| whole(cell).ok_or(row)).collect()
}

/// Why a cell is none that its column can hold.
#[cold]
pub(super) fn reject(place: Place, cell: &[u8]) -> CsvError {
    let value = String::from_utf8_lossy(cell).trim().to_owned();
    let is_number = |text: &str| written(text.as_bytes()).is_some_and(|text| text.parse::<f64>().is_ok());
    match () {
        () if is_missing(cell) || is_one_of(&PERHAPS, cell) => CsvError::Missing { place, value },
        () if is_number(&value) => CsvError::TooLarge { place, value },
        () if value.contains(',') && is_number(&value.replacen(',', ".", 1)) => {
            CsvError::Comma { place, value }
        }
        () => CsvError::Word { place, value },
    }
}
