//! Curves over the layers at a step, a curve for each run. The axis stays the same over all steps.

use super::together::{Together, key};
use crate::chart::{Chart, ChartPoint, Curve, Scale, Stroke, whole_ticks};
use crate::flow::{four_digits, json as figure_json};
use crate::slider;
use backflow_probe::FlowRow;
use serde_json::Value;

/// What is drawn: a name, a title, what it measures, and the figure.
type Subject = (&'static str, &'static str, &'static str, fn(&FlowRow) -> Option<f64>);

const SUBJECTS: [Subject; 4] = [
    ("deltas", "Deltas", "RMS of delta", |row| row.delta_rms),
    ("activations", "Activations", "RMS of activation", |row| Some(row.activation_rms)),
    ("gradients", "Gradients of weights", "RMS of gradient", |row| row.weight_gradient_rms),
    ("updates", "Update / weight", "update / weight", |row| row.update_ratio),
];

/// A chart for every step.
pub(super) struct Plot {
    subject: Subject,
    y_range: [f64; 2],
    layers: usize,
}

/// The plots for which there are figures.
pub(super) fn all(together: &Together<'_>) -> Vec<Plot> {
    let layers = together.rows.iter().map(|rows| rows.paths.len()).max().unwrap_or(0);
    let plot = |subject: Subject| {
        let mut sizes = Vec::new();
        for (run, rows) in together.rows.iter().enumerate() {
            for column in 0..together.steps.len() {
                let figures =
                    (0..rows.paths.len()).filter_map(|row| together.get(run, column, row, subject.3));
                sizes.extend(figures);
            }
        }
        Some(Plot { subject, y_range: Scale::Log.range(sizes.into_iter(), 1.0)?, layers })
    };
    SUBJECTS.into_iter().filter_map(plot).collect()
}

impl Plot {
    pub(super) fn chart(&self, together: &Together<'_>, column: usize) -> Chart {
        let (id, title, y_label, of) = self.subject;
        let curve = |(number, run): (usize, &super::FlowRun<'_>)| {
            let point = |row: usize| {
                let y = together.get(number, column, row, of).unwrap_or(f64::NAN);
                ChartPoint::new(row as f64 + 1.0, y)
            };
            let points = (0..together.rows[number].paths.len()).map(point).collect();
            Curve { number, name: run.name.clone(), points, broken: false, stroke: Stroke::Marked }
        };
        Chart {
            id: id.to_owned(),
            title: title.to_owned(),
            description: "logarithmic".to_owned(),
            scale: Scale::Log,
            x_label: "layer, from input to output".to_owned(),
            x_range: [0.5, self.layers as f64 + 0.5],
            x_ticks: whole_ticks(1.0, self.layers as f64),
            y_label: y_label.to_owned(),
            y_range: self.y_range,
            curves: together.runs.iter().enumerate().map(curve).collect(),
            ..Chart::default()
        }
        .with_legend()
    }

    fn of(&self, run: usize) -> String {
        format!("{}-{}", key(run), self.subject.0)
    }

    /// The figures of every run: by column, then by layer.
    pub(super) fn values(&self, together: &Together<'_>) -> Vec<(String, Value)> {
        let of_run = |run: usize| {
            let rows = 0..together.rows[run].paths.len();
            let row = |column: usize| -> Value {
                let figure = |row| together.get(run, column, row, self.subject.3).map(four_digits);
                rows.clone().map(|row| figure_json(figure(row))).collect()
            };
            (self.of(run), (0..together.steps.len()).map(row).collect())
        };
        (0..together.runs.len()).map(of_run).collect()
    }

    /// What the script needs to draw the chart of any step.
    pub(super) fn data(&self, together: &Together<'_>) -> Value {
        let places: Vec<Vec<(usize, f64)>> = together
            .rows
            .iter()
            .map(|rows| (0..rows.paths.len()).map(|row| (row, row as f64 + 1.0)).collect())
            .collect();
        let mut curves = Vec::with_capacity(places.len());
        for (number, (run, places)) in together.runs.iter().zip(&places).enumerate() {
            curves.push(slider::Series {
                number,
                name: &run.name,
                of: self.of(number),
                spread: None,
                places,
                paths: key(number),
            });
        }
        slider::plot(&self.chart(together, together.shown), false, &curves)
    }
}
