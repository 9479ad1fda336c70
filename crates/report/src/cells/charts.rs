//! The figures of a study of recurrent cells.

use crate::chart::{Chart, ChartPoint, Curve, Frame, Scale, SpreadStyle, Stroke, round_ticks, whole_ticks};
use backflow_probe::TimeTheory;
use backflow_tensor::Float;
use backflow_train::study::{Cell, CellFinding};

/// The most curves of a figure of deltas.
pub(super) const MOST: usize = 6;

/// Fewer points than this are told by the table.
const FEW: usize = 4;

/// RMS δ over the steps of the longest sequences, a figure for each kind of cell: measured, and from the last step back
/// as theory has it.
pub(super) fn deltas(findings: &[CellFinding]) -> Vec<Chart> {
    Cell::ALL.into_iter().filter_map(|cell| of_cell(cell, findings)).collect()
}

fn of_cell(cell: Cell, findings: &[CellFinding]) -> Option<Chart> {
    let of_cell =
        |finding: &&CellFinding| finding.configuration.cell == cell && !finding.delta_rms.is_empty();
    let steps = findings.iter().filter(of_cell).map(|finding| finding.configuration.steps).max()?;
    let all: Vec<&CellFinding> =
        findings.iter().filter(of_cell).filter(|finding| finding.configuration.steps == steps).collect();
    let mut curves = Vec::new();
    for (number, finding) in all.iter().take(MOST).enumerate() {
        let of = &finding.configuration;
        let name = format!("{}, gain {}", of.weights(), of.gain);
        let curve = |values: Vec<f64>, stroke, name| {
            let points = (1..).zip(values).filter(|(_, y)| y.is_finite() && *y > 0.0);
            let points = points.map(|(step, y)| ChartPoint::new(f64::from(step), y)).collect();
            Curve { number, name, points, broken: false, stroke }
        };
        curves.push(curve(finding.delta_rms.clone(), Stroke::Marked, name));
        let last = finding.delta_rms[finding.delta_rms.len() - 1];
        let theory = finding.predicted_decades.iter().map(|decades| last * Float::powf(10.0, *decades));
        let theory: Vec<f64> = theory.collect();
        if !theory.is_empty() {
            // One name for all, as in other studies.
            let is_first = !curves.iter().any(|curve: &Curve| curve.stroke == Stroke::Theory);
            let name = if is_first { "theory".to_owned() } else { String::new() };
            curves.push(curve(theory, Stroke::Theory, name));
        }
    }
    let ys = curves.iter().flat_map(|curve| &curve.points).map(|point| point.y);
    let length = all.iter().map(|finding| finding.delta_rms.len()).max()? as f64;
    let dashes = match all[0].theory {
        TimeTheory::Gates => "what gates keep of the memory",
        _ => "theory",
    };
    let left_out = match all.len() {
        count if count > MOST => format!("; {MOST} of {count} are drawn"),
        _ => String::new(),
    };
    let chart = Chart {
        id: format!("deltas-{cell}"),
        title: format!("{cell}, {steps} steps"),
        description: format!(
            "logarithmic; dots: measured, dashes: {dashes}, from the last step back{left_out}"
        ),
        scale: Scale::Log,
        x_label: "step".to_owned(),
        x_range: [1.0, length],
        x_ticks: whole_ticks(1.0, length),
        y_label: "RMS of delta".to_owned(),
        y_range: Scale::Log.range(ys, 1.0)?,
        frame: Frame { width: 640.0, height: 320.0, ..Frame::default() },
        curves,
        ..Chart::default()
    };
    Some(chart.with_legend())
}

/// Every measured slope against that of theory, a colour for each kind of cell.
pub(super) fn agreement(findings: &[CellFinding]) -> Vec<Chart> {
    let point = |finding: &CellFinding| {
        let (line, x) = (finding.line.as_ref()?, finding.predicted_slope?);
        let each = || finding.slope_by_seed.iter().flatten().copied();
        let (low, high) = (each().fold(line.slope, f64::min), each().fold(line.slope, f64::max));
        Some((finding.configuration.cell, ChartPoint { x, y: line.slope, low, high }))
    };
    let points: Vec<(Cell, ChartPoint)> = findings.iter().filter_map(point).collect();
    if points.len() < FEW {
        return Vec::new();
    }
    let curve = |(number, cell): (usize, Cell)| Curve {
        number,
        name: cell.to_string(),
        points: points.iter().filter(|(of, _)| *of == cell).map(|(_, point)| *point).collect(),
        broken: false,
        stroke: Stroke::Points,
    };
    let mut curves: Vec<Curve> = Cell::ALL.into_iter().enumerate().map(curve).collect();
    curves.retain(|curve| !curve.points.is_empty());
    let ends = || points.iter().flat_map(|(_, point)| [point.x, point.low, point.high]);
    let (low, high) = (ends().fold(0.0, f64::min), ends().fold(0.0, f64::max));
    let room = 0.05 * (high - low).max(0.02);
    let range = [low - room, high + room];
    let diagonal = range.map(|end| ChartPoint::new(end, end)).to_vec();
    let (name, number) = ("theory".to_owned(), MOST);
    curves.push(Curve { number, name, points: diagonal, broken: false, stroke: Stroke::Theory });
    let chart = Chart {
        id: "agreement".to_owned(),
        title: "Slopes over time".to_owned(),
        description:
            "a point per configuration, with the range over seeds; of gated cells, theory is what gates keep"
                .to_owned(),
        x_label: "slope by theory, decades per step".to_owned(),
        x_range: range,
        x_ticks: round_ticks(range[0], range[1]),
        y_label: "slope as measured".to_owned(),
        y_range: range,
        spread: SpreadStyle::Bars,
        frame: Frame { width: 560.0, height: 320.0, ..Frame::default() },
        curves,
        ..Chart::default()
    };
    vec![chart.with_legend()]
}
