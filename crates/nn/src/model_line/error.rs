//! [`LineError`]: what is wrong with a model line, and where.

use backflow_tensor::quote::{printable, quoted};
use std::fmt;
use std::ops::Range;

/// What is wrong with a model line, what would be right, and which part of the text it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    line: String,
    at: Range<usize>,
    what: String,
}

impl LineError {
    pub(super) fn new(line: &str, at: Range<usize>, what: impl Into<String>) -> Self {
        Self { line: line.to_owned(), at, what: what.into() }
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The part of the line that it is about.
    #[must_use]
    pub fn part(&self) -> &str {
        &self.line[self.at.clone()]
    }

    /// Where in the line it is: characters before it, and how many it has.
    #[must_use]
    pub fn place(&self) -> (usize, usize) {
        let characters = |text: &str| text.chars().count();
        (characters(&self.line[..self.at.start]), characters(self.part()))
    }

    /// The line with the place marked below it, for terminals; of a line that is too long or cannot be shown as it
    /// is, nothing.
    ///
    /// ```
    /// use backflow_nn::ModelLine;
    /// let error = "conv:32/rellu".parse::<ModelLine>().unwrap_err();
    /// assert_eq!(error.marked().unwrap(), "conv:32/rellu\n        ^^^^^");
    /// ```
    #[must_use]
    pub fn marked(&self) -> Option<String> {
        let (before, length) = self.place();
        let fits = self.line.len() <= 200 && printable(&self.line) == self.line;
        fits.then(|| format!("{}\n{}{}", self.line, " ".repeat(before), "^".repeat(length.max(1))))
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = self.place().0 + 1;
        match self.part() {
            "" => write!(f, "column {column}: {}", self.what),
            part => write!(f, "column {column}, \"{}\": {}", quoted(part), self.what),
        }
    }
}

impl std::error::Error for LineError {}
