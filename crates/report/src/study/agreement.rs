//! Every measured slope against that of theory.

use super::against::slope;
use super::groups::{MOST, Study, numbered};
use crate::chart::{Chart, ChartPoint, Curve, Frame, SpreadStyle, Stroke, round_ticks, six_digits};

use crate::page::field;
use std::fmt::Write;

/// Fewer than this are told by the table.
const FEW: usize = 4;

/// The figure, and whether colours are those of the table: of very many pairs, they are activation functions.
/// `None` if theory has little to say.
pub(super) fn chart(study: &Study<'_>) -> Option<(Chart, bool, String)> {
    let by_pair = study.pair_count() <= MOST;
    let numbers = if by_pair {
        study.pairs.clone()
    } else {
        numbered(study.findings.iter().map(|finding| finding.configuration.axes().activation))
    };
    let mut csv = "configuration,theory,measured,low,high\n".to_owned();
    let mut curves: Vec<Curve> = Vec::new();
    for (finding, &number) in study.findings.iter().zip(&numbers) {
        let (Some(x), Some(measured)) = (finding.theory_slope, slope(finding)) else { continue };
        let configuration = &finding.configuration;
        let (name, [y, low, high]) =
            (configuration.to_string(), [measured.y, measured.low, measured.high].map(six_digits));
        let _ = writeln!(csv, "{},{},{y},{low},{high}", field(&name), six_digits(x));
        let at = curves.iter().position(|curve| curve.number == number).unwrap_or_else(|| {
            let name = match by_pair {
                true => study.names.kind(configuration),
                false => configuration.kind()[1].clone().unwrap_or_default(),
            };
            curves.push(Curve { number, name, points: Vec::new(), broken: false, stroke: Stroke::Points });
            curves.len() - 1
        });
        curves[at].points.push(ChartPoint { x, ..measured });
    }
    let points = || curves.iter().flat_map(|curve| &curve.points);
    if points().count() < FEW {
        return None;
    }
    let ends = || points().flat_map(|point| [point.x, point.low, point.high]);
    let (low, high) = (ends().fold(0.0, f64::min), ends().fold(0.0, f64::max));
    let room = 0.05 * (high - low).max(0.02);
    let range = [low - room, high + room];
    let diagonal = range.map(|end| ChartPoint::new(end, end)).to_vec();
    // The number of no other.
    let (name, number) = ("theory".to_owned(), MOST);
    curves.push(Curve { number, name, points: diagonal, broken: false, stroke: Stroke::Theory });
    let chart = Chart {
        id: "agreement".to_owned(),
        title: "Measured slopes against theory".to_owned(),
        description: "a point per configuration: mean over seeds, with their standard deviation".to_owned(),
        x_label: "slope by theory, decades per layer or block".to_owned(),
        x_range: range,
        x_ticks: round_ticks(range[0], range[1]),
        y_label: "slope as measured".to_owned(),
        y_range: range,
        spread: SpreadStyle::Bars,
        frame: Frame { width: 560.0, height: 320.0, ..Frame::default() },
        curves,
        ..Chart::default()
    };
    Some((chart.with_legend(), by_pair, csv))
}
