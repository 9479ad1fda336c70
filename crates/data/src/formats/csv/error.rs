//! Why a text is not a table that can be learned from: line, column, value, and what to do.

use backflow_tensor::quote::{quoted, told};
use backflow_tensor::spelling::did_you_mean_name;
use std::fmt;

/// Where a cell stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line of the file where its row begins, counted from 1.
    pub line: usize,
    /// Its column, counted from 1.
    pub column: usize,
    /// What the header calls the column.
    pub name: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        match self.name.as_deref() {
            None | Some("") => Ok(()),
            Some(name) => write!(f, " ({})", quoted(name)),
        }
    }
}

/// Why bytes are not such a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// The text is in no encoding that is read.
    #[error("line {line}: not UTF-8 text, {what}; save the file as UTF-8")]
    Encoding {
        /// The line, counted from 1.
        line: usize,
        /// What it looks like.
        what: &'static str,
    },
    /// There are no rows.
    #[error("no rows; the file is empty or holds a header alone")]
    NoRows,
    /// There is but one column.
    #[error(
        "line {line}: one column, and features and a target are at least two; none of , ; tab | stands between cells, \
         say which sign does"
    )]
    OneColumn {
        /// The line, counted from 1.
        line: usize,
    },
    /// A line has more or fewer cells than the first.
    #[error(
        "line {line}: {found} cells, and the lines before have {expected}; a cell with the delimiter in it is to be quoted"
    )]
    Ragged {
        /// The line, counted from 1.
        line: usize,
        /// How many cells the first line has.
        expected: usize,
        /// How many this one has.
        found: usize,
    },
    /// There is no column of this name or number.
    #[error("no column \"{}\" to be the target; {}", quoted(asked), there_are(asked, *width, columns.as_deref()))]
    NoTarget {
        /// The column asked for.
        asked: String,
        /// How many there are.
        width: usize,
        /// What they are called, if they have names.
        columns: Option<Vec<String>>,
    },
    /// Two columns have the name of the target.
    #[error(
        "columns {first} and {second} are both called \"{}\"; name the target by its number",
        quoted(asked)
    )]
    TwoTargets {
        /// The name asked for.
        asked: String,
        /// The first of the columns, counted from 1.
        first: usize,
        /// The second.
        second: usize,
    },
    /// A value is missing.
    #[error(
        "{place}: the value is missing (\"{}\"); fill it in or leave the row out, as pandas' fillna and dropna do",
        quoted(value)
    )]
    Missing {
        /// Where.
        place: Place,
        /// What stands there.
        value: String,
    },
    /// A feature is a word.
    #[error(
        "{place}: \"{}\" is no number, and features are numbers; encode the column as numbers, as pandas' get_dummies does, \
         leave it out, or make it the target",
        quoted(value)
    )]
    Word {
        /// Where.
        place: Place,
        /// The word.
        value: String,
    },
    /// A number has a decimal comma.
    #[error("{place}: \"{}\" has a decimal comma; write numbers with a point", quoted(value))]
    Comma {
        /// Where.
        place: Place,
        /// The number.
        value: String,
    },
    /// A number is beyond those of `f32`.
    #[error("{place}: {} is beyond the numbers of f32, ±3.4e38; scale the column", quoted(value))]
    TooLarge {
        /// Where.
        place: Place,
        /// The number.
        value: String,
    },
    /// A target is no number, and numbers are to be learned.
    #[error(
        "{place}: the target \"{}\" is no number; learn classes, or choose another target",
        quoted(value)
    )]
    NoNumber {
        /// Where.
        place: Place,
        /// The target.
        value: String,
    },
    /// A target is no class.
    #[error(
        "{place}: the target {} is neither a whole number nor a word, and classes are; learn numbers, or choose another target",
        quoted(value)
    )]
    NoClass {
        /// Where.
        place: Place,
        /// The target.
        value: String,
    },
    /// A target is a class that the training set has not.
    #[error("{place}: the class \"{}\" is none of the training set's", quoted(value))]
    UnknownClass {
        /// Where.
        place: Place,
        /// The class.
        value: String,
    },
    /// Targets are words that are hardly classes.
    #[error(
        "{place}: {classes} different targets in {rows} rows are hardly classes, and \"{}\" is no number; choose another target",
        quoted(value)
    )]
    ManyClasses {
        /// Where the first stands that is no number.
        place: Place,
        /// That target.
        value: String,
        /// How many different ones there are.
        classes: usize,
        /// How many rows.
        rows: usize,
    },
}

/// Which columns there are, and which was probably meant.
fn there_are(asked: &str, width: usize, columns: Option<&[String]>) -> String {
    let Some(columns) = columns else {
        return format!("there are {width}, without names, counted from 1");
    };
    let names = || columns.iter().map(String::as_str);
    let there_are = did_you_mean_name(asked, "there are", names());
    // More than a screen is no help.
    let some: Vec<&str> = names().take(50).collect();
    format!("{there_are} {width}: {}", told(&some.join(", ")))
}
