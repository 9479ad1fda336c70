//! [`StudyPage`]: conclusion, figures beside the theory, and the table, on one page.
//!
//! The page is whole in itself: nothing is fetched, and without JavaScript it lacks only the buttons that save
//! its figures. What is drawn is what there is several of: maps of depth and the variance of weights, the width or the
//! normalisation, slopes and accuracies against depth, width and variance, measured slopes against those of theory; always deltas
//! over layers, before the training and after it, and learning curves. No figure has more than a few curves.
//! Where curves are pairs of activation function and initial weights, they have the colours of the table, and
//! that pointing at a row singles them out is done by CSS alone (`:has`).

mod against;
mod agreement;
mod diagram;
mod groups;
mod layers;
mod names;
mod rows;

pub use rows::study_table;

use crate::chart::Chart;
use crate::page::{self, escaped, figure};
use crate::series;
use crate::table;
use backflow_probe::Verdict;
use backflow_store::StoreError;
use backflow_train::study::{Finding, TrainableDepths};
use diagram::{Across, Diagram};
use groups::{MOST, Study};
use layers::Layers;
use std::fmt::Write;
use std::path::Path;

const STYLE: &str = include_str!("study/style.css");

/// What a study found, and what is said about it, ready to be drawn: `study.html`.
///
/// ```
/// use backflow_report::StudyPage;
///
/// let notes = ["Nothing was found yet.".to_owned()];
/// let (subject, setup) = ("digits".to_owned(), Vec::new());
/// let page = StudyPage { subject, setup, notes: &notes, findings: &[], depths: &[], json: None };
/// assert!(page.html().contains("<title>How gradients flow back: digits</title>"));
/// ```
#[derive(Clone, Debug)]
pub struct StudyPage<'a> {
    /// What was studied, in short, for the title of the window.
    pub subject: String,
    /// Data and conditions, a line each.
    pub setup: Vec<String>,
    /// Sentences that conclude the study; after a training, the last says how learning was counted.
    pub notes: &'a [String],
    /// The configurations that are complete.
    pub findings: &'a [Finding],
    /// Where trainable networks end by theory, for maps.
    pub depths: &'a [TrainableDepths],
    /// The name of a file beside the page that holds the same for programs, if there is one.
    pub json: Option<&'a str>,
}

impl StudyPage<'_> {
    /// The page.
    #[must_use]
    pub fn html(&self) -> String {
        let study = Study::of(self.findings, self.depths);
        let title = format!("How gradients flow back: {}", self.subject);
        let style = format!("{STYLE}{}", series_style(study.pair_count().max(MOST + 1)));
        let mut page = page::begin(&title, "How gradients flow back", &style, "");
        let setup: Vec<String> = self.setup.iter().map(|text| escaped(text)).collect();
        let _ = writeln!(page, "<p class=\"setup\">{}</p>", setup.join("<br>"));
        let trained = self.findings.iter().any(|finding| finding.learned.is_some());
        for (idx, note) in self.notes.iter().enumerate() {
            let is_rule = trained && idx > 0 && idx + 1 == self.notes.len();
            let class = if is_rule { "note" } else { "verdict" };
            // Depth and width stay on one line.
            let text = escaped(note).replace(" × ", "&nbsp;×&nbsp;");
            let _ = writeln!(page, "<p class=\"{class}\">{text}</p>");
        }
        page.push_str("</header>\n");
        if !self.findings.is_empty() {
            figures(&mut page, &study);
            write_table(&mut page, self.findings, &study.pairs);
        }
        page::end(&mut page, &page::beside("figures", self.json), "");
        page
    }

    /// Writes the page to a file, which appears whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written; the file then still holds what it held before.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), StoreError> {
        page::save(&self.html(), path.as_ref())
    }
}

/// The colour of every curve, and what happens when it is pointed at.
fn series_style(count: usize) -> String {
    let mut css = series::style(count);
    for n in 0..count {
        let _ = writeln!(
            css,
            "main:has(.r{n}:hover,.pairs .curve.s{n}:hover) .pairs .curve:not(.s{n}){{--fade:var(--faded)}}\n\
             main:has(.pairs .curve.s{n}:hover) .r{n}{{background:var(--row)}}"
        );
    }
    css
}

/// Charts side by side under a headline. Where colours are those of the table, the two point at each other.
fn section(page: &mut String, headline: &str, charts: &[Chart], by_pair: bool) {
    if charts.is_empty() {
        return;
    }
    let class = match charts {
        [_] => " one",
        [first, ..] if first.frame.width < SMALL => " small",
        _ => "",
    };
    let pairs = if by_pair { " pairs" } else { "" };
    if !headline.is_empty() {
        let _ = writeln!(page, "<h2>{headline}</h2>");
    }
    let _ = writeln!(page, "<section class=\"charts{class}{pairs}\">");
    for chart in charts {
        draw(page, chart, &chart.csv(|x| x.to_string()));
    }
    page.push_str("</section>\n");
}

fn draw(page: &mut String, chart: &Chart, csv: &str) {
    figure(page, &chart.id, &chart.title, &escaped(&chart.description), &chart.svg(), Some(csv));
}

/// Charts narrower than this stand in more columns.
const SMALL: f64 = 500.0;

/// All figures, the most general first.
fn figures(page: &mut String, study: &Study<'_>) {
    for across in Across::ALL {
        let diagrams = diagram::all(study, across);
        if diagrams.is_empty() {
            continue;
        }
        let _ = writeln!(page, "<h2>{}</h2>\n<section class=\"charts\">", across.headline());
        for Diagram { chart, csv } in &diagrams {
            draw(page, chart, csv);
        }
        page.push_str("</section>\n");
    }
    let overview = against::all(study);
    let agreement = agreement::chart(study);
    if !overview.is_empty() || agreement.is_some() {
        page.push_str("<h2>Slopes and accuracies</h2>\n");
    }
    let (of_pairs, others): (Vec<_>, Vec<_>) = overview.into_iter().partition(|(_, by_pair)| *by_pair);
    for (charts, by_pair) in [(of_pairs, true), (others, false)] {
        let charts: Vec<Chart> = charts.into_iter().map(|(chart, _)| chart).collect();
        section(page, "", &charts, by_pair);
    }
    if let Some((chart, by_pair, csv)) = agreement {
        let _ = writeln!(page, "<section class=\"charts one{}\">", if by_pair { " pairs" } else { "" });
        draw(page, &chart, &csv);
        page.push_str("</section>\n");
    }
    let Layers { initial, trained, losses, by_pair } = Layers::of(study);
    section(page, "Deltas at initialisation", &initial, by_pair);
    section(page, "Deltas after the training", &trained, by_pair);
    section(page, "Learning curves", &losses, by_pair);
}

fn write_table(page: &mut String, findings: &[Finding], numbers: &[usize]) {
    let table = study_table(findings);
    let kind = match findings.iter().any(|finding| finding.configuration.line().is_some()) {
        true => "its kind of network",
        false => "its activation function and initial weights",
    };
    let _ = writeln!(
        page,
        "<section class=\"table\" aria-label=\"Configurations\">\n\
         <p class=\"note\">Point at a row or a curve to single out {kind}.</p>"
    );
    table::begin_with(&table, page, "Table of configurations");
    for ((row, finding), number) in table.rows.iter().zip(findings).zip(numbers) {
        let _ = write!(page, "<tr class=\"r{number}\">");
        for (column, cell) in row.iter().enumerate() {
            let cell = escaped(cell);
            let _ = match column {
                0 => write!(
                    page,
                    "<th scope=\"row\" class=\"words\"><span class=\"name\">{}{cell}</span></th>",
                    series::key(*number)
                ),
                _ if table.columns[column].heading == rows::VERDICT
                    && finding.initial.verdicts != [Verdict::Healthy] =>
                {
                    write!(page, "<td class=\"words ill\">{cell}</td>")
                }
                _ => write!(page, "<td{}>{cell}</td>", table::class(&table.columns[column])),
            };
        }
        page.push_str("</tr>\n");
    }
    table::end(page);
    let _ = writeln!(page, "<p class=\"note\">{}</p>\n</section>", escaped(&table.legend.join(" ")));
}
