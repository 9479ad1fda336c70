//! Maps of depth and the variance of weights, as in Schoenholz et al. 2017, figure 5: the measured slope, and
//! the accuracy after the training, with the depth at which trainable networks end by theory, `6 ξ_c`.

use super::groups::Study;
use crate::chart::{Chart, ChartPoint, Curve, Frame, Stroke};
use crate::colours::{LEVELS, colour, diverging, level};
use crate::page::{escaped, field};
use backflow_probe::text::number;
use backflow_train::study::{Configuration, Finding};
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

/// Two maps, or one without a training, for each activation function, variance of biases and width that has
/// several depths and several variances of weights.
pub(super) fn all(study: &Study<'_>) -> Vec<Diagram> {
    let mut planes: Vec<Plane<'_>> = Vec::new();
    // Theory goes by the variance of weights that are drawn around 0, and of no others.
    for finding in study.findings.iter().filter(|finding| finding.theory.is_some()) {
        let of = &finding.configuration;
        let [weight_variance, bias_variance] = of.variances();
        let is_same = |plane: &Plane<'_>| {
            let Plane { first, bias_variance: biases, .. } = plane;
            (first.activation, first.width, *biases) == (of.activation, of.width, bias_variance)
        };
        let at = planes.iter().position(is_same).unwrap_or_else(|| {
            planes.push(Plane { first: of, bias_variance, cells: Vec::new() });
            planes.len() - 1
        });
        planes[at].cells.push((weight_variance, of.depth as f64, finding));
    }
    planes.retain(|plane| plane.is_map());
    let mut diagrams = Vec::new();
    for (idx, plane) in planes.iter().enumerate() {
        diagrams.push(plane.slopes(study, idx + 1));
        diagrams.extend(plane.accuracies(study, idx + 1));
    }
    diagrams
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
    let before = first - half(first, values[1]);
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

    /// Whether there are several rows and columns, and no two networks in one place.
    fn is_map(&self) -> bool {
        let mut places: Vec<(u64, u64)> =
            self.cells.iter().map(|(variance, depth, _)| (variance.to_bits(), depth.to_bits())).collect();
        places.sort_unstable();
        let (count, all) = (self.cells.len(), places.len());
        places.dedup();
        self.variances().len() > 2 && self.depths().len() > 1 && places.len() == all && count > 5
    }

    fn slopes(&self, study: &Study<'_>, idx: usize) -> Diagram {
        let slope = |finding: &Finding| finding.initial.unlimited().1;
        let largest = self.cells.iter().filter_map(|(.., of)| slope(of)).map(f64::abs).fold(0.0, f64::max);
        let end = if largest > 0.0 { largest } else { 1.0 };
        self.diagram(
            study,
            &format!("map-slope-{idx}"),
            "Slope of deltas",
            "decades per layer on the way back; red explodes, blue vanishes",
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
        let (name, stroke) = ("6 ξ_c, by theory".to_owned(), Stroke::Theory);
        // Black, the one colour that is on neither scale.
        let curve = Curve { number: 6, name, points, broken: false, stroke };
        let biases = if self.bias_variance > 0.0 {
            format!(", σ_b² {}", number(self.bias_variance))
        } else {
            String::new()
        };
        let mut chart = Chart {
            id: id.to_owned(),
            title: format!("{title}, {}{biases}, width {}", self.first.activation, self.first.width),
            description: reading.to_owned(),
            x_label: "σ_w²: variance of weights, times their inputs".to_owned(),
            x_range,
            x_ticks: super::against::ticks(x_range[0], x_range[1]),
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
            let text = figure.map_or(String::new(), |figure| digits(figure).to_string());
            let _ = writeln!(csv, "{depth},{},{text}", digits(*variance));
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

/// Four digits.
fn digits(x: f64) -> f64 {
    format!("{x:.3e}").parse().unwrap_or(x)
}

/// The colours with what they mean, above a chart.
fn bar(chart: &Chart, [low, high]: [f64; 2], colour: fn(usize) -> String) -> String {
    let left = chart.frame.left;
    let width = chart.frame.width - left - chart.frame.right;
    let step = width / LEVELS as f64;
    let top = chart.frame.top - BAR;
    let mut svg = String::from("<g class=\"legend\">\n");
    for level in 0..LEVELS {
        let x = left + step * level as f64;
        let _ = write!(
            svg,
            "<rect x=\"{x:.2}\" y=\"{}\" width=\"{:.2}\" height=\"11\" fill=\"{}\"/>",
            top + 4.0,
            (step + 1.0).min(left + width - x),
            colour(level)
        );
    }
    for (tick, text) in super::against::ticks(low, high) {
        let x = left + width * (tick - low) / (high - low);
        let _ = write!(
            svg,
            "<path d=\"M{x:.1} {}v4\"/><text x=\"{x:.1}\" y=\"{}\" class=\"x\">{text}</text>",
            top + 15.0,
            top + 30.0
        );
    }
    svg.push_str("</g>\n");
    svg
}
