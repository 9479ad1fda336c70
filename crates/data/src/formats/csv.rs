//! CSV: a table as text, one row a line, of which one column is the target and the others are features.
//!
//! ```text
//! sepal length,sepal width,species          a header, or none
//! 5.1,3.5,setosa
//! ```
//!
//! What a file does not say is found, or [told](CsvOptions): the delimiter, of `,` `;` tab and `|` the one that cuts the
//! first lines into equally many columns, the most if several do; the header, a first line without a number over a line with
//! one; the target, the last column; whether it is classes or numbers, as in [`targets`](super::targets). Cells may be quoted,
//! lines may end as on any system, a byte-order mark and empty lines are passed over, spaces around a cell are not part of
//! it.
//!
//! What it refuses: to guess. A cell that is missing, a word where a number is due, a line with more or fewer cells are
//! errors with line and column, for what to do about them is a question of the data: nothing is filled in, dropped or
//! encoded here. Source: RFC 4180, and what is written in its place.

mod cells;
mod error;
mod layout;
mod number;
mod rows;

pub use error::{CsvError, Place};

use super::targets::{Classes, Goal, Targets};
use cells::{Cells, is_missing, number, numbers, reject, whole};
use layout::{Layout, line_of, reader};
use rows::Rows;

/// What is known of a file that it does not say, or says wrongly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// Whether the first line names the columns; found if not said.
    pub header: Option<bool>,
    /// What stands between the cells of a line; found if not said.
    pub delimiter: Option<u8>,
    /// The column of targets by its name in the header, or by its number, counted from 1; the last if not said.
    pub target: Option<String>,
    /// What is to be learned of it; found if not said.
    pub goal: Option<Goal>,
    /// The classes of the training set, for its test set.
    pub classes: Option<Classes>,
}

/// The numbers of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The names of the features, if there is a header.
    pub columns: Option<Vec<String>>,
    /// The target's name, if there is a header.
    pub target: Option<String>,
    /// How many features a row has.
    pub width: usize,
    /// The features, row after row.
    pub features: Vec<f32>,
    /// A target a row.
    pub targets: Targets,
}

impl Table {
    /// Reads all rows.
    ///
    /// ```
    /// use backflow_data::formats::csv::{CsvOptions, Table};
    /// use backflow_data::formats::targets::{Classes, Targets};
    ///
    /// let table = Table::parse(b"length,width,species\n5.1,3.5,setosa\n7,3.2,versicolor\n", &CsvOptions::default())?;
    /// assert_eq!(table.features, [5.1, 3.5, 7.0, 3.2]);
    /// let species = Classes::Words(vec!["setosa".into(), "versicolor".into()]);
    /// assert_eq!(table.targets, Targets::Classes(vec![0, 1], species));
    ///
    /// let error = Table::parse(b"length,width\n5.1,3.5\n,3.2\n", &CsvOptions::default()).unwrap_err();
    /// assert!(error.to_string().starts_with("line 3, column 1 (length): the value is missing"));
    /// # Ok::<(), backflow_data::formats::csv::CsvError>(())
    /// ```
    ///
    /// # Errors
    /// If the text is not UTF-8, has no rows or only one column, has no such target, or a cell is not what its column holds.
    pub fn parse(bytes: &[u8], options: &CsvOptions) -> Result<Self, CsvError> {
        let text = layout::text(bytes)?;
        let layout = Layout::find(text, options)?;
        let mut rows = Rows::default();
        let from = rows.read_plain(text, layout.rows, &layout);
        let read = read_records(text, from, &layout, &mut rows);
        let Rows { features, targets: cells } = rows;
        read.map_err(|error| layout::encoding(text).unwrap_or(error))?;
        if let Some(error) = (!cells.is_text()).then(|| layout::encoding(text)).flatten() {
            return Err(error);
        }
        if cells.len() == 0 {
            return Err(CsvError::NoRows);
        }
        let targets = targets(&cells, options).map_err(|wrong| wrong.located(text, &layout, &cells))?;
        let (width, target) = (layout.width.saturating_sub(1), layout.target);
        let mut columns = layout.header;
        let target = columns.as_mut().filter(|names| target < names.len()).map(|names| names.remove(target));
        Ok(Self { columns, target, width, features, targets })
    }
}

/// Reads all rows from this place of a text on, or says what is wrong with one.
fn read_records(text: &[u8], from: usize, layout: &Layout, rows: &mut Rows) -> Result<(), CsvError> {
    let rest = text.get(from..).unwrap_or_default();
    if rest.is_empty() {
        return Ok(());
    }
    let mut reader = reader(rest, layout.delimiter);
    let mut record = csv::ByteRecord::new();
    // Reading from memory, any bytes and any length are a record.
    while reader.read_byte_record(&mut record).unwrap_or(false) {
        let line = || line_of(text, from, record.position());
        if record.len() != layout.width {
            return Err(CsvError::Ragged { line: line(), expected: layout.width, found: record.len() });
        }
        for (column, cell) in record.iter().enumerate() {
            let cell = cell.trim_ascii();
            match column == layout.target {
                true if !is_missing(cell) => rows.targets.push(cell),
                true => return Err(reject(layout.place(line(), column), cell)),
                false => rows
                    .features
                    .push(number(cell).ok_or_else(|| reject(layout.place(line(), column), cell))?),
            }
        }
    }
    Ok(())
}

/// Whether these bytes look like a table: text with several columns in each of its first lines, and a number somewhere
/// below the first.
#[must_use]
pub fn is_table(bytes: &[u8]) -> bool {
    layout::text(bytes).is_ok_and(Layout::is_table)
}

/// What is wrong with a column of targets, by the index of a row.
enum Wrong {
    /// No number, where numbers are to be learned.
    Word(usize),
    /// A number with a fraction, where classes are to be learned.
    Fraction(usize),
    /// A class that the training set has not.
    Unknown(usize),
    /// Nearly as many different words as rows, the first of which is here.
    Many(usize, usize),
}

impl Wrong {
    /// The same with the line, which is found by reading up to it once more.
    fn located(self, text: &[u8], layout: &Layout, cells: &Cells) -> CsvError {
        let (Self::Word(row) | Self::Fraction(row) | Self::Unknown(row) | Self::Many(row, _)) = self;
        let rows = text.get(layout.rows..).unwrap_or_default();
        let record = reader(rows, layout.delimiter).into_byte_records().nth(row).and_then(Result::ok);
        let line = line_of(text, layout.rows, record.as_ref().and_then(csv::ByteRecord::position));
        let place = layout.place(line, layout.target);
        let value = cells.get(row).unwrap_or_default().to_owned();
        match self {
            Self::Word(_) => CsvError::NoNumber { place, value },
            Self::Fraction(_) => CsvError::NoClass { place, value },
            Self::Unknown(_) => CsvError::UnknownClass { place, value },
            Self::Many(_, classes) => CsvError::ManyClasses { place, value, classes, rows: cells.len() },
        }
    }
}

/// More different words than this are hardly classes, if most stand in one row only.
const MANY: usize = 100;

fn targets(cells: &Cells, options: &CsvOptions) -> Result<Targets, Wrong> {
    let class_of = |classes: &Classes| match classes {
        Classes::Words(_) => classes.of_each_word(cells.iter()).map_err(Wrong::Unknown),
        _ => classes.of_each_number(&whole(cells).map_err(Wrong::Fraction)?).map_err(Wrong::Unknown),
    };
    if let Some(classes) = &options.classes {
        return Ok(Targets::Classes(class_of(classes)?, classes.clone()));
    }
    if options.goal == Some(Goal::Regress) {
        return numbers(cells).map(Targets::Numbers).map_err(Wrong::Word);
    }
    let classes = match (whole(cells), numbers(cells)) {
        (Ok(whole), Ok(numbers)) => {
            let classes = Classes::of_numbers(&whole);
            if options.goal.is_none() && !classes.are_likely(cells.len()) {
                return Ok(Targets::Numbers(numbers));
            }
            classes
        }
        (Err(_), Ok(numbers)) if options.goal.is_none() => return Ok(Targets::Numbers(numbers)),
        (Err(row), Ok(_)) => return Err(Wrong::Fraction(row)),
        (_, Err(row)) => match Classes::of_words(cells.iter()) {
            classes if classes.len() > MANY && !classes.are_likely(cells.len()) => {
                return Err(Wrong::Many(row, classes.len()));
            }
            classes => classes,
        },
    };
    Ok(Targets::Classes(class_of(&classes)?, classes))
}
