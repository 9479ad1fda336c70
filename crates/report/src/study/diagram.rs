//! Maps of depth and the variance of weights, as in Schoenholz et al. 2017, figure 5: the measured slope, and
//! the accuracy after the training, with the depth at which trainable networks end by theory, `6 ξ_c`.

use super::groups::Study;
use crate::chart::{Chart, ChartPoint, Curve, Frame, Stroke, round_ticks};
use crate::colours::{colour, colour_bar, diverging, level};
use crate::page::{escaped, field};
use crate::rounded::rounded;
use backflow_train::study::{Configuration, Finding, diagrams};
use std::fmt::Write;

/// Room for the bar of colours above the map, and its height.
const BAR: f64 = 46.0;

/// A map, and the numbers that it shows.
pub(super) struct Diagram {
    pub(super) chart: Chart,
    pub(super) csv: String,
}

/// The configurations of a map: they differ in depth and the variance of weights alone.
struct Plane<'a> {
    first: &'a Configuration,
    bias_variance: f64,
    /// Variance of weights, depth, finding.
    cells: Vec<(f64, f64, &'a Finding)>,
}

/// Two maps, or one without a training, for each set of configurations that [makes one](diagrams).
pub(super) fn all(study: &Study<'_>) -> Vec<Diagram> {
    let configurations: Vec<Configuration> = study.findings.iter().map(|of| of.configuration).collect();
    let mut all = Vec::new();
    for (idx, members) in diagrams(&configurations).iter().enumerate() {
        let first = &study.findings[members[0]].configuration;
        let cell = |&member: &usize| {
            let finding = &study.findings[member];
            let of = &finding.configuration;
            (of.variances()[0], of.depth as f64, finding)
        };
        let plane =
            Plane { first, bias_variance: first.variances()[1], cells: members.iter().map(cell).collect() };
        all.push(plane.slopes(study, idx + 1));
        all.extend(plane.accuracies(study, idx + 1));
    }
    all
}

/// Values in order, each once.
fn distinct(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// Where the cell of each of these values begins and ends: half way to its neighbours.
fn edges(values: &[f64]) -> Vec<f64> {
    let middles = values.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
    let (first, last) = (values[0], values[values.len() - 1]);
    let half = |a: f64, b: f64| (b - a) / 2.0;
    // Neither a depth nor a variance is below 0.
    let before = (first - half(first, values[1])).max(0.0);
    let after = last + half(values[values.len() - 2], last);
    [before].into_iter().chain(middles).chain([after]).collect()
}

impl Plane<'_> {
    fn variances(&self) -> Vec<f64> {
        distinct(self.cells.iter().map(|&(variance, ..)| variance))
    }

    fn depths(&self) -> Vec<f64> {
        distinct(self.cells.iter().map(|&(_, depth, _)| depth))
    }

    fn slopes(&self, study: &Study<'_>, idx: usize) -> Diagram {
        let slope = |finding: &Finding| finding.initial.unlimited().1;
        let largest = self.cells.iter().filter_map(|(.., of)| slope(of)).map(f64::abs).fold(0.0, f64::max);
        let end = if largest > 0.0 { largest } else { 1.0 };
        self.diagram(
            study,
            &format!("map-slope-{idx}"),
            "Slope of deltas",
            "decades per layer on the way back: red explodes, blue vanishes, blank has none; ξ_c is that of the fixed \
             point, which the table's L/xi_c is not",
            [-end, end],
            diverging,
            &slope,
        )
    }

    /// `None` without a training.
    fn accuracies(&self, study: &Study<'_>, idx: usize) -> Option<Diagram> {
        let accuracy = |finding: &Finding| Some(finding.learned.as_ref()?.test_accuracy?.mean);
        self.cells.iter().find_map(|(.., of)| of.learned.as_ref())?;
        Some(self.diagram(
            study,
            &format!("map-accuracy-{idx}"),
            "Test accuracy after the training",
            "blank where all networks diverged",
            [0.0, 1.0],
            colour,
            &accuracy,
        ))
    }

    fn diagram(
        &self,
        study: &Study<'_>,
        id: &str,
        title: &str,
        reading: &str,
        range: [f64; 2],
        colour: fn(usize) -> String,
        figure: &dyn Fn(&Finding) -> Option<f64>,
    ) -> Diagram {
        let (variances, depths) = (self.variances(), self.depths());
        let (across, up) = (edges(&variances), edges(&depths));
        let ends = |edges: &[f64]| [edges[0], edges[edges.len() - 1]];
        let (x_range, y_range) = (ends(&across), ends(&up));
        let limit = study
            .depths
            .iter()
            .find(|of| (of.activation, of.bias_variance) == (self.first.activation, self.bias_variance));
        // The line goes out of the map where depths are infinite.
        let point = |&[x, y]: &[f64; 2]| ChartPoint::new(x, y.min(1e3 * y_range[1]));
        let points = limit.map_or(Vec::new(), |limit| limit.points.iter().map(point).collect());
        let name = match points.iter().any(|point: &ChartPoint| (y_range[0]..y_range[1]).contains(&point.y)) {
            true => "6 ξ_c, by theory",
            false => "6 ξ_c, by theory, lies beyond these depths",
        };
        let (name, stroke) = (name.to_owned(), Stroke::Theory);
        // Black, the one colour that is on neither scale.
        let curve = Curve { number: 6, name, points, broken: false, stroke };
        let biases = if self.bias_variance > 0.0 {
            format!(", σ_b {}", rounded(self.bias_variance.sqrt(), 12))
        } else {
            String::new()
        };
        let mut chart = Chart {
            id: id.to_owned(),
            title: format!("{title}, {}{biases}, width {}", self.first.activation, self.first.width),
            description: reading.to_owned(),
            x_label: "σ_w²: variance of weights, times their inputs".to_owned(),
            x_range,
            x_ticks: round_ticks(x_range[0], x_range[1]),
            y_label: "depth: hidden layers".to_owned(),
            y_range,
            frame: Frame { width: 560.0, height: 380.0, top: BAR, ..Frame::default() },
            curves: if curve.points.is_empty() { Vec::new() } else { vec![curve] },
            ..Chart::default()
        }
        .with_legend();
        let [low, high] = range;
        let mut csv = format!("depth,{},{}\n", field("weight variance"), field(&title.to_lowercase()));
        let mut cells = String::new();
        for (variance, depth, finding) in &self.cells {
            let figure = figure(finding);
            let text = figure.map_or(String::new(), |figure| rounded(figure, 4).to_string());
            let _ = writeln!(csv, "{depth},{},{text}", rounded(*variance, 4));
            let Some(figure) = figure else { continue };
            let place = |values: &[f64], value: f64| values.partition_point(|&other| other < value);
            let (column, row) = (place(&variances, *variance), place(&depths, *depth));
            let [left, right] = [across[column], across[column + 1]].map(|x| chart.x(x));
            let [bottom, top] = [up[row], up[row + 1]].map(|y| chart.y(y));
            let of = &finding.configuration;
            let _ = writeln!(
                cells,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"><title>depth {}, {}: \
                 {text}</title></rect>",
                // Neighbours overlap by a hair, or the ground would shine through.
                right - left + 0.4,
                bottom - top + 0.4,
                colour(level((figure - low) / (high - low))),
                of.depth,
                escaped(&of.weights()),
            );
        }
        chart.ground = cells;
        chart.above = bar(&chart, range, colour);
        Diagram { chart, csv }
    }
}

/// The colours with what they mean, above a chart.
fn bar(chart: &Chart, [low, high]: [f64; 2], colour: fn(usize) -> String) -> String {
    let left = chart.frame.left;
    let width = chart.frame.width - left - chart.frame.right;
    let top = chart.frame.top - BAR;
    let place = |tick: f64| left + width * (tick - low) / (high - low);
    let ticks =
        round_ticks(low, high).into_iter().map(|(tick, text)| (place(tick), text)).collect::<Vec<_>>();
    format!("<g class=\"legend\">\n{}</g>\n", colour_bar([left, top + 4.0], width, &ticks, colour))
}
