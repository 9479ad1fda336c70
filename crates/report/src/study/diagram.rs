//! Maps of depth and something else: the variance of weights, as in Schoenholz et al. 2017, figure 5, the width, or the
//! normalisation. Drawn are the measured slope, and the accuracy after the training; over variances also the depth at
//! which trainable networks end by theory, `6 ξ_c`.

use super::groups::{Study, numbered};
use crate::chart::{Chart, ChartPoint, Curve, Frame, Stroke, round_ticks};
use crate::colours::{colour, colour_bar, diverging, level};
use crate::page::{escaped, field};
use crate::rounded::rounded;
use backflow_train::study::{Axes, Configuration, Finding, Network, TrainableDepths, diagrams, maps};
use std::fmt::Write;

/// Room for the bar of colours above the map, and its height.
const BAR: f64 = 46.0;

/// A map, and the numbers that it shows.
pub(super) struct Diagram {
    pub(super) chart: Chart,
    pub(super) csv: String,
}

/// What the horizontal axis of a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Across {
    WeightVariance,
    Width,
    Norm,
}

impl Across {
    pub(super) const ALL: [Self; 3] = [Self::WeightVariance, Self::Width, Self::Norm];

    pub(super) fn headline(self) -> &'static str {
        match self {
            Self::WeightVariance => "Depth and variance of weights",
            Self::Width => "Depth and width",
            Self::Norm => "Depth and normalisation",
        }
    }

    /// What follows `map-slope-` in the name of a figure.
    fn id(self) -> &'static str {
        match self {
            Self::WeightVariance => "",
            Self::Width => "width-",
            Self::Norm => "norm-",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::WeightVariance => "σ_w²: variance of weights, times their inputs",
            Self::Width => "width",
            Self::Norm => "normalisation",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::WeightVariance => "weight variance",
            Self::Width => "width",
            Self::Norm => "norm",
        }
    }

    /// The configurations of each map: they differ in depth and this alone.
    fn maps(self, configurations: &[Configuration]) -> Vec<Vec<usize>> {
        let rest = |axes: Axes, of: &Configuration| {
            (of.line().map(|line| line.template.clone()), Axes { depth: None, ..axes }, of.init)
        };
        match self {
            Self::WeightVariance => diagrams(configurations),
            Self::Width => {
                let plane = |of: &Configuration| rest(Axes { width: None, ..of.axes() }, of);
                maps(configurations, plane, |at| configurations[at].axes().width.map(|width| width as u64), 3)
            }
            Self::Norm => {
                let norms = numbered(configurations.iter().map(|of| of.axes().norm));
                let plane = |of: &Configuration| rest(Axes { norm: None, ..of.axes() }, of);
                let place = |at: usize| configurations[at].axes().norm.map(|_| norms[at] as u64);
                maps(configurations, plane, place, 2)
            }
        }
    }

    /// What is written before a place that stands alone.
    fn unit(self) -> &'static str {
        if self == Self::Width { "width " } else { "" }
    }

    /// Where a configuration stands, in words.
    fn place(self, of: &Configuration) -> String {
        match self {
            Self::WeightVariance => of.weights(),
            Self::Width => of.axes().width.map_or_else(String::new, |width| width.to_string()),
            Self::Norm => of.axes().norm.map_or_else(String::new, |norm| norm.to_string()),
        }
    }
}

/// The configurations of a map: they differ in depth and one other thing alone.
struct Plane<'a> {
    across: Across,
    first: &'a Configuration,
    bias_variance: f64,
    /// Place across, depth, finding.
    cells: Vec<(f64, f64, &'a Finding)>,
    /// What is written at the places, if they are not numbers.
    names: Vec<(f64, String)>,
}

/// Two maps, or one without a training, for each set of configurations that makes one.
pub(super) fn all(study: &Study<'_>, across: Across) -> Vec<Diagram> {
    let configurations: Vec<Configuration> =
        study.findings.iter().map(|of| of.configuration.clone()).collect();
    let planes: Vec<Plane<'_>> = across
        .maps(&configurations)
        .into_iter()
        .map(|members| Plane::of(across, members.into_iter().map(|member| &study.findings[member]).collect()))
        .collect();
    // One scale of colours for all.
    let slopes = planes.iter().flat_map(|plane| &plane.cells).filter_map(|(.., of)| slope(of));
    let largest = slopes.map(f64::abs).fold(0.0, f64::max);
    let end = if largest > 0.0 { largest } else { 1.0 };
    let mut all = Vec::new();
    for (idx, plane) in planes.iter().enumerate() {
        all.push(plane.slopes(study, idx + 1, end));
        all.extend(plane.accuracies(study, idx + 1));
    }
    all
}

fn slope(finding: &Finding) -> Option<f64> {
    finding.initial.unlimited().1
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

impl<'a> Plane<'a> {
    fn of(across: Across, findings: Vec<&'a Finding>) -> Self {
        let first = &findings[0].configuration;
        let variances = |of: &Configuration| of.variances().unwrap_or_default();
        // Places that are no numbers of one scale are as far apart as each other.
        let mut sorted: Vec<&Configuration> = findings.iter().map(|finding| &finding.configuration).collect();
        sorted.sort_by_key(|of| of.axes().width.filter(|_| across == Across::Width));
        let mut names: Vec<String> = Vec::new();
        for name in sorted.into_iter().map(|of| across.place(of)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let cell = |finding: &&'a Finding| {
            let of = &finding.configuration;
            let at = match across {
                Across::WeightVariance => variances(of)[0],
                _ => {
                    names.iter().position(|name| *name == across.place(of)).map_or(0.0, |at| at as f64 + 1.0)
                }
            };
            (at, of.axes().depth.unwrap_or_default() as f64, *finding)
        };
        Self {
            across,
            first,
            bias_variance: variances(first)[1],
            cells: findings.iter().map(cell).collect(),
            names: (1..).map(f64::from).zip(names).collect(),
        }
    }

    fn places(&self) -> Vec<f64> {
        distinct(self.cells.iter().map(|&(at, ..)| at))
    }

    fn depths(&self) -> Vec<f64> {
        distinct(self.cells.iter().map(|&(_, depth, _)| depth))
    }

    fn slopes(&self, study: &Study<'_>, idx: usize, end: f64) -> Diagram {
        let theory = match self.limit(study) {
            Some(_) => "; ξ_c is that of the fixed point, which the table's L/xi_c is not",
            None => "",
        };
        self.diagram(
            study,
            &format!("map-slope-{}{idx}", self.across.id()),
            "Slope of deltas",
            &format!(
                "decades per layer or block on the way back: red explodes, blue vanishes, blank has none{theory}"
            ),
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
            &format!("map-accuracy-{}{idx}", self.across.id()),
            "Test accuracy after the training",
            "blank where all networks diverged",
            [0.0, 1.0],
            colour,
            &accuracy,
        ))
    }

    /// What theory says of where trainable networks end.
    fn limit<'s>(&self, study: &Study<'s>) -> Option<&'s TrainableDepths> {
        let Network::Perceptron { activation, .. } = self.first.network else { return None };
        let is_same =
            |of: &&TrainableDepths| (of.activation, of.bias_variance) == (activation, self.bias_variance);
        study.depths.iter().find(is_same).filter(|_| self.across == Across::WeightVariance)
    }

    /// What all its configurations are.
    fn title(&self, study: &Study<'_>) -> String {
        let of = self.first;
        let kind = match self.across {
            Across::WeightVariance => study.names.without_weights(of),
            Across::Width => study.names.kind(of),
            Across::Norm => study.names.without_norm(of),
        };
        let biases = match self.across {
            Across::WeightVariance if self.bias_variance > 0.0 => {
                format!("σ_b {}", rounded(self.bias_variance.sqrt(), 12))
            }
            _ => String::new(),
        };
        let width = of.axes().width.filter(|_| self.across != Across::Width);
        let width = width.map_or(String::new(), |width| format!("width {width}"));
        let parts = [kind, biases, width];
        parts.iter().filter(|part| !part.is_empty()).map(|part| format!(", {part}")).collect()
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
        let (places, depths) = (self.places(), self.depths());
        let (across, up) = (edges(&places), edges(&depths));
        let ends = |edges: &[f64]| [edges[0], edges[edges.len() - 1]];
        let (x_range, y_range) = (ends(&across), ends(&up));
        let limit = self.limit(study);
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
        let mut chart = Chart {
            id: id.to_owned(),
            title: format!("{title}{}", self.title(study)),
            description: reading.to_owned(),
            x_label: self.across.label().to_owned(),
            x_range,
            x_ticks: match self.across {
                Across::WeightVariance => round_ticks(x_range[0], x_range[1]),
                _ => self.names.clone(),
            },
            y_label: match self.first.line() {
                Some(_) => "depth",
                None => "depth: hidden layers",
            }
            .to_owned(),
            y_range,
            frame: Frame { width: 560.0, height: 380.0, top: BAR, ..Frame::default() },
            curves: if curve.points.is_empty() { Vec::new() } else { vec![curve] },
            ..Chart::default()
        }
        .with_legend();
        let [low, high] = range;
        let mut csv = format!("depth,{},{}\n", field(self.across.heading()), field(&title.to_lowercase()));
        let mut cells = String::new();
        for (at, depth, finding) in &self.cells {
            let of = &finding.configuration;
            let figure = figure(finding);
            let text = figure.map_or(String::new(), |figure| rounded(figure, 4).to_string());
            let place = match self.across {
                Across::WeightVariance => rounded(*at, 4).to_string(),
                _ => field(&self.names[*at as usize - 1].1).into_owned(),
            };
            let _ = writeln!(csv, "{depth},{place},{text}");
            let Some(figure) = figure else { continue };
            let place = |values: &[f64], value: f64| values.partition_point(|&other| other < value);
            let (column, row) = (place(&places, *at), place(&depths, *depth));
            let [left, right] = [across[column], across[column + 1]].map(|x| chart.x(x));
            let [bottom, top] = [up[row], up[row + 1]].map(|y| chart.y(y));
            let _ = writeln!(
                cells,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"><title>depth {}, {}: \
                 {text}</title></rect>",
                // Neighbours overlap by a hair, or the ground would shine through.
                right - left + 0.4,
                bottom - top + 0.4,
                colour(level((figure - low) / (high - low))),
                depth,
                escaped(&format!("{}{}", self.across.unit(), self.across.place(of))),
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
