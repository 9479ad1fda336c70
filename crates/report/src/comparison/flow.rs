//! Gradient flow by optimizer: deltas over layers at the end, how they change over the run, and how far steps
//! move the weights.

use super::means::Mean;
use super::of_optimizer;
use crate::chart::{Chart, ChartPoint, Curve, Scale, Stroke, whole_ticks};
use backflow_train::comparison::{FlowPoint, LayerPoint, Outcome, Run, Standing};

/// The charts for which there are figures; none where nobody looked at the runs. Curves have the numbers of
/// the standings.
pub(super) fn charts(standings: &[Standing], runs: &[Run], epochs: u64) -> Vec<Chart> {
    let over_run = |mean: Mean, y: fn(&FlowPoint) -> Option<f64>| {
        curves(standings, runs, true, |runs| mean.over(runs, |run| &run.flow, |point| point.epoch, y))
    };
    let has_slope = runs.iter().flat_map(|run| &run.flow).any(|point| point.slope.is_some());
    let layers = runs.iter().flat_map(|run| &run.flow).map(|point| point.layers.len()).max().unwrap_or(0);
    let deltas = Chart {
        x_label: "layer, from input to output".to_owned(),
        x_range: [0.5, layers as f64 + 0.5],
        x_ticks: whole_ticks(1.0, layers as f64),
        ..chart(
            ("delta-layers", "Deltas over layers", "at the last step; logarithmic"),
            Scale::Log,
            "RMS of delta",
            epochs,
            curves(standings, runs, false, |runs| deltas_at_end(runs, layers)),
        )
    };
    let way_back = if has_slope {
        chart(
            ("delta-slope", "Slope of deltas", "below 0 they vanish on the way back"),
            Scale::Linear,
            "decades per layer back",
            epochs,
            over_run(Mean::Arithmetic, |point| point.slope),
        )
    } else {
        chart(
            ("delta-first", "Deltas of the first layer", "logarithmic"),
            Scale::Log,
            "RMS of delta",
            epochs,
            over_run(Mean::Geometric, |point| delta_of_term(point, 0)),
        )
    };
    let updates = chart(
        ("update-ratio", "Update / weight", "mean over layers; logarithmic"),
        Scale::Log,
        "RMS of update / RMS of weight",
        epochs,
        over_run(Mean::Geometric, update_ratio),
    );
    let has_figures =
        |chart: &Chart| chart.curves.iter().flat_map(|curve| &curve.points).any(|point| point.y.is_finite());
    [deltas, way_back, updates].into_iter().filter(has_figures).map(Chart::with_legend).collect()
}

/// The curve of each optimizer through the points of its runs, over the run or over layers.
fn curves(
    standings: &[Standing],
    runs: &[Run],
    over_run: bool,
    points: impl Fn(&[&Run]) -> Vec<ChartPoint>,
) -> Vec<Curve> {
    let curve = |(number, standing): (usize, &Standing)| {
        let (name, points) = (standing.optimizer.clone(), points(&of_optimizer(runs, standing)));
        // Over layers, nothing ends before its time.
        let broken = over_run && standing.diverged > 0;
        Curve { number, name, points, broken, stroke: Stroke::Marked }
    };
    standings.iter().enumerate().map(curve).collect()
}

/// RMS delta of each layer at the last step of runs that got there.
fn deltas_at_end(runs: &[&Run], layers: usize) -> Vec<ChartPoint> {
    let ends: Vec<&FlowPoint> = runs
        .iter()
        .filter(|run| run.outcome == Outcome::Finished)
        .filter_map(|run| run.flow.last())
        .collect();
    let of_layer = |layer: usize| {
        let deltas = ends.iter().filter_map(|end| delta_of_term(end, layer));
        Mean::Geometric.point(layer as f64 + 1.0, deltas)
    };
    (0..layers).filter_map(of_layer).collect()
}

/// RMS delta of one term of the loss, which rules that take batches of different sizes have in common.
fn delta_of_term(point: &FlowPoint, layer: usize) -> Option<f64> {
    point.layers.get(layer)?.delta_rms.map(|delta| point.terms * delta)
}

/// The geometric mean over layers.
fn update_ratio(point: &FlowPoint) -> Option<f64> {
    let ratios = point.layers.iter().filter_map(|layer: &LayerPoint| layer.update_ratio);
    Mean::Geometric.point(point.epoch, ratios).map(|mean| mean.y)
}

/// A chart over the run that shows all of its curves, and what is shaded around them.
fn chart(
    (id, title, description): (&str, &str, &str),
    scale: Scale,
    y_label: &str,
    epochs: u64,
    curves: Vec<Curve>,
) -> Chart {
    let points = curves.iter().flat_map(|curve| &curve.points);
    let ends = points.flat_map(|point| [point.low, point.y, point.high]);
    let y_range = scale.range(ends, 1.0).unwrap_or([0.1, 1.0]);
    Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        description: description.to_owned(),
        scale,
        x_label: "passes over the training set".to_owned(),
        x_range: [0.0, epochs as f64],
        x_ticks: whole_ticks(0.0, epochs as f64),
        y_label: y_label.to_owned(),
        y_range,
        curves,
        ..Chart::default()
    }
}
