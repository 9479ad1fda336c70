//! Curves over the layers at one step, with what theory predicts.
//!
//! A plot is described once; from the description come the chart of a step and what the script needs to draw any other. Axes
//! stay the same over all steps, so that steps can be compared.

use super::Theory;
use super::figures::{Figures, GRADIENT_COSINE, JACOBIANS, rare};
use super::run::LARGEST;
use crate::chart::{Chart, ChartPoint, Curve, Frame, Scale, whole_ticks};
use backflow_tensor::Role;
use serde_json::{Value, json};

/// Values over places.
#[derive(Debug)]
struct Series {
    number: usize,
    name: String,
    quantity: &'static str,
    /// What is shaded around it.
    spread: Option<&'static str>,
    /// The places in [`Figures`], and where each is on the horizontal axis.
    places: Vec<(usize, f64)>,
    /// As many as places, or none.
    theory: Vec<f64>,
}

/// Where on the page a plot stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Section {
    /// What flows, beside the map.
    Flow,
    /// How activations are distributed.
    Activations,
    /// By how much, and where, things are turned.
    Directions,
}

/// A chart for every step.
#[derive(Debug)]
pub(super) struct Plot {
    /// Also the file's name, without its ending.
    pub(super) id: &'static str,
    title: &'static str,
    description: String,
    pub(super) section: Section,
    scale: Scale,
    x_label: &'static str,
    x_end: f64,
    y_range: [f64; 2],
    series: Vec<Series>,
}

/// What [`by_kind`] tells apart.
const OUTPUTS: [&str; 3] = ["z (linear)", "a (activation)", "other"];

const LAYERS: &str = "layer, from input to output";
const PARAMETERS: &str = "layer with parameters, from input to output";

/// The plots for which there are figures.
pub(super) fn all(figures: &Figures<'_>, theory: Option<&Theory>) -> Vec<Plot> {
    let activation = theory.map_or(&[][..], |theory| &theory.activation_rms);
    let delta = theory.map_or(&[][..], |theory| &theory.delta_rms);
    let layers = figures.layers.len() as f64;
    let plot = |id, title, description: &str, section, scale, (x_label, x_end), series: Vec<Series>| {
        let mut plot = Plot {
            id,
            title,
            description: description.to_owned(),
            section,
            scale,
            x_label,
            x_end,
            y_range: [0.0, 1.0],
            series,
        };
        plot.fit(figures);
        plot
    };
    let (gradients, parameters) = by_parameter(figures, "gradient");
    let (ratios, _) = by_parameter(figures, "ratio");
    let over_layers = (LAYERS, layers);
    let over_parameters = (PARAMETERS, parameters);
    let (momentum, _) = by_parameter(figures, "momentum-cosine");
    let (gradient_cosines, _) = by_parameter(figures, GRADIENT_COSINE);
    let over_jacobians = ("layer or named result, from input to output", figures.jacobians.len() as f64);
    let shares = [
        ("saturated", "saturated"),
        ("dead", "dead units"),
        ("zeros", "zeros"),
        ("dead-epoch", "dead all epoch"),
    ];
    let shares = shares.into_iter().enumerate().filter_map(|(number, (quantity, name))| {
        let places = (0..figures.layers.len()).filter(|&place| figures.has(quantity, place));
        // Every layer has a share of zeros; it is of interest where zeros are made.
        let zeros = figures.finite("zeros").any(|share| share > 0.0);
        let places = places
            .filter(|&place| quantity != "zeros" || zeros && is_activation(figures.layers[place].1.role));
        let places: Vec<_> = places.map(|place| (place, place as f64 + 1.0)).collect();
        let name = name.to_owned();
        (!places.is_empty()).then_some(Series {
            number,
            name,
            quantity,
            spread: None,
            places,
            theory: Vec::new(),
        })
    });
    let plots = [
        plot(
            "activations",
            "Activations",
            "RMS",
            Section::Flow,
            Scale::Log,
            over_layers,
            by_kind(figures, "rms", None, activation, OUTPUTS),
        ),
        plot(
            "deltas",
            "Deltas",
            "RMS",
            Section::Flow,
            Scale::Log,
            over_layers,
            by_kind(figures, "delta", None, delta, ["∂L/∂z", "∂L/∂a", "other"]),
        ),
        plot(
            "gradients",
            "Gradients of parameters",
            "RMS",
            Section::Flow,
            Scale::Log,
            over_parameters,
            gradients,
        ),
        plot(
            "updates",
            "Update / weight",
            "ratio of their RMS",
            Section::Flow,
            Scale::Log,
            over_parameters,
            ratios,
        ),
        plot(
            "distributions",
            "Distribution of outputs",
            "mean ± standard deviation",
            Section::Activations,
            Scale::Linear,
            over_layers,
            by_kind(figures, "mean", Some("std"), &[], OUTPUTS),
        ),
        plot(
            "shares",
            "Saturated, dead and zero",
            "shares of outputs, or of units",
            Section::Activations,
            Scale::Linear,
            over_layers,
            shares.collect(),
        ),
        plot(
            JACOBIANS,
            "Jacobians",
            "singular values at one sample, on the lower edge those near 0",
            Section::Directions,
            Scale::Log,
            over_jacobians,
            singular_values(figures),
        ),
        plot(
            "momentum-cosines",
            "Gradient and momentum",
            "cosine",
            Section::Directions,
            Scale::Linear,
            over_parameters,
            momentum,
        ),
        plot(
            "gradient-cosines",
            "Gradient and the one before",
            "cosine",
            Section::Directions,
            Scale::Linear,
            over_parameters,
            gradient_cosines,
        ),
    ];
    let drawn =
        |plot: &Plot| plot.series.iter().any(|series| figures.finite(series.quantity).next().is_some());
    plots.into_iter().filter(drawn).collect()
}

fn is_activation(role: Role) -> bool {
    matches!(role, Role::Activation { .. })
}

/// Weighted maps, activation functions and all other results apart: z and a have different sizes, and a line through both would
/// be a saw.
fn by_kind(
    figures: &Figures<'_>,
    quantity: &'static str,
    spread: Option<&'static str>,
    theory: &[f64],
    names: [&str; 3],
) -> Vec<Series> {
    let kinds: [fn(Role) -> bool; 3] = [
        |role| role == Role::WeightedMap,
        is_activation,
        |role| role != Role::WeightedMap && !is_activation(role),
    ];
    let series = (0..3).map(|number| {
        let places = figures.layers.iter().enumerate().filter(|(_, (_, kind))| kinds[number](kind.role));
        let places: Vec<_> = places.map(|(place, _)| (place, place as f64 + 1.0)).collect();
        let theory = if theory.is_empty() {
            Vec::new()
        } else {
            places.iter().map(|&(place, _)| theory.get(place).copied().unwrap_or(f64::NAN)).collect()
        };
        Series { number, name: names[number].to_owned(), quantity, spread, places, theory }
    });
    series.filter(|series| !series.places.is_empty()).collect()
}

/// The ends, the middle and the mean of each layer's singular values.
fn singular_values(figures: &Figures<'_>) -> Vec<Series> {
    let names = [
        ("jacobian-rms", "RMS"),
        ("jacobian-largest", "largest"),
        ("jacobian-median", "median"),
        ("jacobian-smallest", "smallest"),
    ];
    let places: Vec<_> = (0..figures.jacobians.len()).map(|place| (place, place as f64 + 1.0)).collect();
    let series = names.into_iter().enumerate().map(|(number, (quantity, name))| Series {
        number,
        name: name.to_owned(),
        quantity,
        spread: None,
        places: places.clone(),
        theory: Vec::new(),
    });
    series.collect()
}

/// Weights, biases and whatever else there is apart, by the last part of their paths, over the layers that have them; and how
/// many such layers there are.
fn by_parameter(figures: &Figures<'_>, quantity: &'static str) -> (Vec<Series>, f64) {
    let mut parents: Vec<&str> = Vec::new();
    let mut series: Vec<Series> = Vec::new();
    for (place, path) in figures.parameters.iter().enumerate() {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        if parents.last() != Some(&parent) {
            parents.push(parent);
        }
        let at = (place, parents.len() as f64);
        match series.iter_mut().find(|series| series.name == name) {
            Some(series) => series.places.push(at),
            None => series.push(Series {
                number: series.len() % 4,
                name: name.to_owned(),
                quantity,
                spread: None,
                places: vec![at],
                theory: Vec::new(),
            }),
        }
    }
    // More cannot be told apart.
    series.truncate(4);
    (series, parents.len() as f64)
}

impl Series {
    fn predicted(&self) -> bool {
        self.theory.iter().any(|x| x.is_finite())
    }
}

impl Plot {
    /// Sets the range of values to what there is over all steps.
    fn fit(&mut self, figures: &Figures<'_>) {
        let theory = self.series.iter().flat_map(|series| series.theory.iter().copied());
        let measured = |series: &Series| figures.finite(series.quantity).collect::<Vec<_>>();
        if self.scale == Scale::Log {
            let values = self.series.iter().flat_map(measured).chain(theory.filter(|x| x.is_finite()));
            let values: Vec<f64> = values.filter(|&x| x > 0.0).collect();
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // A singular value that is 0 but for rounding would leave the others no room.
            let low = if self.has_floor() { low.max(high * 1e-6) } else { low };
            // At least a decade, or noise would look like a trend.
            let margin = (high / low).powf(-0.5) * 10_f64.sqrt();
            let margin = margin.max(1.3);
            self.y_range = if low > high { [0.1, 1.0] } else { [low / margin, high.min(LARGEST) * margin] };
            return;
        }
        if self.section == Section::Directions {
            self.y_range = [-1.05, 1.05];
            return;
        }
        if self.id == "shares" {
            let high = self.series.iter().flat_map(measured).fold(0.0, f64::max);
            self.y_range = [0.0, if high > 0.5 { 1.0 } else { (high * 1.1).max(0.1) }];
            return;
        }
        let mean: Vec<f64> = figures.finite("mean").collect();
        let std: Vec<f64> = figures.finite("std").collect();
        let mut reach: Vec<f64> = mean.iter().zip(&std).map(|(mean, std)| mean.abs() + std).collect();
        reach.sort_by(f64::total_cmp);
        let typical = reach.get(reach.len() / 2).copied().unwrap_or(1.0).max(1e-30);
        let low = mean.iter().zip(&std).map(|(mean, std)| mean - std).fold(0.0, f64::min);
        let high = mean.iter().zip(&std).map(|(mean, std)| mean + std).fold(0.0, f64::max);
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
        self.id == JACOBIANS
    }

    /// Under which name its figures are measured at some steps only; `None` if they are measured at all.
    pub(super) fn rare(&self) -> Option<&'static str> {
        self.series.first().and_then(|series| rare(series.quantity))
    }

    /// The chart of a step. The curves of theory are there at every step, for the page to show them at the first.
    pub(super) fn chart(&self, figures: &Figures<'_>, column: usize) -> Chart {
        let mut curves = Vec::new();
        for series in &self.series {
            let at = |quantity, place| figures.get(quantity, column, place).unwrap_or(f64::NAN);
            let points = series.places.iter().map(|&(place, x)| {
                let y = at(series.quantity, place);
                let y = if self.has_floor() && y < self.y_range[0] { self.y_range[0] } else { y };
                let spread = series.spread.map_or(0.0, |spread| at(spread, place));
                ChartPoint { x, y, low: y - spread, high: y + spread }
            });
            curves.push(Curve {
                number: series.number,
                name: series.name.clone(),
                points: points.collect(),
                broken: false,
                theory: false,
                dots: series.places.len() <= 60,
            });
        }
        for (idx, series) in self.series.iter().filter(|series| series.predicted()).enumerate() {
            let points = series.places.iter().zip(&series.theory);
            let points = points.map(|(&(_, x), &y)| ChartPoint { x, y, low: y, high: y });
            curves.push(Curve {
                number: series.number,
                // One name for all: they are dashed, and have the colours of what they predict.
                name: if idx == 0 { "theory".to_owned() } else { String::new() },
                points: points.collect(),
                broken: false,
                theory: true,
                dots: false,
            });
        }
        Chart {
            id: self.id.to_owned(),
            title: self.title.to_owned(),
            description: self.description.clone(),
            scale: self.scale,
            x_label: self.x_label.to_owned(),
            x_range: [0.5, self.x_end + 0.5],
            x_ticks: whole_ticks(1.0, self.x_end),
            y_range: self.y_range,
            // Four beside the map are narrower than two below it, and their text is to be as large.
            frame: Frame {
                width: if self.section == Section::Flow { 390.0 } else { 480.0 },
                top: 26.0,
                ..Frame::default()
            },
            legend: true,
            curves,
        }
    }

    /// What the script needs to draw the chart of any step.
    pub(super) fn data(&self, figures: &Figures<'_>) -> Value {
        let chart = self.chart(figures, figures.shown);
        let [low, high] = self.y_range.map(|end| self.scale.place(end));
        let series = |series: &Series| {
            let x = series.places.iter().map(|&(_, x)| (chart.x(x) * 10.0).round() / 10.0);
            json!({
                "id": format!("{}-s{}", self.id, series.number),
                "of": series.quantity,
                "spread": series.spread,
                "at": series.places.iter().map(|&(place, _)| place).collect::<Vec<_>>(),
                "x": x.collect::<Vec<_>>(),
            })
        };
        json!({
            "log": self.scale == Scale::Log,
            "floor": self.has_floor(),
            "low": low,
            "high": high,
            "top": chart.frame.top,
            "bottom": chart.frame.height - chart.frame.bottom,
            "series": self.series.iter().map(series).collect::<Vec<_>>(),
        })
    }
}
