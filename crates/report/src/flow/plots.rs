//! Curves over the layers at one step, with what theory predicts.
//!
//! The table of quantities says which plots there are and what is drawn in each; a plot joins what its chart
//! is named by. From it come the chart of a step and what the script needs to draw any other. Axes stay the
//! same over all steps, so that steps can be compared.

use super::Theory;
use super::figures::{Figures, rare};
use super::numbering::owner;
use crate::chart::{Chart, ChartPoint, Curve, Frame, LARGEST, Scale, Stroke, whole_ticks};
use crate::slider;
use backflow_probe::quantities::{ACTIVATION_RMS, ACTIVATION_ZERO_SHARE, DELTA_RMS, QUANTITIES};
use backflow_probe::{self as probe, Axis, Drawn, Quantity, Read, Section};
use backflow_tensor::Role;
use serde_json::Value;

/// Values over places.
#[derive(Debug)]
struct Series {
    number: usize,
    name: String,
    quantity: &'static Quantity,
    /// The places in [`Figures`], and where each is on the horizontal axis.
    places: Vec<(usize, f64)>,
    /// As many as places, or none.
    theory: Vec<f64>,
}

/// A chart for every step.
#[derive(Debug)]
pub(super) struct Plot {
    pub(super) chart: &'static probe::Chart,
    description: String,
    x_end: f64,
    y_range: [f64; 2],
    series: Vec<Series>,
}

/// The plots for which there are figures: section by section, in the order of the table.
pub(super) fn all(figures: &Figures<'_>, theory: Option<&Theory>) -> Vec<Plot> {
    let mut plots: Vec<Plot> = Vec::new();
    for &quantity in QUANTITIES.iter().filter(|quantity| !matches!(quantity.read, Read::Step(_))) {
        let Some(chart) = quantity.chart().filter(|_| figures.has_any(quantity)) else { continue };
        let series = series(figures, quantity, theory);
        match plots.iter_mut().find(|plot| plot.chart.id == chart.id) {
            Some(plot) => plot.series.extend(series),
            None => {
                let description = chart.description.to_owned();
                let x_end = figures.numbering.end as f64;
                plots.push(Plot { chart, description, x_end, y_range: [0.0, 1.0], series });
            }
        }
    }
    let drawn =
        |plot: &Plot| plot.series.iter().any(|series| figures.finite(series.quantity).next().is_some());
    plots.retain(drawn);
    plots.sort_by_key(|plot| plot.chart.section);
    for plot in &mut plots {
        plot.series.sort_by_key(|series| series.number);
        plot.fit(figures);
    }
    plots
}

/// How many places a quantity has, and the number of each on the axis of layers.
fn numbers(figures: &Figures<'_>, read: Read) -> Vec<f64> {
    let numbers = match read {
        Read::Parameter(_) | Read::MoreOfParameter => figures.numbering.parameters.clone(),
        Read::Jacobian(_) => figures.numbering.jacobians.clone(),
        _ => (1..=figures.layers.len()).collect(),
    };
    numbers.into_iter().map(|number| number as f64).collect()
}

/// The curves of a quantity.
fn series(figures: &Figures<'_>, quantity: &'static Quantity, theory: Option<&Theory>) -> Vec<Series> {
    match (quantity.drawn, quantity.read) {
        (Drawn::Curves { .. }, Read::Parameter(_) | Read::MoreOfParameter) => by_parameter(figures, quantity),
        (Drawn::Curves { names, .. }, _) => {
            let theory = match theory {
                Some(theory) if *quantity == ACTIVATION_RMS => &*theory.activation_rms,
                Some(theory) if *quantity == DELTA_RMS => &*theory.delta_rms,
                _ => &[],
            };
            by_kind(figures, quantity, theory, names)
        }
        (Drawn::Curve { name, colour, .. }, Read::Parameter(_) | Read::MoreOfParameter) => {
            // Weights and biases of a layer are in one place.
            let named = |(idx, of): (usize, Series)| Series {
                number: colour + 2 * idx,
                name: format!("{name}, {}", of.name),
                ..of
            };
            by_parameter(figures, quantity).into_iter().enumerate().map(named).collect()
        }
        (Drawn::Curve { name, colour, .. }, read) => {
            one(figures, quantity, read, name, colour).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// One curve over the places that have the quantity.
fn one(
    figures: &Figures<'_>,
    quantity: &'static Quantity,
    read: Read,
    name: &str,
    number: usize,
) -> Option<Series> {
    let numbers = numbers(figures, read);
    // Every layer has a share of zeros; it is of interest where zeros are made.
    let is_of_zeros = *quantity == ACTIVATION_ZERO_SHARE;
    let has_zeros = is_of_zeros && figures.finite(quantity).any(|share| share > 0.0);
    let is_of_interest =
        |place: usize| !is_of_zeros || has_zeros && is_activation(figures.layers[place].1.role);
    let places = (0..numbers.len()).filter(|&place| figures.has(quantity, place) && is_of_interest(place));
    let places = in_order(places.map(|place| (place, numbers[place])).collect());
    let theory = Vec::new();
    (!places.is_empty()).then(|| Series { number, name: name.to_owned(), quantity, places, theory })
}

fn is_activation(role: Role) -> bool {
    matches!(role, Role::Activation { .. })
}

/// Weighted maps, activation functions and all other results apart: z and a have different sizes, and a line
/// through both would be a saw.
fn by_kind(
    figures: &Figures<'_>,
    quantity: &'static Quantity,
    theory: &[f64],
    names: [&str; 3],
) -> Vec<Series> {
    let kinds: [fn(Role) -> bool; 3] = [
        |role| role == Role::WeightedMap,
        is_activation,
        |role| role != Role::WeightedMap && !is_activation(role),
    ];
    let series = (0..3).map(|number| {
        // Of what only some layers have, a line goes past the others.
        let is_there =
            |place: usize| !matches!(quantity.read, Read::MoreOfLayer) || figures.has(quantity, place);
        let places = figures.layers.iter().enumerate();
        let places = places.filter(|(place, (_, kind))| kinds[number](kind.role) && is_there(*place));
        let places: Vec<_> = places.map(|(place, _)| (place, place as f64 + 1.0)).collect();
        let theory = if theory.is_empty() {
            Vec::new()
        } else {
            places.iter().map(|&(place, _)| theory.get(place).copied().unwrap_or(f64::NAN)).collect()
        };
        Series { number, name: names[number].to_owned(), quantity, places, theory }
    });
    series.filter(|series| !series.places.is_empty()).collect()
}

/// Places from left to right, as a line goes through them.
fn in_order(mut places: Vec<(usize, f64)>) -> Vec<(usize, f64)> {
    places.sort_by(|a, b| a.1.total_cmp(&b.1));
    places
}

/// Weights, biases and whatever else there is apart, by the last part of their paths, over the layers that
/// they are of.
fn by_parameter(figures: &Figures<'_>, quantity: &'static Quantity) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    let numbers = numbers(figures, quantity.read);
    for (place, (path, number)) in figures.parameters.iter().zip(numbers).enumerate() {
        let (_, name) = owner(path);
        let at = (place, number);
        match series.iter_mut().find(|series| series.name == name) {
            Some(series) => series.places.push(at),
            None => series.push(Series {
                number: series.len() % 4,
                name: name.to_owned(),
                quantity,
                places: vec![at],
                theory: Vec::new(),
            }),
        }
    }
    // What has no figure at all, as biases have no rank, needs no curve.
    series.retain(|series| series.places.iter().any(|&(place, _)| figures.has(quantity, place)));
    // More cannot be told apart.
    series.truncate(4);
    for of in &mut series {
        of.places = in_order(std::mem::take(&mut of.places));
    }
    series
}

impl Series {
    fn predicted(&self) -> bool {
        self.theory.iter().any(|x| x.is_finite())
    }
}

impl Plot {
    fn scale(&self) -> Scale {
        self.chart.axis.into()
    }

    /// Sets the range of values to what there is over all steps.
    fn fit(&mut self, figures: &Figures<'_>) {
        let theory = self.series.iter().flat_map(|series| series.theory.iter().copied());
        let measured = |series: &Series| figures.finite(series.quantity).collect::<Vec<_>>();
        if self.scale() == Scale::Log {
            let values = self.series.iter().flat_map(measured).chain(theory.filter(|x| x.is_finite()));
            let values: Vec<f64> = values.filter(|&x| x > 0.0).collect();
            let high = values.iter().copied().fold(0.0, f64::max);
            // A singular value that is 0 but for rounding would leave the others no room.
            let low = if self.has_floor() { high * 1e-6 } else { 0.0 };
            let shown = values.into_iter().filter(|&x| x >= low);
            self.y_range = Scale::Log.range(shown, 1.0).unwrap_or([0.1, 1.0]);
            return;
        }
        if self.chart.axis == Axis::Cosine {
            self.y_range = [-1.05, 1.05];
            return;
        }
        if self.chart.axis == Axis::Share {
            let high = self.series.iter().flat_map(measured).fold(0.0, f64::max);
            self.y_range = [0.0, if high > 0.5 { 1.0 } else { (high * 1.1).max(0.1) }];
            return;
        }
        // Values with what is shaded around them, each quantity once.
        let mut ends: Vec<[f64; 2]> = Vec::new();
        let mut seen: Vec<&Quantity> = Vec::new();
        for quantity in self.series.iter().map(|series| series.quantity) {
            if !seen.contains(&quantity) {
                seen.push(quantity);
                let spread: Vec<f64> =
                    quantity.within().map_or(Vec::new(), |spread| figures.finite(spread).collect());
                let spread = spread.into_iter().chain(std::iter::repeat(0.0));
                ends.extend(figures.finite(quantity).zip(spread).map(|(middle, spread)| [middle, spread]));
            }
        }
        let mut reach: Vec<f64> = ends.iter().map(|[middle, spread]| middle.abs() + spread).collect();
        reach.sort_unstable_by(f64::total_cmp);
        let typical = reach.get(reach.len() / 2).copied().unwrap_or(1.0).max(1e-30);
        let low = ends.iter().map(|[middle, spread]| middle - spread).fold(0.0, f64::min);
        let high = ends.iter().map(|[middle, spread]| middle + spread).fold(0.0, f64::max);
        // One layer that explodes would leave the others no room.
        let limit = (20.0 * typical).min(LARGEST);
        if high > limit || low < -limit {
            self.description += ", cut off at the ends";
        }
        self.y_range = [1.05 * low.max(-limit), 1.05 * high.min(limit).max(1e-30)];
    }

    /// Whether theory has something to say about it, at the first step.
    pub(super) fn predicted(&self) -> bool {
        self.series.iter().any(Series::predicted)
    }

    /// Whether what is below the axis is drawn on it.
    fn has_floor(&self) -> bool {
        self.chart.axis == Axis::LogWithFloor
    }

    /// Under which name its figures are measured at some steps only; `None` if they are measured at all.
    pub(super) fn rare(&self) -> Option<&'static str> {
        self.series.first().and_then(|series| rare(series.quantity))
    }

    /// The chart of a step. The curves of theory are there at every step, for the page to show them at the
    /// first.
    pub(super) fn chart(&self, figures: &Figures<'_>, column: usize) -> Chart {
        let mut curves = Vec::new();
        for series in &self.series {
            let at = |quantity, place| figures.get(quantity, column, place).unwrap_or(f64::NAN);
            let points = series.places.iter().map(|&(place, x)| {
                let y = at(series.quantity, place);
                let y = if self.has_floor() && y < self.y_range[0] { self.y_range[0] } else { y };
                let spread = series.quantity.within().map_or(0.0, |spread| at(spread, place));
                ChartPoint { x, y, low: y - spread, high: y + spread }
            });
            curves.push(Curve {
                number: series.number,
                name: series.name.clone(),
                points: points.collect(),
                broken: false,
                stroke: Stroke::Marked,
            });
        }
        for (idx, series) in self.series.iter().filter(|series| series.predicted()).enumerate() {
            let points = series.places.iter().zip(&series.theory);
            let points = points.map(|(&(_, x), &y)| ChartPoint::new(x, y));
            curves.push(Curve {
                number: series.number,
                // One name for all: they are dashed, and have the colours of what they predict.
                name: if idx == 0 { "theory".to_owned() } else { String::new() },
                points: points.collect(),
                broken: false,
                stroke: Stroke::Theory,
            });
        }
        Chart {
            id: self.chart.id.to_owned(),
            title: self.chart.title.to_owned(),
            description: self.description.clone(),
            scale: self.scale(),
            x_label: "number of the layer, from input to output".to_owned(),
            x_range: [0.5, self.x_end + 0.5],
            x_ticks: whole_ticks(1.0, self.x_end),
            y_label: self.chart.y_label.to_owned(),
            y_range: self.y_range,
            // Four beside the map are narrower than two below it, and their text is to be as large.
            frame: Frame {
                width: if self.chart.section == Section::Flow { 390.0 } else { 480.0 },
                ..Frame::default()
            },
            curves,
            ..Chart::default()
        }
        .with_legend()
    }

    /// What the script needs to draw the chart of any step.
    pub(super) fn data(&self, figures: &Figures<'_>) -> Value {
        let paths = |read| match read {
            Read::Parameter(_) | Read::MoreOfParameter => "parameters",
            Read::Jacobian(_) => "jacobians",
            _ => "layers",
        };
        let mut curves = Vec::with_capacity(self.series.len());
        for Series { number, name, quantity, places, .. } in &self.series {
            curves.push(slider::Series {
                number: *number,
                name,
                of: quantity.name.to_owned(),
                spread: quantity.within().map(|spread| spread.name),
                places,
                paths: paths(quantity.read).to_owned(),
            });
        }
        slider::plot(&self.chart(figures, figures.shown), self.has_floor(), &curves)
    }
}
