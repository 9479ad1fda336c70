//! `compare.html`: conclusion, learning curves and ranked table on one page.
//!
//! The page is whole in itself: no script, no network, nothing but HTML, CSS and SVG. The table is the charts' legend. That
//! pointing at a row singles out its curves, and ticking it keeps them, is done by CSS alone (`:has`), two rules per optimizer.

use super::report::Report;
use super::rows;
use crate::figures::{counted, grouped, rate, short};
use crate::series;
use backflow_probe::chart::{self, Chart, ChartPoint, Curve, Frame, Scale, escaped, whole_ticks};
use backflow_train::comparison::{Outcome, Point, Run, Spread, Standing};
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");

/// With more optimizers than this, only so many stand out until one is pointed at.
const PROMINENT: usize = 8;

/// The page of this report, with the sentences that conclude it.
pub(crate) fn html(report: &Report, notes: &[String]) -> String {
    let standings = report.standings();
    let config = &report.config;
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Optimizers compared: {}</title>\n\
         <style>\n{}{STYLE}{}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>Optimizers compared</h1>\n",
        escaped(&report.setup.join("; ")),
        chart::STYLE,
        series_style(standings.len())
    );
    let _ = writeln!(
        page,
        "<p class=\"setup\">{}<br>{}<br>{}, batch size {}, {} schedule{}{}; {}</p>",
        escaped(&report.setup[0]),
        escaped(&report.setup[1]),
        counted(config.epochs, "epoch"),
        grouped(config.batch_size),
        escaped(&config.schedule),
        config.clip_norm.map_or(String::new(), |norm| format!(", gradients clipped at norm {norm}")),
        config.task.in_words(),
        counted(config.seeds, "seed"),
    );
    for (idx, note) in notes.iter().enumerate() {
        let class = if idx == 0 { "verdict" } else { "note" };
        let _ = writeln!(page, "<p class=\"{class}\">{}</p>", sentence(note));
    }
    page.push_str("</header>\n");
    if !standings.is_empty() {
        let many = if standings.len() > PROMINENT { " many" } else { "" };
        let _ = writeln!(
            page,
            "<div class=\"results\">\n<section class=\"charts{many}\" aria-label=\"Learning curves\">"
        );
        for chart in charts(report, &standings) {
            let _ = writeln!(
                page,
                "<figure>\n<figcaption>{} <span>{}</span></figcaption>\n{}</figure>",
                chart.title,
                escaped(&chart.description),
                chart.svg()
            );
        }
        page.push_str("</section>\n");
        ranking(&mut page, report, &standings);
        page.push_str("</div>\n");
    }
    tuning(&mut page, report);
    let _ = writeln!(
        page,
        "<footer>Backflow {}. The same figures and curves for programs are in compare.json, beside this page.</footer>\n</main>\n</body>\n</html>",
        env!("CARGO_PKG_VERSION")
    );
    page
}

/// The sentence with the options in it marked as what they are, so that they do not break at their hyphens.
fn sentence(text: &str) -> String {
    let word = |word: &str| {
        let safe = escaped(word);
        if word.starts_with("--") { format!("<code>{safe}</code>") } else { safe }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Colour and dash of every curve, and what happens when it is pointed at or ticked.
fn series_style(count: usize) -> String {
    let mut css = String::new();
    for n in 0..count {
        if n >= PROMINENT {
            let _ = writeln!(css, ".curve.s{n}{{--width:1.1;--fade:.6}}");
        }
        let _ = writeln!(
            css,
            "{}\n\
             main:has(.r{n}:hover,.curve.s{n}:hover,.r{n}:focus-within) .curve:not(.s{n}){{--fade:var(--faded)}}\n\
             main:has(.r{n}:hover,.curve.s{n}:hover,.r{n}:focus-within) .s{n}{{--fade:1;--width:3.5;--shade:.22}}\n\
             main:has(.curve.s{n}:hover) .r{n}{{background:var(--row)}}\n\
             main:has(#pin{n}:checked) .curve.s{n}.s{n}{{--fade:1;--width:2.5;--shade:.22}}",
            series::style(n)
        );
    }
    css
}

fn charts(report: &Report, standings: &[Standing]) -> [Chart; 3] {
    let start = report.runs.iter().filter_map(|run| run.curve.first()).map(|point| point.test_loss);
    let start = start.fold(1e-3, f64::max);
    let chart = |id, title, scale, of: fn(&Point) -> Option<f64>| {
        let curves: Vec<Curve> = (0..)
            .zip(standings)
            .map(|(number, standing)| curve(number, standing, &report.runs, of))
            .collect();
        let ys = || curves.iter().flat_map(|curve| &curve.points).map(|point| point.y);
        let (low, high) = (ys().fold(f64::INFINITY, f64::min), ys().fold(f64::NEG_INFINITY, f64::max));
        let (y_range, description) = match scale {
            Scale::Accuracy => {
                ([low.clamp(0.0, 0.9), high.clamp(0.91, 0.9999)], "spaced by the logarithm of the error")
            }
            // A loss far above that of guessing is a loss of control, one far below it is a set learned by heart; how far
            // does not matter, and would leave the others no room.
            Scale::Log | Scale::Linear => {
                let [bottom, top] = [start * 5e-4, start * 2.0];
                let cut = low < bottom || high > top;
                let range = [(0.93 * low).clamp(bottom, start / 2.0), high.clamp(start, top)];
                (range, if cut { "logarithmic, cut off at the ends" } else { "logarithmic" })
            }
        };
        let x_end = report.config.epochs as f64;
        Chart {
            id: String::from(id),
            title: String::from(title),
            description: description.to_owned(),
            scale,
            x_label: "passes over the training set".to_owned(),
            x_range: [0.0, x_end],
            x_ticks: whole_ticks(0.0, x_end),
            y_range,
            frame: Frame::default(),
            legend: false,
            curves,
        }
    };
    [
        chart("accuracy", "Test accuracy", Scale::Accuracy, |point| point.metrics.get("accuracy")),
        chart("test-loss", "Test loss", Scale::Log, |point| Some(point.test_loss)),
        chart("train-loss", "Training loss", Scale::Log, |point| point.train_loss),
    ]
}

/// The mean over seeds at each point, as far as the curves go.
fn curve(number: usize, standing: &Standing, runs: &[Run], of: fn(&Point) -> Option<f64>) -> Curve {
    let runs: Vec<&Run> = runs.iter().filter(|run| run.optimizer == standing.optimizer).collect();
    let longest = runs.iter().map(|run| run.curve.len()).max().unwrap_or(0);
    let at = |idx: usize| {
        let points = || runs.iter().filter_map(move |run| run.curve.get(idx));
        let Spread { mean, std, .. } = Spread::of(points().filter_map(of))?;
        let std = std.unwrap_or(0.0);
        Some(ChartPoint { x: points().next()?.epoch, y: mean, low: mean - std, high: mean + std })
    };
    let name = format!("{}: {}", standing.optimizer, rows::accuracy(standing.test_metric));
    let broken = runs.iter().any(|run| run.outcome != Outcome::Finished);
    let points = (0..longest).filter_map(at).collect();
    Curve { number, name, points, broken, theory: false, dots: false }
}

fn ranking(page: &mut String, report: &Report, standings: &[Standing]) {
    let headings = rows::headings(report.config.target);
    let many = if standings.len() > PROMINENT { " Beyond the best eight, curves are thin." } else { "" };
    let means = "Figures are means ± standard deviations over seeds.";
    let _ = write!(
        page,
        "<section class=\"ranking\" aria-label=\"Ranking\">\n<p class=\"note\">Point at a row or a curve to single it out, tick \
         rows to keep them. {}{many}</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Ranked table\">\n<table>\n<thead><tr>",
        if report.config.seeds > 1 { means } else { "" }
    );
    let class = |column: usize| if rows::WORDS.contains(&column) { " class=\"words\"" } else { "" };
    for (column, heading) in headings.iter().enumerate() {
        let _ = write!(page, "<th scope=\"col\"{}>{}</th>", class(column), escaped(heading));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for (n, (row, standing)) in rows::rows(standings).iter().zip(standings).enumerate() {
        let diverged = if standing.diverged > 0 { " diverged" } else { "" };
        let _ = write!(page, "<tr class=\"r{n}{diverged}\">");
        for (column, cell) in row.iter().enumerate() {
            let cell = escaped(cell);
            if column == rows::WORDS[0] {
                let _ = write!(
                    page,
                    "<th scope=\"row\" class=\"words\"><label><input type=\"checkbox\" class=\"pin\" id=\"pin{n}\" \
                     aria-label=\"keep the curves of {cell}\"><svg class=\"key s{n}\" viewBox=\"0 0 28 10\" aria-hidden=\"true\">\
                     <path class=\"line\" d=\"M1 5H27\"/></svg>{cell}</label></th>"
                );
            } else {
                let _ = write!(page, "<td{}>{cell}</td>", class(column));
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n</section>\n");
}

/// Validation accuracies of all rates, the chosen one marked.
fn tuning(page: &mut String, report: &Report) {
    let (Some(rates), false) = (&report.config.rates, report.tunings.is_empty()) else { return };
    page.push_str(
        "<section class=\"tuning\">\n<h2>How learning rates were chosen</h2>\n\
         <p class=\"note\">Mean validation accuracy of each rate; the chosen one is marked. A fold that diverged counts as 0.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of learning rates\">\n<table>\n<thead><tr><th scope=\"col\" class=\"words\">optimizer</th>",
    );
    for &x in rates {
        let _ = write!(page, "<th scope=\"col\">{}</th>", rate(x));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for tuning in &report.tunings {
        let _ = write!(page, "<tr><th scope=\"row\" class=\"words\">{}</th>", escaped(&tuning.optimizer));
        for trial in &tuning.trials {
            let accuracy = short(trial.figure());
            if Some(trial.learning_rate) == tuning.learning_rate {
                let _ = write!(page, "<td class=\"chosen\"><strong>{accuracy}</strong></td>");
            } else {
                let _ = write!(page, "<td>{accuracy}</td>");
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n</section>\n");
}
