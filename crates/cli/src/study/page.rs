//! `study.html`: conclusion, deltas over layers beside the theory, and the table, on one page.
//!
//! The page is whole in itself: no script, no network, nothing but HTML, CSS and SVG. There is a chart for each depth and width, and
//! a colour for each pair of activation function and initial weights, the same in all charts. The table is the legend; that
//! pointing at a row singles out its curves is done by CSS alone (`:has`).

use super::display::introduction;
use super::report::Report;
use super::rows;
use crate::series;
use backflow_probe::Verdict;
use backflow_report::chart::{self, Chart, ChartPoint, Curve, Frame, Scale, escaped, whole_ticks};
use backflow_train::study::Finding;
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");

/// The page of this report, with the sentences that conclude it.
pub(crate) fn html(report: &Report, notes: &[String]) -> String {
    let numbers = series_numbers(&report.findings);
    let count = numbers.iter().map(|number| number + 1).max().unwrap_or(0);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>How gradients flow back: {}</title>\n\
         <style>\n{}{STYLE}{}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>How gradients flow back</h1>\n",
        escaped(&report.data),
        chart::STYLE,
        series_style(count)
    );
    let setup: Vec<String> = introduction(report).iter().map(|text| escaped(text)).collect();
    let _ = writeln!(page, "<p class=\"setup\">{}</p>", setup.join("<br>"));
    for (idx, note) in notes.iter().enumerate() {
        // What happened; after a training, the last sentence says how it was counted.
        let is_rule = report.config.steps > 0 && idx > 0 && idx + 1 == notes.len();
        let class = if is_rule { "note" } else { "verdict" };
        // Depth and width stay on one line.
        let text = escaped(note).replace(" × ", "&nbsp;×&nbsp;");
        let _ = writeln!(page, "<p class=\"{class}\">{text}</p>");
    }
    page.push_str("</header>\n");
    if !report.findings.is_empty() {
        charts(&mut page, report, &numbers);
        table(&mut page, report, &numbers);
    }
    let _ = writeln!(
        page,
        "<footer>Backflow {}. The same figures for programs are in study.json, beside this page.</footer>\n</main>\n</body>\n</html>",
        env!("CARGO_PKG_VERSION")
    );
    page
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

/// Colour and dash of every curve, and what happens when it is pointed at.
fn series_style(count: usize) -> String {
    let mut css = String::new();
    for n in 0..count {
        let _ = writeln!(
            css,
            "{}\nmain:has(.r{n}:hover,.curve.s{n}:hover) .curve:not(.s{n}){{--fade:var(--faded)}}\n\
             main:has(.curve.s{n}:hover) .r{n}{{background:var(--row)}}",
            series::style(n)
        );
    }
    css
}

/// A chart for each depth and width, in the order in which they come.
fn charts(page: &mut String, report: &Report, numbers: &[usize]) {
    let mut sizes: Vec<(usize, usize)> = Vec::new();
    for finding in &report.findings {
        let size = (finding.configuration.depth, finding.configuration.width);
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    let one = if sizes.len() == 1 { " one" } else { "" };
    let crowded = if numbers.iter().any(|&number| number > 3) { " crowded" } else { "" };
    let _ = writeln!(page, "<section class=\"charts{one}{crowded}\" aria-label=\"Deltas over layers\">");
    for &size in &sizes {
        let of_size = |(finding, _): &(&Finding, &usize)| {
            (finding.configuration.depth, finding.configuration.width) == size
        };
        let members: Vec<(&Finding, usize)> = report
            .findings
            .iter()
            .zip(numbers)
            .filter(of_size)
            .map(|(finding, &number)| (finding, number))
            .collect();
        let chart = chart_of(size, &members, sizes.len() == 1);
        let _ = writeln!(
            page,
            "<figure>\n<figcaption>{} <span>{}</span></figcaption>\n{}</figure>",
            escaped(&chart.title),
            escaped(&chart.description),
            chart.svg()
        );
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
        let curve =
            |name, points, theory| Curve { number, name, points, broken: false, theory, dots: !theory };
        // Theory is drawn above the measurement, whose dots are wider.
        if has_theory {
            curves.push(curve(format!("{name}, theory"), theory, true));
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
        y_range,
        frame: Frame { width: if alone { 960.0 } else { 640.0 }, height: 340.0, ..Frame::default() },
        legend: false,
        curves,
    }
}

fn table(page: &mut String, report: &Report, numbers: &[usize]) {
    page.push_str(
        "<section class=\"table\" aria-label=\"Configurations\">\n\
         <p class=\"note\">Point at a row or a curve to single out its activation function and initial weights.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of configurations\">\n<table>\n<thead><tr>",
    );
    let class = |column: usize| if rows::WORDS.contains(&column) { " class=\"words\"" } else { "" };
    for (column, heading) in rows::headings(report).iter().enumerate() {
        let _ = write!(page, "<th scope=\"col\"{}>{}</th>", class(column), escaped(heading));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for ((row, finding), number) in rows::rows(&report.findings).iter().zip(&report.findings).zip(numbers) {
        let _ = write!(page, "<tr class=\"r{number}\">");
        for (column, cell) in row.iter().enumerate() {
            let cell = escaped(cell);
            let _ = match column {
                0 => write!(
                    page,
                    "<th scope=\"row\" class=\"words\"><span class=\"name\"><svg class=\"key s{number}\" viewBox=\"0 0 28 10\" \
                     aria-hidden=\"true\"><path class=\"line\" d=\"M1 5H27\"/></svg>{cell}</span></th>"
                ),
                rows::VERDICT if finding.initial.verdicts != [Verdict::Healthy] => {
                    write!(page, "<td class=\"words ill\">{cell}</td>")
                }
                _ => write!(page, "<td{}>{cell}</td>", class(column)),
            };
        }
        page.push_str("</tr>\n");
    }
    let legend = escaped(&rows::legend(&report.findings).join(" "));
    let _ = writeln!(page, "</tbody>\n</table>\n</div>\n<p class=\"note\">{legend}</p>\n</section>");
}
