//! Deltas over layers: at initialisation, beside theory, and after the training; and how the loss fell. A
//! figure for each [`Group`] of configurations.

use super::groups::{Group, Member, Study, numbered};
use crate::chart::{Chart, ChartPoint, Curve, Frame, Scale, Stroke, whole_ticks};
use backflow_train::study::{Configuration, Finding, Flow, LossPoint};

/// The most curves of a figure: theory has as many again.
const MOST: usize = 6;

/// What the figures of this module show; a list for each.
pub(super) struct Layers {
    /// RMS δ at initialisation.
    pub(super) initial: Vec<Chart>,
    /// RMS δ after the training.
    pub(super) trained: Vec<Chart>,
    /// Training loss.
    pub(super) losses: Vec<Chart>,
    /// Whether colours are those of the table.
    pub(super) by_pair: bool,
}

impl Layers {
    pub(super) fn of(study: &Study<'_>) -> Self {
        let sizes = numbered(study.findings.iter().map(|of| {
            let axes = of.configuration.axes();
            (axes.depth, axes.width)
        }));
        let one_size = sizes.iter().all(|&size| size == 0);
        let size = |of: &Configuration| match one_size {
            true => of.axes().size().unwrap_or_default(),
            false => study.names.size(of),
        };
        let pair = |of: &Configuration| study.names.kind(of);
        let groups = study.groups(&study.pairs, &sizes, [&pair, &size], MOST, true);
        let alone = groups.len() == 1;
        let deltas = |trained: bool| -> Vec<Chart> {
            let charts = groups.iter().enumerate();
            let charts: Vec<Chart> =
                charts.filter_map(|(idx, group)| deltas(idx, group, trained, alone)).collect();
            same_heights(charts, !groups[0].by_pair)
        };
        let losses = groups.iter().enumerate().filter_map(|(idx, group)| losses(idx, group, alone)).collect();
        Self {
            initial: deltas(false),
            trained: deltas(true),
            losses: same_heights(losses, true),
            by_pair: groups[0].by_pair,
        }
    }
}

/// Figures side by side with one vertical axis, so that they can be compared, and legends of one height.
fn same_heights(mut charts: Vec<Chart>, one_axis: bool) -> Vec<Chart> {
    if one_axis {
        let low = charts.iter().map(|chart| chart.y_range[0]).fold(f64::INFINITY, f64::min);
        let high = charts.iter().map(|chart| chart.y_range[1]).fold(f64::NEG_INFINITY, f64::max);
        charts.iter_mut().for_each(|chart| chart.y_range = [low, high]);
    }
    charts.into_iter().map(Chart::with_legend).collect()
}

fn frame(group: &Group<'_>, alone: bool) -> Frame {
    let (width, height) = match (alone, group.by_pair) {
        (true, _) => (960.0, 340.0),
        (false, true) => (640.0, 340.0),
        (false, false) => (400.0, 270.0),
    };
    Frame { width, height, ..Frame::default() }
}

/// The range of what is drawn on a logarithmic axis.
fn range<'a>(curves: impl Iterator<Item = &'a Curve>) -> [f64; 2] {
    let ys = curves.flat_map(|curve| &curve.points).map(|point| point.y);
    Scale::Log.range(ys, 0.0).unwrap_or([0.1, 1.0])
}

fn description(trained: bool, group: &Group<'_>) -> String {
    let how = if trained { "logarithmic" } else { "logarithmic; dots: measured, dashes: theory" };
    match group.left_out {
        0 => how.to_owned(),
        left_out => format!("{how}; {} of {} are drawn", group.members.len(), group.members.len() + left_out),
    }
}

fn titled(what: &str, group: &Group<'_>) -> String {
    if group.title.is_empty() { what.to_owned() } else { format!("{what}, {}", group.title) }
}

/// Over layers.
fn points(figures: impl Iterator<Item = f64>) -> Vec<ChartPoint> {
    (1..).zip(figures).map(|(layer, y)| ChartPoint::new(f64::from(layer), y)).collect()
}

/// How many layers of a flow are drawn: of a line, whose layers differ in size, those that are judged.
fn drawn(finding: &Finding, flow: &Flow) -> usize {
    match finding.configuration.line() {
        Some(_) => flow.judged,
        None => flow.layers.len(),
    }
}

/// `None` if there is nothing to draw.
fn deltas(idx: usize, group: &Group<'_>, trained: bool, alone: bool) -> Option<Chart> {
    let flow = |finding: &Finding| -> Option<Vec<f64>> {
        let flow = if trained { finding.learned.as_ref()?.flow.as_ref()? } else { &finding.initial };
        Some(flow.delta_rms[..drawn(finding, flow)].to_vec())
    };
    let mut curves: Vec<Curve> = Vec::new();
    for &Member { finding, number, ref name } in &group.members {
        let Some(measured) = flow(finding) else { continue };
        let theory = finding.theory_delta_rms.iter().take(drawn(finding, &finding.initial));
        let theory = points(theory.map(|delta| delta.unwrap_or(f64::NAN)));
        let curve = |name, points, stroke| Curve { number, name, points, broken: false, stroke };
        // Theory is about networks that were not trained.
        if !trained && theory.iter().any(|point| point.y.is_finite()) {
            // One name for all: they are dashed, and have the colours of what they predict.
            let is_first = !curves.iter().any(|curve: &Curve| curve.stroke == Stroke::Theory);
            let name = if is_first { "theory".to_owned() } else { String::new() };
            curves.push(curve(name, theory, Stroke::Theory));
        }
        curves.push(curve(name.clone(), points(measured.into_iter()), Stroke::Marked));
    }
    if curves.is_empty() {
        return None;
    }
    let last = curves.iter().map(|curve| curve.points.len()).max().filter(|last| *last > 1)? as f64;
    let is_line = group.members.iter().any(|member| member.finding.configuration.line().is_some());
    let (id, title) = match trained {
        false => ("delta", "RMS delta at initialisation"),
        true => ("delta-trained", "RMS delta after the training"),
    };
    Some(Chart {
        id: format!("{id}-{}", idx + 1),
        title: titled(title, group),
        description: description(trained, group),
        scale: Scale::Log,
        x_label: if is_line { "judged layer, input first" } else { "layer, input first, outputs last" }
            .to_owned(),
        x_range: [1.0, last],
        x_ticks: whole_ticks(1.0, last),
        y_label: "RMS of delta".to_owned(),
        y_range: range(curves.iter()),
        frame: frame(group, alone),
        curves,
        ..Chart::default()
    })
}

/// The training loss, with its spread over seeds; `None` without a training.
fn losses(idx: usize, group: &Group<'_>, alone: bool) -> Option<Chart> {
    let curve = |&Member { finding, number, ref name }: &Member<'_>| {
        let learned = finding.learned.as_ref()?;
        let point = |&LossPoint { step, loss }: &LossPoint| {
            let std = loss.std.unwrap_or(0.0);
            ChartPoint {
                x: step as f64,
                y: loss.mean,
                low: (loss.mean - std).max(0.0),
                high: loss.mean + std,
            }
        };
        let points: Vec<ChartPoint> = learned.curve.iter().map(point).collect();
        let broken = learned.diverged > 0;
        (!points.is_empty()).then(|| Curve {
            number,
            name: name.clone(),
            points,
            broken,
            stroke: Stroke::Marked,
        })
    };
    let curves: Vec<Curve> = group.members.iter().filter_map(curve).collect();
    let last = curves.iter().flat_map(|curve| &curve.points).map(|point| point.x).reduce(f64::max)?;
    Some(Chart {
        id: format!("loss-{}", idx + 1),
        title: titled("Training loss", group),
        description:
            "logarithmic; means of the batches between two dots, and over seeds with their standard \
                      deviation"
                .to_owned(),
        scale: Scale::Log,
        x_label: "training steps".to_owned(),
        x_range: [0.0, last],
        x_ticks: whole_ticks(0.0, last),
        y_label: "training loss".to_owned(),
        y_range: range(curves.iter()),
        frame: frame(group, alone),
        curves,
        ..Chart::default()
    })
}
