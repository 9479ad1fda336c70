//! [`Table`]: figures in rows and columns, for a terminal of any width and for pages.

/// Rows under headings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What is in the columns.
    pub columns: Vec<Column>,
    /// As many cells in each as there are columns.
    pub rows: Vec<Vec<String>>,
    /// What the headings mean, in sentences.
    pub legend: Vec<&'static str>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What stands above it.
    pub heading: String,
    /// Words begin on the left, numbers end on the right.
    pub holds_words: bool,
    /// Where there is no room for all columns, those of least worth are left out first; of several, the last.
    /// Those of [`Column::ALWAYS`] stay.
    pub worth: u8,
}

impl Column {
    /// The worth of a column without which a row says nothing.
    pub const ALWAYS: u8 = u8::MAX;

    /// A column of words.
    #[must_use]
    pub fn words(heading: impl Into<String>, worth: u8) -> Self {
        Self { heading: heading.into(), holds_words: true, worth }
    }

    /// A column of numbers.
    #[must_use]
    pub fn numbers(heading: impl Into<String>, worth: u8) -> Self {
        Self { heading: heading.into(), holds_words: false, worth }
    }
}

/// What is between two columns.
const GAP: &str = "  ";

impl Table {
    /// The lines of a terminal, headings first: columns are as wide as what is in them. Where they are wider
    /// together than `width`, some are left out, which a last line tells.
    ///
    /// ```
    /// use backflow_probe::{Column, Table};
    /// let columns = vec![Column::words("layer", Column::ALWAYS), Column::numbers("mean", 1), Column::numbers("rms", 2)];
    /// let row = ["layers.0", "0.1", "2.5"].map(str::to_owned).to_vec();
    /// let table = Table { columns, rows: vec![row], legend: Vec::new() };
    /// assert_eq!(table.lines(None), ["layer     mean  rms", "layers.0   0.1  2.5"]);
    /// assert_eq!(table.lines(Some(14)), ["layer     rms", "layers.0  2.5", "(no room for: mean)"]);
    /// ```
    #[must_use]
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| self.width_of(column)).collect();
        let mut kept: Vec<usize> = (0..self.columns.len()).collect();
        let mut omitted = Vec::new();
        let total = |kept: &[usize]| kept.iter().map(|&column| widths[column] + GAP.len()).sum::<usize>();
        while width.is_some_and(|width| total(&kept) > width + GAP.len())
            && let Some(least) = self.least(&kept)
        {
            kept.retain(|&column| column != least);
            omitted.push(least);
        }
        let line = |cell: &dyn Fn(usize) -> String| {
            let cells = kept.iter().map(|&column| {
                let (cell, width) = (cell(column), widths[column]);
                if self.columns[column].holds_words {
                    format!("{cell:width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        };
        let mut lines = vec![line(&|column| self.columns[column].heading.clone())];
        lines.extend(self.rows.iter().map(|row| line(&|column| row[column].clone())));
        if !omitted.is_empty() {
            omitted.sort_unstable();
            let headings: Vec<_> = omitted.iter().map(|&column| &*self.columns[column].heading).collect();
            lines.push(format!("(no room for: {})", headings.join(", ")));
        }
        lines
    }

    fn width_of(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| &row[column]).chain([&self.columns[column].heading]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }

    /// Of these columns the one to be left out first.
    fn least(&self, kept: &[usize]) -> Option<usize> {
        let worth = |column: usize| self.columns[column].worth;
        let may_go = kept.iter().copied().filter(|&column| worth(column) < Column::ALWAYS);
        may_go.rev().min_by_key(|&column| worth(column))
    }
}

#[cfg(test)]
mod tests {
    use super::{Column, Table};

    fn table() -> Table {
        let columns = vec![
            Column::numbers("#", 5),
            Column::words("optimizer", Column::ALWAYS),
            Column::numbers("lr", 3),
            Column::numbers("loss", 3),
            Column::words("outcome", 9),
        ];
        let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
        let rows =
            vec![row(["1", "θ-sgd", "0.1", "2.5e-10", "finished"]), row(["12", "adam", "0.001", "-", ""])];
        Table { columns, rows, legend: Vec::new() }
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let lines = table().lines(None);
        assert_eq!(lines[0], " #  optimizer     lr     loss  outcome");
        assert_eq!(lines[1], " 1  θ-sgd        0.1  2.5e-10  finished");
        assert_eq!(lines[2], "12  adam       0.001        -");
        assert!(lines.len() == 3 && Table::default().lines(Some(10)) == [""]);
    }

    /// A line is never wider than it may be, unless only what must stay is left; and no column that there is
    /// room for beside those of more worth is left out.
    #[test]
    fn the_columns_of_least_worth_go_first() {
        let full = table().lines(None)[1].chars().count();
        assert_eq!(table().lines(Some(full)), table().lines(None));
        let orders =
            [" #  optimizer     lr  outcome", " #  optimizer  outcome", "optimizer  outcome", "optimizer"];
        let told = ["loss", "lr, loss", "#, lr, loss", "#, lr, loss, outcome"];
        let mut seen = Vec::new();
        for width in (0..full).rev() {
            let lines = table().lines(Some(width));
            let longest = lines[..3].iter().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= width || lines[0] == "optimizer", "{width}: {lines:#?}");
            if seen.last() != Some(&lines[0]) {
                assert_eq!(lines[3], format!("(no room for: {})", told[seen.len()]));
                seen.push(lines[0].clone());
            }
        }
        assert_eq!(seen, orders);
    }
}
