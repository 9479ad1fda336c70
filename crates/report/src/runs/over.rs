//! Curves over the runs: whatever is one number per step, and what epochs came to; a curve for each run.

use super::together::Together;
use crate::chart::{Chart, ChartPoint, Curve, Frame, Scale, Stroke};
use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{Drawn, FlowStep, Read};
use std::fmt::Write;

/// A chart and the numbers that it shows.
pub(super) struct Over {
    pub(super) chart: Chart,
    pub(super) csv: String,
}

/// What is drawn in one chart.
struct Subject<'a> {
    id: String,
    title: &'a str,
    y_label: &'a str,
    scale: Scale,
}

/// The charts for which there are figures: loss, slope, what the table of quantities draws over a run, and
/// the figures of epochs.
pub(super) fn all(together: &Together<'_>) -> Vec<Over> {
    let subject = |id: &str, title, y_label, scale| Subject { id: id.to_owned(), title, y_label, scale };
    let mut charts = vec![
        losses(together),
        over_steps(
            together,
            subject("slope", "slope of deltas", "decades per layer or block", Scale::Linear),
            &|flow| flow.slope(),
        ),
    ];
    for &quantity in QUANTITIES.iter().filter(|quantity| matches!(quantity.read, Read::Step(_))) {
        let Drawn::Curve { chart, .. } = quantity.drawn else { continue };
        let subject =
            subject(&quantity.name.replace('_', "-"), quantity.title, chart.y_label, chart.axis.into());
        charts.push(over_steps(together, subject, &|flow| quantity.of_step(flow)));
    }
    charts.extend(epochs(together));
    charts.into_iter().flatten().collect()
}

fn named(together: &Together<'_>, number: usize, points: Vec<ChartPoint>) -> Curve {
    let name = together.runs[number].name.clone();
    Curve { number, name, points, broken: false, stroke: Stroke::Marked }
}

fn over_steps(
    together: &Together<'_>,
    subject: Subject<'_>,
    of: &dyn Fn(&FlowStep) -> Option<f64>,
) -> Option<Over> {
    let curve = |number: usize| named(together, number, together.points(number, of));
    chart(together, subject, (0..together.runs.len()).map(curve).collect())
}

/// Until they are no finite numbers, where a cross stands.
fn losses(together: &Together<'_>) -> Option<Over> {
    let curve = |number: usize| {
        let mut points = together.points(number, &|flow| Some(flow.loss));
        let broken = together.runs[number].steps.iter().find(|flow| !flow.loss.is_finite());
        if let Some(flow) = broken {
            let end = together.x(flow.step);
            points.retain(|point| point.x < end && point.y.is_finite());
        }
        Curve { broken: broken.is_some(), stroke: Stroke::Line, ..named(together, number, points) }
    };
    let curves: Vec<Curve> = (0..together.runs.len()).map(curve).collect();
    // A loss can be below 0, and has no logarithm then.
    let is_positive =
        curves.iter().flat_map(|curve| &curve.points).all(|point| point.y.is_nan() || point.y > 0.0);
    let scale = if is_positive { Scale::Log } else { Scale::Linear };
    let subject = Subject { id: "loss".to_owned(), title: "loss", y_label: "loss", scale };
    chart(together, subject, curves)
}

/// A chart for each figure of epochs, at the steps at which these ended.
fn epochs(together: &Together<'_>) -> Vec<Option<Over>> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in together.runs.iter().flat_map(|run| &run.epochs).flat_map(|(_, figures)| figures) {
        if !names.contains(&&**name) {
            names.push(name);
        }
    }
    let of = |(idx, wanted): (usize, &&str)| {
        let figures = |number: usize| {
            let of_epoch = |(step, figures): &(u64, Vec<(String, f64)>)| {
                Some((*step, figures.iter().find(|(name, _)| name == wanted)?.1))
            };
            together.runs[number].epochs.iter().filter_map(of_epoch).collect::<Vec<_>>()
        };
        let curve = |number: usize| {
            let points = figures(number).into_iter().map(|(step, y)| ChartPoint::new(together.x(step), y));
            named(together, number, points.collect())
        };
        let title = wanted.replace('_', " ");
        let scale = if wanted.ends_with("loss") { Scale::Log } else { Scale::Linear };
        // The name is a program's own, and need not be one for a file.
        let subject = Subject { id: format!("epoch-{}", idx + 1), title: &title, y_label: &title, scale };
        let mut over = chart(together, subject, (0..together.runs.len()).map(curve).collect())?;
        over.csv = format!("curve,step,{}\n", crate::page::field(&title));
        for (number, run) in together.runs.iter().enumerate() {
            for (step, y) in figures(number) {
                let _ = writeln!(over.csv, "{},{step},{y}", crate::page::field(&run.name));
            }
        }
        Some(over)
    };
    names.iter().enumerate().map(of).collect()
}

/// `None` if no run has a figure.
fn chart(together: &Together<'_>, subject: Subject<'_>, mut curves: Vec<Curve>) -> Option<Over> {
    let Subject { id, title, y_label, scale } = subject;
    curves.retain(|curve| curve.points.iter().any(|point| point.y.is_finite()));
    let ends = || curves.iter().flat_map(|curve| &curve.points).flat_map(|point| [point.low, point.high]);
    let mut letters = title.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let chart = Chart {
        id,
        title: first.chain(letters).collect(),
        description: if scale == Scale::Log { "logarithmic" } else { "" }.to_owned(),
        scale,
        x_label: "step".to_owned(),
        x_range: [0.0, together.axis.end],
        x_ticks: together.ticks(),
        gaps: together.axis.gaps.clone(),
        y_label: y_label.to_owned(),
        y_range: scale.range(ends(), 0.5)?,
        frame: Frame { height: 212.0, ..Frame::default() },
        curves,
        ..Chart::default()
    }
    .with_legend();
    let csv = chart.csv(|x| together.steps[together.axis.column(x)].to_string());
    Some(Over { chart, csv })
}
