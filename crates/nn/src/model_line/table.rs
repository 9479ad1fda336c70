//! A [`Plan`] as a table: a row for each layer, and what all come to.

use super::plan::{Plan, PlanRow};
use super::words::named;
use backflow_tensor::quote::printable;
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["path", "layer", "shape", "parameters", "multiply-adds"].map(str::to_owned);
        let cells = |row: &PlanRow| {
            let (layer, numbers) = (printable(&row.layer), [row.parameters, row.multiply_adds]);
            let [parameters, multiply_adds] = numbers.map(|number| number.to_string());
            [row.path.clone(), layer.into_owned(), named(&row.shape), parameters, multiply_adds]
        };
        let rows = self.rows();
        let sum =
            |of: fn(&PlanRow) -> usize| rows.iter().fold(0_usize, |all, row| all.saturating_add(of(row)));
        let (parameters, multiply_adds) = (sum(|row| row.parameters), sum(|row| row.multiply_adds));
        let end = ["all", "", "", &parameters.to_string(), &multiply_adds.to_string()].map(str::to_owned);
        let table: Vec<[String; 5]> =
            std::iter::once(head).chain(rows.iter().map(cells)).chain([end]).collect();
        let width =
            |column: usize| table.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default();
        let [path, layer, shape, parameters, multiply_adds] = std::array::from_fn(width);
        let others = path + shape + parameters + multiply_adds + 8;
        let layer = layer.min(WIDTH.saturating_sub(others).max(NARROWEST));
        for [a, b, c, d, e] in &table {
            let mut settings = broken(b, layer).into_iter();
            let b = settings.next().unwrap_or_default();
            writeln!(f, "{a:path$}  {b:layer$}  {c:shape$}  {d:>parameters$}  {e:>multiply_adds$}")?;
            settings.try_for_each(|more| writeln!(f, "{:path$}  {more}", ""))?;
        }
        Ok(())
    }
}

/// How wide a table is at most, but for one whose layers would have less room than this.
const WIDTH: usize = 80;
const NARROWEST: usize = 12;

/// The text in lines of so many characters, broken behind commas where they are near enough.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in text.split_inclusive(',') {
        let letters: Vec<char> = piece.chars().collect();
        for part in letters.chunks(width) {
            let fits = lines.last().is_none_or(|line| line.chars().count() + part.len() <= width);
            if !fits {
                lines.push(String::new());
            }
            lines.last_mut().expect("there is one").extend(part);
        }
    }
    lines
}
