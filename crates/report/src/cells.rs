//! [`CellsPage`]: a study of recurrent cells on one page: deltas over time, slopes beside theory, and the table.

mod charts;
mod rows;

pub use rows::cells_table;

use crate::chart::Chart;
use crate::page::{self, escaped, figure};
use crate::{series, table};
use backflow_train::study::{Cell, CellFinding};
use std::fmt::Write;

/// That of all studies.
const STYLE: &str = include_str!("study/style.css");

/// What a study of recurrent cells found, and what is said about it, ready to be drawn.
///
/// ```
/// use backflow_report::CellsPage;
///
/// let notes = ["Nothing was found yet.".to_owned()];
/// let page = CellsPage { setup: Vec::new(), notes: &notes, findings: &[], json: None };
/// assert!(page.html().contains("<title>How gradients flow back through time</title>"));
/// ```
#[derive(Clone, Debug)]
pub struct CellsPage<'a> {
    /// Conditions, a line each.
    pub setup: Vec<String>,
    /// Sentences that conclude the study.
    pub notes: &'a [String],
    /// The configurations that are complete.
    pub findings: &'a [CellFinding],
    /// The name of a file beside the page that holds the same for programs, if there is one.
    pub json: Option<&'a str>,
}

impl CellsPage<'_> {
    /// The page.
    #[must_use]
    pub fn html(&self) -> String {
        let title = "How gradients flow back through time";
        // As many as there are kinds of cells, or curves of one.
        let style = format!("{STYLE}{}", series::style(charts::MOST.max(Cell::ALL.len()) + 1));
        let mut page = page::begin(title, title, &style, "");
        let setup: Vec<String> = self.setup.iter().map(|text| escaped(text)).collect();
        let _ = writeln!(page, "<p class=\"setup\">{}</p>", setup.join("<br>"));
        for note in self.notes {
            let _ =
                writeln!(page, "<p class=\"verdict\">{}</p>", escaped(note).replace(" × ", "&nbsp;×&nbsp;"));
        }
        page.push_str("</header>\n");
        if !self.findings.is_empty() {
            section(&mut page, "Deltas over time", &charts::deltas(self.findings));
            section(&mut page, "Measured slopes beside theory", &charts::agreement(self.findings));
            write_table(&mut page, self.findings);
        }
        page::end(&mut page, &page::beside("figures", self.json), "");
        page
    }
}

fn section(page: &mut String, headline: &str, charts: &[Chart]) {
    if charts.is_empty() {
        return;
    }
    let class = if charts.len() == 1 { " one" } else { "" };
    let _ = writeln!(page, "<h2>{headline}</h2>\n<section class=\"charts{class}\">");
    for chart in charts {
        let csv = chart.csv(|x| x.to_string());
        figure(page, &chart.id, &chart.title, &escaped(&chart.description), &chart.svg(), Some(&csv));
    }
    page.push_str("</section>\n");
}

fn write_table(page: &mut String, findings: &[CellFinding]) {
    let table = cells_table(findings);
    page.push_str("<section class=\"table\" aria-label=\"Configurations\">\n");
    table::begin_with(&table, page, "Table of configurations");
    for row in &table.rows {
        page.push_str("<tr>");
        for (place, (cell, column)) in row.iter().zip(&table.columns).enumerate() {
            let cell = escaped(cell);
            let _ = match place {
                0 => write!(page, "<th scope=\"row\" class=\"words\">{cell}</th>"),
                _ => write!(page, "<td{}>{cell}</td>", table::class(column)),
            };
        }
        page.push_str("</tr>\n");
    }
    table::end(page);
    let _ = writeln!(page, "<p class=\"note\">{}</p>\n</section>", escaped(&table.legend.join(" ")));
}
