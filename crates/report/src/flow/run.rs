//! Curves over the run: the loss below the heat map and in line with it, and whatever else is one number, or a few, per step.
//!
//! All have the axis of the heat map, so that steps spaced by their logarithm stay so. What was measured at some steps only has a dot
//! for each.

use super::figures::Figures;
use super::heat_map;
use super::steps::{self, Columns};
use crate::chart::{Chart, ChartPoint, Curve, Frame, Scale};
use backflow_probe::FlowStep;

/// Numbers whose sums and small multiples are still finite.
pub(super) const LARGEST: f64 = 1e300;

/// A number with the ends of what it may be instead.
type Measured = [f64; 3];

/// A curve: its name and what it shows.
struct Line {
    name: &'static str,
    number: usize,
    /// Whether it is a limit to compare with: it is dashed.
    limit: bool,
    of: fn(&FlowStep) -> Option<Measured>,
}

const fn line(name: &'static str, number: usize, of: fn(&FlowStep) -> Option<Measured>) -> Line {
    Line { name, number, limit: false, of }
}

const fn limit(name: &'static str, number: usize, of: fn(&FlowStep) -> Option<Measured>) -> Line {
    Line { name, number, limit: true, of }
}

/// A chart: its name, title and description.
struct Subject {
    id: &'static str,
    title: &'static str,
    description: &'static str,
    scale: Scale,
    lines: &'static [Line],
}

/// What its description says where the limit of [`SHARPNESS`] is too far above to be drawn.
const LIMIT_ABOVE: &str =
    "ends of the Hessian's spectrum; 2/lr, the limit of plain gradient descent, is far above";

const SHARPNESS: &str = "sharpness";

const SUBJECTS: [Subject; 6] = [
    Subject {
        id: "gradient-norms",
        title: "Gradient norms",
        description: "of the batch, and of its samples",
        scale: Scale::Log,
        lines: &[
            line("batch", 0, |flow| {
                // Without an update there is none; that is what its NaN says.
                (!flow.learning_rate.is_nan()).then_some([flow.gradient_norm; 3])
            }),
            line("samples, mean", 1, |flow| flow.samples.map(|samples| [samples.norms.mean; 3])),
            line("samples, largest", 3, |flow| flow.samples.map(|samples| [samples.norms.max; 3])),
        ],
    },
    Subject {
        id: "noise-scale",
        title: "Gradient noise scale",
        description: "batch size at which noise and signal are alike; gaps: no signal",
        scale: Scale::Log,
        lines: &[
            line("noise scale", 0, |flow| flow.samples.map(|samples| [samples.noise.noise_scale; 3])),
            limit("batch size", 1, |flow| flow.samples.map(|samples| [samples.samples as f64; 3])),
        ],
    },
    Subject {
        id: "signal",
        title: "Signal and noise",
        description: "signal-to-noise ratio of a weight (median); relative error of the batch's gradient",
        scale: Scale::Log,
        lines: &[
            line("signal-to-noise", 0, |flow| {
                flow.samples.map(|samples| samples.signal_to_noise).filter(|x| !x.is_nan()).map(|x| [x; 3])
            }),
            line("error of the batch", 1, |flow| {
                flow.samples.map(|samples| [samples.noise.relative_error; 3])
            }),
        ],
    },
    Subject {
        id: SHARPNESS,
        title: "Sharpness",
        description: "ends of the Hessian's spectrum; dashed: 2/lr, the limit of plain gradient descent",
        scale: Scale::Linear,
        lines: &[
            line("largest eigenvalue", 0, |flow| {
                flow.curvature.map(|found| around(found.sharpness, found.bound))
            }),
            line("smallest", 1, |flow| flow.curvature.map(|found| around(found.smallest, found.bound))),
            limit("2/lr", 3, |flow| flow.curvature.map(|_| [2.0 / flow.learning_rate; 3])),
        ],
    },
    Subject {
        id: "trace",
        title: "Trace of the Hessian",
        description: "estimated; shaded: its standard deviation",
        scale: Scale::Linear,
        lines: &[line("trace", 0, |flow| flow.curvature.map(|found| around(found.trace, found.trace_error)))],
    },
    Subject {
        id: "learning-rate",
        title: "Learning rate",
        description: "of each update",
        scale: Scale::Linear,
        lines: &[line("learning rate", 0, |flow| {
            (!flow.learning_rate.is_nan()).then_some([flow.learning_rate; 3])
        })],
    },
];

fn around(middle: f64, error: f64) -> Measured {
    [middle, middle - error, middle + error]
}

/// The charts for which there are figures.
pub(super) fn all(figures: &Figures<'_>) -> Vec<Chart> {
    if figures.columns.len() < 2 {
        return Vec::new();
    }
    SUBJECTS.iter().filter_map(|subject| subject.chart(figures)).collect()
}

impl Subject {
    fn chart(&self, figures: &Figures<'_>) -> Option<Chart> {
        let curves = self.lines.iter().map(|line| line.curve(figures)).collect::<Vec<_>>();
        let mut curves: Vec<Curve> = curves.into_iter().filter(|curve| !curve.points.is_empty()).collect();
        // A limit alone limits nothing.
        if curves.iter().all(|curve| curve.theory) {
            return None;
        }
        let mut y_range = self.range(&curves);
        let mut description = self.description;
        if self.id == SHARPNESS {
            let ends = || curves.iter().filter(|curve| curve.theory).flat_map(|curve| &curve.points);
            let lowest = ends().map(|point| point.y).fold(f64::INFINITY, f64::min);
            if lowest > 3.0 * y_range[1] {
                curves.retain(|curve| !curve.theory);
                description = LIMIT_ABOVE;
            } else {
                y_range[1] = y_range[1].max(1.1 * lowest);
            }
        }
        Some(Chart {
            id: self.id.to_owned(),
            title: self.title.to_owned(),
            description: description.to_owned(),
            scale: self.scale,
            x_label: "step".to_owned(),
            x_range: [0.0, figures.columns.len() as f64],
            x_ticks: steps::ticks(figures),
            y_range,
            frame: Frame { height: 230.0, top: 26.0, ..Frame::default() },
            legend: self.lines.len() > 1,
            curves,
        })
    }

    /// From the least to the greatest, without the limits on a linear axis.
    fn range(&self, curves: &[Curve]) -> [f64; 2] {
        let log = self.scale == Scale::Log;
        let points = curves.iter().filter(|curve| log || !curve.theory).flat_map(|curve| &curve.points);
        let ends = points.flat_map(|point| [point.y, point.low, point.high]);
        let values: Vec<f64> = ends.filter(|x| x.is_finite() && (!log || *x > 0.0)).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min).max(-LARGEST);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max).min(LARGEST);
        match self.scale {
            _ if low > high => [0.1, 1.0],
            // At least half a decade, or noise would look like a trend.
            Scale::Log => {
                let margin = ((high / low).powf(-0.5) * 10_f64.powf(0.25)).max(1.15);
                [low / margin, high * margin]
            }
            _ => {
                let (low, high) = (low.min(0.0), high.max(0.0));
                let margin = 0.06 * (high - low).max(1e-30);
                [if low < 0.0 { low - margin } else { 0.0 }, high + margin]
            }
        }
    }
}

impl Line {
    /// A point per column that has a measurement, the first of those from this column to the next, with the range of all of them.
    fn curve(&self, figures: &Figures<'_>) -> Curve {
        let points = (0..figures.columns.len()).filter_map(|column| {
            let mut found = figures.steps[figures.span(column)].iter().filter_map(self.of).peekable();
            let [y, ..] = *found.peek()?;
            let [low, high] =
                found.fold([y; 2], |[least, most], [_, low, high]| [least.min(low), most.max(high)]);
            Some(ChartPoint { x: column as f64 + 0.5, y, low, high })
        });
        let points: Vec<ChartPoint> = points.collect();
        Curve {
            number: self.number,
            name: self.name.to_owned(),
            dots: !self.limit && points.len() <= 60,
            points,
            broken: false,
            theory: self.limit,
        }
    }
}

/// The chart with the mark of the shown step.
pub(super) fn marked(figures: &Figures<'_>, chart: &Chart) -> String {
    let Frame { width, height, left, right, top, bottom } = chart.frame;
    let columns = Columns::between(figures, left, width - right);
    let mark = columns.mark(figures, top, height - bottom);
    chart.svg().replace("</svg>\n", &format!("{mark}</svg>\n"))
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
        x: idx as f64 + 0.5,
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
    let curve = Curve { number: 0, name: "loss".to_owned(), points, broken, theory: false, dots: false };
    Chart {
        id: "loss".to_owned(),
        title: "Loss".to_owned(),
        description: description.to_owned() + if broken { ", until it is no finite number" } else { "" },
        scale,
        x_label: "step".to_owned(),
        x_range: [0.0, figures.columns.len() as f64],
        x_ticks: steps::ticks(figures),
        y_range,
        frame: Frame {
            width: heat_map::WIDTH,
            height: 180.0,
            left: heat_map::columns(figures).left,
            right: heat_map::RIGHT,
            ..Frame::default()
        },
        legend: false,
        curves: vec![curve],
    }
}
