//! [`StudyPage`]: conclusion, deltas over layers beside the theory, and the table, on one page.
//!
//! The page is whole in itself: nothing is fetched, and without JavaScript it lacks only the buttons that save
//! its figures. There is a chart for each depth and width, and a colour for each pair of activation function and
//! initial weights, the same in all charts; that pointing at a row singles out its curves is done by CSS alone
//! (`:has`).

mod rows;

pub use rows::study_table;

use crate::chart::{Chart, ChartPoint, Curve, Frame, Scale, Stroke, whole_ticks};
use crate::page::{self, escaped, figure};
use crate::series;
use crate::table;
use backflow_probe::Verdict;
use backflow_store::StoreError;
use backflow_train::study::Finding;
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
/// let page = StudyPage { subject, setup, notes: &notes, findings: &[], json: None };
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
    /// The name of a file beside the page that holds the same for programs, if there is one.
    pub json: Option<&'a str>,
}

impl StudyPage<'_> {
    /// The page.
    #[must_use]
    pub fn html(&self) -> String {
        let numbers = series_numbers(self.findings);
        let count = numbers.iter().map(|number| number + 1).max().unwrap_or(0);
        let title = format!("How gradients flow back: {}", self.subject);
        let style = format!("{STYLE}{}", series_style(count));
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
            charts(&mut page, self.findings, &numbers);
            write_table(&mut page, self.findings, &numbers);
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

/// The series that each configuration belongs to: that of its activation function and initial weights.
fn series_numbers(findings: &[Finding]) -> Vec<usize> {
    let mut pairs = Vec::new();
    let number = |finding: &Finding| {
        let pair = (finding.configuration.activation, finding.configuration.init);
        pairs.iter().position(|other| *other == pair).unwrap_or_else(|| {
            pairs.push(pair);
            pairs.len() - 1
        })
    };
    findings.iter().map(number).collect()
}

/// The colour of every curve, and what happens when it is pointed at.
fn series_style(count: usize) -> String {
    let mut css = series::style(count);
    for n in 0..count {
        let _ = writeln!(
            css,
            "main:has(.r{n}:hover,.curve.s{n}:hover) .curve:not(.s{n}){{--fade:var(--faded)}}\n\
             main:has(.curve.s{n}:hover) .r{n}{{background:var(--row)}}"
        );
    }
    css
}

/// A chart for each depth and width, in the order in which they come.
fn charts(page: &mut String, findings: &[Finding], numbers: &[usize]) {
    let mut sizes: Vec<(usize, usize)> = Vec::new();
    for finding in findings {
        let size = (finding.configuration.depth, finding.configuration.width);
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    let one = if sizes.len() == 1 { " one" } else { "" };
    let _ = writeln!(page, "<section class=\"charts{one}\" aria-label=\"Deltas over layers\">");
    for &size in &sizes {
        let of_size = |(finding, _): &(&Finding, &usize)| {
            (finding.configuration.depth, finding.configuration.width) == size
        };
        let members: Vec<(&Finding, usize)> = findings
            .iter()
            .zip(numbers)
            .filter(of_size)
            .map(|(finding, &number)| (finding, number))
            .collect();
        let chart = chart_of(size, &members, sizes.len() == 1);
        let (caption, numbers) = (escaped(&chart.description), chart.csv(|x| x.to_string()));
        figure(page, &chart.id, &chart.title, &caption, &chart.svg(), Some(&numbers));
    }
    page.push_str("</section>\n");
}

fn chart_of((depth, width): (usize, usize), members: &[(&Finding, usize)], alone: bool) -> Chart {
    let points = |figures: &mut dyn Iterator<Item = f64>| -> Vec<ChartPoint> {
        let points = (1..).zip(figures).map(|(layer, y)| {
            // The logarithm of 0 has no place; the line is broken there.
            let y = if y > 0.0 { y } else { f64::NAN };
            ChartPoint { x: f64::from(layer), y, low: y, high: y }
        });
        points.collect()
    };
    let mut curves = Vec::new();
    for &(finding, number) in members {
        let configuration = &finding.configuration;
        let name = format!("{} + {}", configuration.activation, configuration.init);
        let measured = points(&mut finding.initial.delta_rms.iter().copied());
        let theory = points(&mut finding.theory_delta_rms.iter().map(|delta| delta.unwrap_or(f64::NAN)));
        let has_theory = theory.iter().any(|point| point.y.is_finite());
        let curve = |name, points, theory| Curve {
            number,
            name,
            points,
            broken: false,
            stroke: if theory { Stroke::Theory } else { Stroke::Marked },
        };
        // Theory is drawn above the measurement, whose dots are wider.
        if has_theory {
            // One name for all: they are dashed, and have the colours of what they predict.
            let is_first = !curves.iter().any(|curve: &Curve| curve.stroke == Stroke::Theory);
            curves.push(curve(if is_first { "theory".to_owned() } else { String::new() }, theory, true));
        }
        curves.push(curve(name, measured, false));
    }
    let ys = || {
        curves.iter().flat_map(|curve: &Curve| &curve.points).map(|point| point.y).filter(|y| y.is_finite())
    };
    let (low, high) = (ys().fold(f64::INFINITY, f64::min), ys().fold(0.0, f64::max));
    let y_range = if low <= high { [low / 2.0, high * 2.0] } else { [0.1, 1.0] };
    let outputs = depth as f64 + 1.0;
    Chart {
        id: format!("delta-{depth}-{width}"),
        title: format!("RMS delta at initialisation, {depth} × {width}"),
        description: "logarithmic; dots: measured, dashes: theory".to_owned(),
        scale: Scale::Log,
        x_label: "layer, input first, outputs last".to_owned(),
        x_range: [1.0, outputs],
        x_ticks: whole_ticks(1.0, outputs),
        y_label: "RMS of delta".to_owned(),
        y_range,
        frame: Frame { width: if alone { 960.0 } else { 640.0 }, height: 340.0, ..Frame::default() },
        curves,
        ..Chart::default()
    }
    .with_legend()
}

fn write_table(page: &mut String, findings: &[Finding], numbers: &[usize]) {
    let table = study_table(findings);
    page.push_str(
        "<section class=\"table\" aria-label=\"Configurations\">\n\
         <p class=\"note\">Point at a row or a curve to single out its activation function and initial \
         weights.</p>\n",
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
                rows::VERDICT if finding.initial.verdicts != [Verdict::Healthy] => {
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
