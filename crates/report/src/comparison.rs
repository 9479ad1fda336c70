//! [`ComparisonPage`]: conclusion, learning curves, ranked table and gradient flow on one page.
//!
//! The page is whole in itself: nothing is fetched, and without JavaScript it lacks only the buttons that save
//! its figures. That pointing at a row singles out its curves, and ticking it keeps them, is done by CSS
//! alone (`:has`), two rules per optimizer.

mod flow;
mod means;
mod rows;

use crate::chart::{Chart, Curve, Scale, Stroke, whole_ticks};
use crate::page::{self, escaped, figure};
use crate::series;
use crate::table;
use backflow_probe::text::{rate, short};
use backflow_store::StoreError;
use backflow_train::comparison::{Outcome, Point, Run, Standing, Tuning, rank};
use means::Mean;
pub use rows::{comparison_table, mean_and_std};
use std::fmt::Write;
use std::path::Path;

const STYLE: &str = include_str!("comparison/style.css");

/// With more optimizers than this, only so many stand out until one is pointed at.
const PROMINENT: usize = 8;

/// Runs of several optimizers, and what is said about them, ready to be drawn: `compare.html`.
///
/// ```
/// use backflow_report::ComparisonPage;
/// use backflow_train::comparison::{Outcome, Point, Run};
/// use backflow_train::{Metric, Metrics};
///
/// let metrics = Metrics::from_iter([("accuracy", 0.9)]);
/// let point = Point { step: 10, epoch: 1.0, train_loss: Some(0.4), test_loss: 0.5, metrics };
/// let run = Run {
///     optimizer: "adam".to_owned(),
///     metric: Some(Metric::share("accuracy")),
///     seed: 0,
///     learning_rate: 1e-3,
///     batch_size: 32,
///     steps: 10,
///     evaluations: 10,
///     curve: vec![point],
///     flow: Vec::new(),
///     seconds_per_step: None,
///     outcome: Outcome::Finished,
/// };
/// let page = ComparisonPage {
///     subject: "digits".to_owned(),
///     setup: vec!["1 epoch".to_owned()],
///     notes: &["adam reached 0.9.".to_owned()],
///     runs: &[run],
///     tunings: &[],
///     seeds: 1,
///     epochs: 1,
///     target: 0.9,
///     json: None,
/// };
/// assert!(page.html().contains("<title>Optimizers compared: digits</title>"));
/// ```
#[derive(Clone, Debug)]
pub struct ComparisonPage<'a> {
    /// What was trained, in short, for the title of the window.
    pub subject: String,
    /// Data, network and conditions, a line each.
    pub setup: Vec<String>,
    /// Sentences that conclude the comparison, the most important first. Words that begin with `--` are set
    /// as options.
    pub notes: &'a [String],
    /// The runs that are complete.
    pub runs: &'a [Run],
    /// How learning rates were chosen, if they were.
    pub tunings: &'a [Tuning],
    /// How many runs of each optimizer there are to be.
    pub seeds: u64,
    /// Passes over the training set in each run: the end of the horizontal axis.
    pub epochs: u64,
    /// The test accuracy that the table counts the steps to.
    pub target: f64,
    /// The name of a file beside the page that holds the same for programs, if there is one.
    pub json: Option<&'a str>,
}

impl ComparisonPage<'_> {
    /// The page.
    #[must_use]
    pub fn html(&self) -> String {
        let standings = rank(self.runs, self.target);
        let title = format!("Optimizers compared: {}", self.subject);
        let style = format!("{STYLE}{}", series_style(standings.len()));
        let mut page = page::begin(&title, "Optimizers compared", &style, "");
        let setup: Vec<String> = self.setup.iter().map(|line| escaped(line)).collect();
        let _ = writeln!(page, "<p class=\"setup\">{}</p>", setup.join("<br>"));
        for (idx, note) in self.notes.iter().enumerate() {
            let class = if idx == 0 { "verdict" } else { "note" };
            let _ = writeln!(page, "<p class=\"{class}\">{}</p>", sentence(note));
        }
        page.push_str("</header>\n");
        if !standings.is_empty() {
            page.push_str("<div class=\"results\">\n<section aria-label=\"Learning curves\">\n");
            figures(&mut page, &self.charts(&standings), standings.len());
            page.push_str("</section>\n");
            self.ranking(&mut page, &standings);
            page.push_str("</div>\n");
        }
        self.flow(&mut page, &standings);
        self.tuning(&mut page);
        page::end(&mut page, &page::beside("figures and curves", self.json), "");
        page
    }

    /// Writes the page to a file, which appears whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written; the file then still holds what it held before.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), StoreError> {
        page::save(&self.html(), path.as_ref())
    }

    /// Accuracy and losses over the run.
    fn charts(&self, standings: &[Standing]) -> [Chart; 3] {
        let start = self.runs.iter().filter_map(|run| run.curve.first()).map(|point| point.test_loss);
        let start = start.fold(1e-3, f64::max);
        let chart = |id, title, scale, of: fn(&Point) -> Option<f64>| {
            let curves: Vec<Curve> = (0..)
                .zip(standings)
                .map(|(number, standing)| curve(number, standing, self.runs, of))
                .collect();
            let ys = || curves.iter().flat_map(|curve| &curve.points).map(|point| point.y);
            let (low, high) = (ys().fold(f64::INFINITY, f64::min), ys().fold(f64::NEG_INFINITY, f64::max));
            let (y_range, description) = match scale {
                Scale::Accuracy => {
                    ([low.clamp(0.0, 0.9), high.clamp(0.91, 0.9999)], "spaced by the logarithm of the error")
                }
                // A loss far above that of guessing is a loss of control, one far below it is a set learned
                // by heart; how far does not matter, and would leave the others no room.
                Scale::Log | Scale::Linear => {
                    let [bottom, top] = [start * 5e-4, start * 2.0];
                    let cut = low < bottom || high > top;
                    let range = [(0.93 * low).clamp(bottom, start / 2.0), high.clamp(start, top)];
                    (range, if cut { "logarithmic, cut off at the ends" } else { "logarithmic" })
                }
            };
            let x_end = self.epochs as f64;
            Chart {
                id: String::from(id),
                title: String::from(title),
                description: description.to_owned(),
                scale,
                x_label: "passes over the training set".to_owned(),
                x_range: [0.0, x_end],
                x_ticks: whole_ticks(0.0, x_end),
                y_label: String::from(title).to_lowercase(),
                y_range,
                curves,
                ..Chart::default()
            }
            .with_legend()
        };
        [
            chart("accuracy", "Test accuracy", Scale::Accuracy, |point| point.metrics.get("accuracy")),
            chart("test-loss", "Test loss", Scale::Log, |point| Some(point.test_loss)),
            chart("train-loss", "Training loss", Scale::Log, |point| point.train_loss),
        ]
    }

    fn ranking(&self, page: &mut String, standings: &[Standing]) {
        let many = if standings.len() > PROMINENT { " Beyond the best eight, curves are thin." } else { "" };
        let means = "Figures are means ± standard deviations over seeds.";
        let _ = writeln!(
            page,
            "<section class=\"ranking\" aria-label=\"Ranking\">\n<p class=\"note\">Point at a row or a curve \
         to single it out, tick rows to keep them. {}{many}</p>",
            if self.seeds > 1 { means } else { "" }
        );
        let table = comparison_table(standings, self.target);
        table::begin_with(&table, page, "Ranked table");
        for (n, (row, standing)) in table.rows.iter().zip(standings).enumerate() {
            let diverged = if standing.diverged > 0 { " diverged" } else { "" };
            let _ = write!(page, "<tr class=\"r{n}{diverged}\">");
            for (column, cell) in row.iter().enumerate() {
                let cell = escaped(cell);
                if column == rows::NAME {
                    let _ = write!(
                        page,
                        "<th scope=\"row\" class=\"words\"><label><input type=\"checkbox\" class=\"pin\" \
                     id=\"pin{n}\" aria-label=\"keep the curves of {cell}\">{}{cell}</label></th>",
                        series::key(n)
                    );
                } else {
                    let _ = write!(page, "<td{}>{cell}</td>", table::class(&table.columns[column]));
                }
            }
            page.push_str("</tr>\n");
        }
        table::end(page);
        page.push_str("</section>\n");
    }

    /// What flowed back, where it was looked at.
    fn flow(&self, page: &mut String, standings: &[Standing]) {
        let charts = flow::charts(standings, self.runs, self.epochs);
        if charts.is_empty() {
            return;
        }
        page.push_str(
            "<section>\n<h2>Gradient flow</h2>\n<p class=\"note\">A delta is the gradient of one term of the loss, for a \
             classifier of one example, with respect to a layer's output. Means are geometric, but those of slopes.</p>\n",
        );
        figures(page, &charts, standings.len());
        page.push_str("</section>\n");
    }

    /// Validation accuracies of all rates, the chosen one marked.
    fn tuning(&self, page: &mut String) {
        let Some(first) = self.tunings.first() else { return };
        page.push_str(
            "<section class=\"tuning\">\n<h2>How learning rates were chosen</h2>\n\
             <p class=\"note\">Mean validation accuracy of each rate; the chosen one is marked. A fold that \
             diverged counts as 0.</p>\n",
        );
        table::begin(page, "Table of learning rates");
        page.push_str("<th scope=\"col\" class=\"words\">optimizer</th>");
        for trial in &first.trials {
            let _ = write!(page, "<th scope=\"col\">{}</th>", rate(trial.learning_rate));
        }
        page.push_str("</tr></thead>\n<tbody>\n");
        for tuning in self.tunings {
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
        table::end(page);
        page.push_str("</section>\n");
    }
}

/// The sentence with the options in it marked as what they are, so that they do not break at their hyphens.
fn sentence(text: &str) -> String {
    let word = |word: &str| {
        let safe = escaped(word);
        if word.starts_with("--") { format!("<code>{safe}</code>") } else { safe }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The colour of every curve, and what happens when it is pointed at or ticked.
fn series_style(count: usize) -> String {
    let mut css = series::style(count);
    for n in 0..count {
        if n >= PROMINENT {
            let _ = writeln!(css, ".curve.s{n}{{--width:1.1;--fade:.6}}");
        }
        let _ = writeln!(
            css,
            "main:has(.r{n}:hover,.curve.s{n}:hover,.r{n}:focus-within) \
             .curve:not(.s{n}){{--fade:var(--faded)}}\n\
             main:has(.r{n}:hover,.curve.s{n}:hover,.r{n}:focus-within) \
             .s{n}{{--fade:1;--width:3.5;--shade:.22}}\n\
             main:has(.curve.s{n}:hover) .r{n}{{background:var(--row)}}\n\
             main:has(#pin{n}:checked) .curve.s{n}.s{n}{{--fade:1;--width:2.5;--shade:.22}}"
        );
    }
    css
}

/// Charts beside each other, of so many optimizers.
fn figures(page: &mut String, charts: &[Chart], optimizers: usize) {
    let many = if optimizers > PROMINENT { " many" } else { "" };
    let _ = writeln!(page, "<div class=\"charts{many}\">");
    for chart in charts {
        let numbers = chart.csv(|x| x.to_string());
        figure(page, &chart.id, &chart.title, &escaped(&chart.description), &chart.svg(), Some(&numbers));
    }
    page.push_str("</div>\n");
}

/// The runs of one optimizer.
fn of_optimizer<'a>(runs: &'a [Run], standing: &Standing) -> Vec<&'a Run> {
    runs.iter().filter(|run| run.optimizer == standing.optimizer).collect()
}

/// The mean over seeds at each point, as far as the curves go.
fn curve(number: usize, standing: &Standing, runs: &[Run], of: fn(&Point) -> Option<f64>) -> Curve {
    let runs = of_optimizer(runs, standing);
    let name = format!("{}: {}", standing.optimizer, mean_and_std(standing.test_metric));
    let broken = runs.iter().any(|run| run.outcome != Outcome::Finished);
    let points = Mean::Arithmetic.over(&runs, |run| &run.curve, |point| point.epoch, of);
    Curve { number, name, points, broken, stroke: Stroke::Marked }
}
