//! What was measured at some steps only: at every step of the page, the latest measurement that was there by
//! then.

use backflow_probe::FlowStep;
use serde_json::{Value, json};

/// Measurements, and which of them each column shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sparse {
    /// Which of the recorded steps have them. No other is drawn.
    records: Vec<usize>,
    /// The step of each.
    steps: Vec<u64>,
    /// By column: the latest measurement at or before it; before the first one, the first.
    rows: Vec<usize>,
}

impl Sparse {
    /// At most `most` of the measurements that a column shows. `None` if nothing was measured.
    pub(super) fn of(
        steps: &[FlowStep],
        columns: &[usize],
        most: usize,
        measured: impl Fn(&FlowStep) -> bool,
    ) -> Option<Self> {
        let all: Vec<usize> = (0..steps.len()).filter(|&record| measured(&steps[record])).collect();
        if all.is_empty() {
            return None;
        }
        let latest = |records: &[usize], column: usize| {
            records.partition_point(|&record| record <= column).saturating_sub(1)
        };
        let mut records: Vec<usize> = columns.iter().map(|&column| all[latest(&all, column)]).collect();
        records.dedup();
        if records.len() > most {
            let last = records.len() - 1;
            records = (0..most).map(|idx| records[idx * last / (most - 1).max(1)]).collect();
        }
        let rows = columns.iter().map(|&column| latest(&records, column)).collect();
        Some(Self { steps: records.iter().map(|&record| steps[record].step).collect(), records, rows })
    }

    pub(super) fn records(&self) -> &[usize] {
        &self.records
    }

    /// Which of [`records`](Self::records) is shown at a column.
    pub(super) fn row(&self, column: usize) -> usize {
        self.rows[column]
    }

    /// The step that what is shown at a column was measured at.
    pub(super) fn step(&self, column: usize) -> u64 {
        self.steps[self.rows[column]]
    }

    /// What the script needs; `quantities` are those with a row per measurement.
    pub(super) fn data(&self, quantities: &[&str]) -> Value {
        json!({ "quantities": quantities, "rows": self.rows, "steps": self.steps })
    }
}

#[cfg(test)]
mod tests {
    use super::Sparse;
    use backflow_probe::FlowStep;

    #[test]
    fn a_measurement_is_shown_until_the_next_one_even_if_its_own_step_is_not() {
        let steps: Vec<FlowStep> = (1..=100).map(|step| FlowStep { step, ..FlowStep::default() }).collect();
        let columns: Vec<usize> = (0..100).step_by(3).collect();
        let measured = |flow: &FlowStep| [8, 9, 41, 100].contains(&flow.step);
        let sparse = Sparse::of(&steps, &columns, 10, measured).unwrap();
        assert_eq!(sparse.steps, [8, 9, 41, 100]);
        for (column, &record) in columns.iter().enumerate() {
            let expected = match steps[record].step {
                ..9 => 8,
                9..41 => 9,
                41..100 => 41,
                _ => 100,
            };
            assert_eq!(sparse.step(column), expected, "{}", steps[record].step);
        }
        let thinned = Sparse::of(&steps, &columns, 2, measured).unwrap();
        assert_eq!(thinned.steps, [8, 100]);
        assert_eq!(Sparse::of(&steps, &columns, 2, |_| false), None);
    }
}
