//! Slopes and accuracies against depth, width and the variance of weights: whatever of these has several
//! values.

use super::groups::{Group, MOST, Member, Study, numbered};
use crate::chart::{Chart, ChartPoint, Curve, Frame, Scale, SpreadStyle, Stroke, round_ticks, whole_ticks};
use crate::rounded::rounded;
use backflow_train::comparison::Spread;
use backflow_train::study::{Axes, Configuration, Finding};

/// What the horizontal axis is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Axis {
    Depth,
    Width,
    WeightVariance,
}

impl Axis {
    /// `None` of a configuration that has no such.
    fn at(self, of: &Configuration) -> Option<f64> {
        match self {
            Self::Depth => of.axes().depth.map(|depth| depth as f64),
            Self::Width => of.axes().width.map(|width| width as f64),
            Self::WeightVariance => of.variances().map(|[weights, _]| weights),
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Depth => "depth",
            Self::Width => "width",
            Self::WeightVariance => "weight-variance",
        }
    }

    /// Of a line, `{depth}` and `{width}` may stand for anything.
    fn label(self, is_line: bool) -> &'static str {
        match self {
            Self::Depth if is_line => "depth",
            Self::Width if is_line => "width",
            Self::Depth => "depth: hidden layers",
            Self::Width => "width: units of a hidden layer",
            Self::WeightVariance => "σ_w²: variance of weights, times their inputs",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Depth => "depth",
            Self::Width => "width",
            Self::WeightVariance => "variance of weights",
        }
    }
}

/// What the vertical axis is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    Slope,
    Accuracy,
}

/// The mean slope, with its standard deviation over seeds.
pub(super) fn slope(finding: &Finding) -> Option<ChartPoint> {
    let flow = &finding.initial;
    let spread = Spread::of(flow.slope_by_seed.iter().copied().flatten());
    Some(with_spread(flow.unlimited().1?, spread))
}

fn with_spread(y: f64, spread: Option<Spread>) -> ChartPoint {
    let std = spread.and_then(|spread| spread.std).unwrap_or(0.0);
    ChartPoint { x: 0.0, y, low: y - std, high: y + std }
}

impl Figure {
    /// Mean and spread over seeds.
    fn measured(self, finding: &Finding) -> Option<ChartPoint> {
        match self {
            Self::Slope => slope(finding),
            Self::Accuracy => {
                let accuracy = finding.learned.as_ref()?.test_accuracy?;
                Some(with_spread(accuracy.mean, Some(accuracy)))
            }
        }
    }

    fn theory(self, finding: &Finding) -> Option<f64> {
        finding.theory_slope.filter(|_| self == Self::Slope)
    }
}

/// The figures: slopes first, then accuracies; with whether colours are those of the table.
pub(super) fn all(study: &Study<'_>) -> Vec<(Chart, bool)> {
    let mut charts = Vec::new();
    for figure in [Figure::Slope, Figure::Accuracy] {
        for axis in [Axis::Depth, Axis::Width, Axis::WeightVariance] {
            let groups = groups(study, axis);
            let start = charts.len();
            for group in &groups {
                charts.extend(chart(axis, figure, group, charts.len() - start).map(|it| (it, group.by_pair)));
            }
            number_parts(&mut charts[start..]);
            one_axis(&mut charts[start..], figure);
        }
    }
    charts
}

/// Says which part it is of charts that would have one title.
fn number_parts(charts: &mut [(Chart, bool)]) {
    let titles: Vec<String> = charts.iter().map(|(chart, _)| chart.title.clone()).collect();
    for (at, (chart, _)) in charts.iter_mut().enumerate() {
        let same = |titles: &[String]| titles.iter().filter(|title| **title == chart.title).count();
        let (before, all) = (same(&titles[..at]), same(&titles));
        if all > 1 {
            chart.title = format!("{}, part {} of {all}", titles[at], before + 1);
        }
    }
}

/// One vertical axis for all charts of one kind.
fn one_axis(charts: &mut [(Chart, bool)], figure: Figure) {
    let low = charts.iter().map(|(chart, _)| chart.y_range[0]).fold(f64::INFINITY, f64::min);
    let high = charts.iter().map(|(chart, _)| chart.y_range[1]).fold(f64::NEG_INFINITY, f64::max);
    let room = 0.06 * (high - low).max(0.02);
    let y_range = if figure == Figure::Slope { [low - room, high + room] } else { [0.0, 1.0] };
    charts.iter_mut().for_each(|(chart, _)| chart.y_range = y_range);
}

/// The configurations of each chart. A curve is of those that differ in nothing but the place on the axis.
fn groups<'a>(study: &Study<'a>, axis: Axis) -> Vec<Group<'a>> {
    let findings = || study.findings.iter().map(|finding| &finding.configuration);
    match axis {
        Axis::Depth | Axis::Width => {
            let rests = match axis {
                Axis::Depth => numbered(findings().map(|of| of.axes().width)),
                _ => numbered(findings().map(|of| of.axes().depth)),
            };
            let rest = |of: &Configuration| match axis {
                Axis::Depth => Axes { depth: None, ..of.axes() }.size().unwrap_or_default(),
                _ => Axes { width: None, ..of.axes() }.size().unwrap_or_default(),
            };
            let pair = |of: &Configuration| study.names.kind(of);
            study.groups(&study.pairs, &rests, [&pair, &rest], MOST, false)
        }
        // That weights are drawn in other ways makes no other network, but that biases are does.
        Axis::WeightVariance => {
            let pairs = numbered(findings().map(|of| {
                let biases = of.variances().map(|[_, biases]| biases);
                (of.line().map(|line| &line.template), of.axes().without_sizes(), biases)
            }));
            let rests = numbered(findings().map(|of| (of.axes().width, of.axes().depth)));
            let pair = |of: &Configuration| {
                let kind = study.names.without_weights(of);
                match of.variances() {
                    Some([_, biases]) if biases != 0.0 => {
                        format!("{kind}, σ_b {}", rounded(biases.sqrt(), 12))
                    }
                    _ => kind,
                }
            };
            let rest = |of: &Configuration| study.names.size(of);
            let mut groups = study.groups(&pairs, &rests, [&pair, &rest], MOST, false);
            // Their colours are not those of the table.
            groups.iter_mut().for_each(|group| group.by_pair = false);
            groups
        }
    }
}

/// `None` if no curve has two points.
fn chart(axis: Axis, figure: Figure, group: &Group<'_>, idx: usize) -> Option<Chart> {
    let mut curves: Vec<Curve> = Vec::new();
    let mut numbers: Vec<usize> = group.members.iter().map(|member| member.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        // Theory goes by the variance of weights that are drawn around 0, and of no others.
        let place = |member: &Member<'_>| axis.at(&member.finding.configuration);
        let is_drawn = |member: &&Member<'_>| {
            let finding = member.finding;
            let is_known = finding.theory.is_some() || finding.configuration.line().is_some();
            place(member).is_some() && (axis != Axis::WeightVariance || is_known)
        };
        let members = || group.members.iter().filter(|member| member.number == number).filter(is_drawn);
        let in_order = |mut points: Vec<ChartPoint>| {
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            points
        };
        let measured = members()
            .filter_map(|member| Some(ChartPoint { x: place(member)?, ..figure.measured(member.finding)? }));
        let measured = in_order(measured.collect());
        // One network makes no line, nor do two at one place; two variances are two rules, and no axis.
        let least = if axis == Axis::WeightVariance { 3 } else { 2 };
        let places = numbered(members().filter_map(|member| place(member).map(f64::to_bits)));
        if measured.is_empty()
            || places.iter().all(|&at| at + 1 < least)
            || measured.windows(2).any(|pair| pair[0].x == pair[1].x)
        {
            continue;
        }
        let theory = members()
            .filter_map(|member| Some(ChartPoint::new(place(member)?, figure.theory(member.finding)?)));
        let theory = in_order(theory.collect());
        let curve = |name, points, stroke| Curve { number, name, points, broken: false, stroke };
        if !theory.is_empty() {
            let is_first = !curves.iter().any(|curve: &Curve| curve.stroke == Stroke::Theory);
            let name = if is_first { "theory".to_owned() } else { String::new() };
            curves.push(curve(name, theory, Stroke::Theory));
        }
        let name = members().next().map_or_else(String::new, |member| member.name.clone());
        curves.push(curve(name, measured, Stroke::Marked));
    }
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let xs = || points().map(|point| point.x);
    let (first, last) = (xs().reduce(f64::min)?, xs().reduce(f64::max)?);
    let ends = || points().flat_map(|point| [point.low, point.high]);
    let is_line = group.members.iter().any(|member| member.finding.configuration.line().is_some());
    let chance = group.members.iter().find_map(|member| Some(member.finding.learned.as_ref()?.chance));
    let (id, title, y_label) = match figure {
        Figure::Slope => ("slope", "Slope of deltas", "decades per layer or block, on the way back"),
        Figure::Accuracy => ("accuracy", "Test accuracy", "test accuracy after the training"),
    };
    let of = if group.title.is_empty() { String::new() } else { format!(", {}", group.title) };
    Some(
        Chart {
            id: format!("{id}-{}-{}", axis.id(), idx + 1),
            title: format!("{title} against {}{of}", axis.title()),
            description: match points().any(|point| point.low < point.high) {
                true => "means over seeds, with their standard deviation",
                false => "",
            }
            .to_owned(),
            scale: Scale::Linear,
            x_label: axis.label(is_line).to_owned(),
            x_range: [first, last],
            x_ticks: match axis {
                Axis::WeightVariance => round_ticks(first, last),
                _ => whole_ticks(first, last),
            },
            y_label: y_label.to_owned(),
            y_range: [ends().fold(0.0, f64::min), ends().fold(0.0, f64::max)],
            spread: SpreadStyle::Bars,
            level: match figure {
                Figure::Slope => Some((0.0, String::new())),
                Figure::Accuracy => chance.map(|chance| (chance, "chance".to_owned())),
            },
            frame: Frame { width: 560.0, height: 320.0, ..Frame::default() },
            curves,
            ..Chart::default()
        }
        .with_legend(),
    )
}
