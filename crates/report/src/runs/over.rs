//! Curves over the runs: whatever is one number per step, and what epochs came to; a curve for each run.

use super::together::Together;
use crate::chart::{Chart, ChartPoint, Curve, Frame, Scale, Stroke};
use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{Axis, Drawn, FlowStep, GradFlow, Read};

/// The charts for which there are figures: loss, slope, what the table of quantities draws over a run, and
/// the figures of epochs.
pub(super) fn all(together: &Together<'_>) -> Vec<Chart> {
    let loss = steps(together, &|flow| Some(flow.loss));
    let slope = steps(together, &|flow| Some(GradFlow::of(std::slice::from_ref(flow)).slope()?.0));
    let mut charts = vec![
        chart(together, "loss", "Loss", "loss", Scale::Log, loss),
        chart(together, "slope", "Slope of deltas", "decades per layer", Scale::Linear, slope),
    ];
    for &quantity in QUANTITIES.iter().filter(|quantity| matches!(quantity.read, Read::Step(_))) {
        let Drawn::Curve { chart: of, .. } = quantity.drawn else { continue };
        let scale = match of.axis {
            Axis::Log | Axis::LogWithFloor => Scale::Log,
            Axis::Linear | Axis::Share | Axis::Cosine => Scale::Linear,
        };
        let curves = steps(together, &|flow| quantity.of_step(flow));
        charts.push(chart(
            together,
            &quantity.name.replace('_', "-"),
            &capital(quantity.title),
            of.y_label,
            scale,
            curves,
        ));
    }
    charts.extend(epochs(together));
    charts.into_iter().flatten().collect()
}

/// A point per column, the last of what the run measured since the column before.
fn steps(together: &Together<'_>, of: &dyn Fn(&FlowStep) -> Option<f64>) -> Vec<Curve> {
    let curve = |number: usize| {
        let point = |column: usize| {
            let y = together.since(number, column).iter().rev().find_map(of)?;
            Some(ChartPoint::new(together.axis.places[column] + 0.5, y))
        };
        (0..together.steps.len()).filter_map(point).collect()
    };
    (0..together.runs.len()).map(|number| named(together, number, curve(number))).collect()
}

fn named(together: &Together<'_>, number: usize, points: Vec<ChartPoint>) -> Curve {
    let name = together.runs[number].name.clone();
    Curve { number, name, points, broken: false, stroke: Stroke::Marked }
}

/// A chart for each figure of epochs.
fn epochs(together: &Together<'_>) -> Vec<Option<Chart>> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in together.runs.iter().flat_map(|run| &run.epochs).flat_map(|(_, figures)| figures) {
        if !names.contains(&&**name) {
            names.push(name);
        }
    }
    let of = |wanted: &&str| {
        let curve = |number: usize| {
            let point = |(step, figures): &(u64, Vec<(String, f64)>)| {
                let (_, y) = figures.iter().find(|(name, _)| name == wanted)?;
                let column = together.steps.partition_point(|other| other < step);
                let column = column.min(together.steps.len() - 1);
                Some(ChartPoint::new(together.axis.places[column] + 0.5, *y))
            };
            together.runs[number].epochs.iter().filter_map(point).collect()
        };
        let curves = (0..together.runs.len()).map(|number| named(together, number, curve(number))).collect();
        let scale = if wanted.ends_with("loss") { Scale::Log } else { Scale::Linear };
        let title = wanted.replace('_', " ");
        chart(
            together,
            &format!("epoch-{}", wanted.replace('_', "-")),
            &capital(&title),
            &title,
            scale,
            curves,
        )
    };
    names.iter().map(of).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// `None` if no run has a figure.
fn chart(
    together: &Together<'_>,
    id: &str,
    title: &str,
    y_label: &str,
    scale: Scale,
    mut curves: Vec<Curve>,
) -> Option<Chart> {
    curves.retain(|curve| curve.points.iter().any(|point| point.y.is_finite()));
    let ys = || curves.iter().flat_map(|curve| &curve.points).map(|point| point.y).filter(|y| y.is_finite());
    // A loss below 0 has no logarithm.
    let scale = if ys().any(|y| y <= 0.0) { Scale::Linear } else { scale };
    let (low, high) = (ys().reduce(f64::min)?, ys().reduce(f64::max)?);
    let y_range = match scale {
        Scale::Log => {
            let margin = ((high / low).powf(-0.5) * 10_f64.powf(0.25)).max(1.15);
            [low / margin, high * margin]
        }
        _ => {
            let margin = 0.06 * (high - low).max(1e-30);
            [low.min(0.0) - if low < 0.0 { margin } else { 0.0 }, high.max(0.0) + margin]
        }
    };
    Some(
        Chart {
            id: id.to_owned(),
            title: title.to_owned(),
            description: if scale == Scale::Log { "logarithmic" } else { "" }.to_owned(),
            scale,
            x_label: "step".to_owned(),
            x_range: [0.0, together.axis.end],
            x_ticks: together.ticks(),
            gaps: together.axis.gaps.clone(),
            y_label: y_label.to_owned(),
            y_range,
            frame: Frame { height: 212.0, ..Frame::default() },
            curves,
            ..Chart::default()
        }
        .with_legend(),
    )
}
