//! Curves over the run: the loss below the heat map and in line with it, and whatever else is one number, or
//! a few, per step.
//!
//! All have the axis of the heat map, so that steps spaced by their logarithm stay so. What was measured at
//! some steps only has a dot for each.

use super::figures::Figures;
use super::map;
use crate::chart::{Chart, ChartPoint, Curve, Frame, LARGEST, Scale, Stroke};
use crate::heat_map;
use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{self as probe, Drawn, FlowStep, Quantity, Read, Section};

/// A number with the ends of what it may be instead.
type Interval = [f64; 3];

/// A curve.
struct Line {
    quantity: &'static Quantity,
    name: &'static str,
    number: usize,
    /// Whether it is a limit to compare with, and theory's, which is dashed.
    limit: Option<bool>,
}

/// A chart with the quantities that are drawn in it.
struct Subject {
    chart: &'static probe::Chart,
    lines: Vec<Line>,
}

/// The subjects in the order in which the table names their charts first.
fn subjects() -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::new();
    for &quantity in QUANTITIES.iter().filter(|quantity| matches!(quantity.read, Read::Step(_))) {
        let (chart, name, number, limit) = match quantity.drawn {
            Drawn::Curve { chart, name, colour, .. } => (chart, name, colour, None),
            Drawn::Limit { chart, name, colour, is_theory } => (chart, name, colour, Some(is_theory)),
            _ => continue,
        };
        debug_assert_eq!(chart.section, Section::Run, "{}", chart.id);
        let line = Line { quantity, name, number, limit };
        match subjects.iter_mut().find(|subject| subject.chart.id == chart.id) {
            Some(subject) => subject.lines.push(line),
            None => subjects.push(Subject { chart, lines: vec![line] }),
        }
    }
    subjects
}

/// The charts for which there are figures.
pub(super) fn all(figures: &Figures<'_>) -> Vec<Chart> {
    if figures.columns.len() < 2 {
        return Vec::new();
    }
    subjects().iter().filter_map(|subject| subject.chart(figures)).collect()
}

impl Subject {
    fn chart(&self, figures: &Figures<'_>) -> Option<Chart> {
        let curves = self.lines.iter().map(|line| (line.curve(figures), line.limit.is_some()));
        let mut curves: Vec<(Curve, bool)> = curves.filter(|(curve, _)| !curve.points.is_empty()).collect();
        // A limit alone limits nothing.
        if curves.iter().all(|&(_, is_limit)| is_limit) {
            return None;
        }
        let mut y_range = self.range(&curves);
        let mut description = self.chart.description;
        if let Some(limit_above) = self.chart.limit_above {
            let ends =
                || curves.iter().filter(|(_, is_limit)| *is_limit).flat_map(|(curve, _)| &curve.points);
            let lowest = ends().map(|point| point.y).fold(f64::INFINITY, f64::min);
            if lowest > 3.0 * y_range[1] {
                curves.retain(|&(_, is_limit)| !is_limit);
                description = limit_above;
            } else {
                y_range[1] = y_range[1].max(1.1 * lowest);
            }
        }
        let chart = Chart {
            id: self.chart.id.to_owned(),
            title: self.chart.title.to_owned(),
            description: description.to_owned(),
            scale: Scale::from(self.chart.axis),
            x_label: "step".to_owned(),
            x_range: [0.0, figures.axis.end],
            x_ticks: figures.ticks(),
            gaps: figures.axis.gaps.clone(),
            y_label: self.chart.y_label.to_owned(),
            y_range,
            frame: Frame { height: 212.0, ..Frame::default() },
            curves: curves.into_iter().map(|(curve, _)| curve).collect(),
            ..Chart::default()
        };
        // One curve is what the title says.
        Some(if self.lines.len() > 1 { chart.with_legend() } else { chart })
    }

    /// From the least to the greatest, without the limits on a linear axis.
    fn range(&self, curves: &[(Curve, bool)]) -> [f64; 2] {
        let scale = Scale::from(self.chart.axis);
        let counts = curves.iter().filter(|(_, is_limit)| scale == Scale::Log || !is_limit);
        let points = counts.flat_map(|(curve, _)| &curve.points);
        let ends = points.flat_map(|point| [point.y, point.low, point.high]);
        scale.range(ends, 0.5).unwrap_or([0.1, 1.0])
    }
}

impl Line {
    /// What a step has of it, with what it may be instead.
    fn measured(&self, flow: &FlowStep) -> Option<Interval> {
        let middle = self.quantity.of_step(flow)?;
        let error = self.quantity.within().and_then(|error| error.of_step(flow));
        Some(error.map_or([middle; 3], |error| [middle, middle - error, middle + error]))
    }

    /// A point per column that has a measurement, the first of those from this column to the next, with the
    /// range of all of them.
    fn curve(&self, figures: &Figures<'_>) -> Curve {
        let points = (0..figures.columns.len()).filter_map(|column| {
            let mut found =
                figures.steps[figures.span(column)].iter().filter_map(|flow| self.measured(flow)).peekable();
            let [y, ..] = *found.peek()?;
            let [low, high] =
                found.fold([y; 2], |[least, most], [_, low, high]| [least.min(low), most.max(high)]);
            Some(ChartPoint { x: figures.axis.places[column] + 0.5, y, low, high })
        });
        let points: Vec<ChartPoint> = points.collect();
        Curve {
            number: self.number,
            name: self.name.to_owned(),
            points,
            broken: false,
            stroke: match self.limit {
                None => Stroke::Marked,
                Some(false) => Stroke::Line,
                Some(true) => Stroke::Theory,
            },
        }
    }
}

/// The loss, below the map and in line with it.
pub(super) fn loss(figures: &Figures<'_>) -> Chart {
    let spread = |column: usize| {
        let losses = figures.steps[figures.span(column)].iter().map(|flow| flow.loss);
        let finite = losses.filter(|loss| loss.is_finite());
        finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| [low.min(x), high.max(x)])
    };
    let spreads: Vec<[f64; 2]> = (0..figures.columns.len()).map(spread).collect();
    let ends = || spreads.iter().filter(|[low, high]| low <= high);
    let low = ends().map(|end| end[0]).fold(f64::INFINITY, f64::min);
    let high = ends().map(|end| end[1]).fold(f64::NEG_INFINITY, f64::max);
    let (scale, description) = if low > 0.0 { (Scale::Log, "logarithmic") } else { (Scale::Linear, "") };
    let y_range = match scale {
        _ if low > high => [0.1, 1.0],
        // Where the ends are so large that their distance is not, what lies beyond is cut off.
        _ if high - low > LARGEST => [-LARGEST, LARGEST],
        Scale::Log => [low / 1.05, high.min(LARGEST) * 1.05],
        _ => [low - 0.05 * (high - low).max(1e-9), high + 0.05 * (high - low).max(1e-9)],
    };
    let point = |(idx, (flow, &[low, high])): (usize, (&&FlowStep, &[f64; 2]))| ChartPoint {
        x: figures.axis.places[idx] + 0.5,
        y: flow.loss,
        low,
        high,
    };
    let points: Vec<_> = figures.columns.iter().zip(&spreads).enumerate().map(point).collect();
    let finite = points.iter().filter(|point| point.y.is_finite()).count();
    let points: Vec<_> = if finite < points.len() {
        // The cross stands at the last number.
        let end = points.iter().position(|point| !point.y.is_finite()).unwrap_or(0);
        points[..end].to_vec()
    } else {
        points
    };
    let broken = finite < figures.columns.len();
    let curve = Curve { number: 0, name: "loss".to_owned(), points, broken, stroke: Stroke::Line };
    Chart {
        id: "loss".to_owned(),
        title: "Loss".to_owned(),
        description: description.to_owned() + if broken { ", until it is not a finite number" } else { "" },
        scale,
        x_label: "step".to_owned(),
        x_range: [0.0, figures.axis.end],
        x_ticks: figures.ticks(),
        gaps: figures.axis.gaps.clone(),
        y_label: "loss".to_owned(),
        y_range,
        frame: Frame {
            width: heat_map::WIDTH,
            height: 180.0,
            left: map::of(figures).columns().left,
            right: heat_map::RIGHT,
            ..Frame::default()
        },
        curves: vec![curve],
        ..Chart::default()
    }
}
