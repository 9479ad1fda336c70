//! Steps in time: what goes through the layers that have some, at the training step that is shown and over all.

mod grid;

use super::at;
use super::figures::{Figures, four_digits};
use super::map::row_label;
use crate::chart::{Chart, ChartPoint, Curve, Scale, Stroke, six_digits, whole_ticks};
use crate::heat_map::{Colours, HeatMap, Rows};
use crate::page::{escaped, figure};
use crate::slider;
use crate::steps::thinned;
use backflow_probe::{FlowStep, LayerFlow, TimeFlow};
use grid::Grid;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;

/// What redraws the maps of steps in time.
pub(super) const SCRIPT: &str = include_str!("time/script.js");

/// So many measurements are drawn, of maps of losses by states fewer; and so many steps of layers in all, and steps of
/// such a map, with which a page has a few megabytes.
const SHOWN: usize = 64;
const SHOWN_MAPS: usize = 16;
const PLACES: usize = 2048;
const OF_MAP: usize = 64;
/// Curves that are told apart.
const CURVES: usize = super::SERIES;

/// Of each curve, the places in a row of figures, and where each is on the horizontal axis.
type Places = Vec<Vec<(usize, f64)>>;

/// What is drawn of layers with steps in time.
#[derive(Debug)]
pub(super) struct OverTime {
    /// The places of the layers that are drawn, their names, and how many there are.
    layers: Vec<(usize, String)>,
    all: usize,
    deltas: Grid,
    outputs: Grid,
    /// What comes back from the loss of each step to each state, of layers of which it was measured.
    losses: Vec<Grid>,
}

/// What is drawn; `None` where no layer has steps in time.
pub(super) fn of(figures: &Figures<'_>) -> Option<OverTime> {
    let is_in_time = |layer: &LayerFlow| layer.time.is_some();
    let sparse = figures.sparse(SHOWN, |flow| flow.layers.iter().any(is_in_time))?;
    let flows: Vec<&FlowStep> = sparse.records().iter().map(|&record| &figures.steps[record]).collect();
    let of_place =
        |flow: &&FlowStep, place: usize| figures.layer(flow, place).and_then(|layer| layer.time.clone());
    let (mut layers, mut all, mut times) = (Vec::new(), 0, BTreeSet::new());
    for (place, (path, kind)) in figures.layers.iter().enumerate() {
        let steps: BTreeSet<u64> =
            flows.iter().filter_map(|flow| of_place(flow, place)).flat_map(|time| time.steps).collect();
        if steps.is_empty() {
            continue;
        }
        all += 1;
        let shown = thinned(times.union(&steps).count(), std::iter::empty()).len();
        if layers.is_empty() || (layers.len() + 1) * shown <= PLACES {
            layers.push((place, if path.is_empty() { kind.name.clone() } else { path.clone() }));
            times.extend(steps);
        }
    }
    if layers.is_empty() {
        return None;
    }
    let times = some(&times, usize::MAX);
    let grid = |id: &str, name: &'static str, title: &str, list: fn(&TimeFlow) -> &Vec<f64>| {
        let values = |flow: &&FlowStep| {
            let of_layer = |&(place, _): &(usize, String)| {
                let time = of_place(flow, place).unwrap_or_default();
                times.iter().map(move |&step| at_step(&time, list(&time), step)).collect::<Vec<_>>()
            };
            layers.iter().flat_map(of_layer).collect()
        };
        Grid {
            id: id.to_owned(),
            name: name.to_owned(),
            title: title.to_owned(),
            of: Rows::Layers,
            rows: layers.iter().map(|(place, name)| row_label(*place, name)).collect(),
            times: times.clone(),
            sparse: sparse.clone(),
            values: flows.iter().map(values).collect(),
        }
    };
    Some(OverTime {
        all,
        deltas: grid("time-delta-map", "time_delta", "Deltas by step in time", |time| &time.delta_rms),
        outputs: grid("time-output-map", "time_output", "Outputs by step in time", |time| &time.output_rms),
        losses: layers.iter().filter_map(|(place, name)| losses(figures, *place, name)).collect(),
        layers,
    })
}

/// The figure of a step in time.
fn at_step(time: &TimeFlow, list: &[f64], step: u64) -> Option<f64> {
    let place = time.steps.iter().position(|&other| other == step)?;
    list.get(place).copied().map(four_digits)
}

/// At most so many of these steps, evenly, and no more than a screen shows.
fn some(steps: &BTreeSet<u64>, most: usize) -> Vec<u64> {
    let steps: Vec<u64> = steps.iter().copied().collect();
    if steps.len() <= most {
        return thinned(steps.len(), std::iter::empty()).into_iter().map(|place| steps[place]).collect();
    }
    (0..most).map(|place| steps[place * (steps.len() - 1) / (most - 1)]).collect()
}

/// The map of a layer's losses by its states.
fn losses(figures: &Figures<'_>, place: usize, name: &str) -> Option<Grid> {
    let time = |flow: &FlowStep| figures.layer(flow, place)?.time.clone().filter(|time| !time.map.is_empty());
    let sparse = figures.sparse(SHOWN_MAPS, |flow| time(flow).is_some())?;
    let times: Vec<TimeFlow> =
        sparse.records().iter().filter_map(|&record| time(&figures.steps[record])).collect();
    let steps = some(&times.iter().flat_map(|time| time.steps.iter().copied()).collect(), OF_MAP);
    let values = |time: &TimeFlow| {
        let row = |&loss: &u64| {
            let row = time.steps.iter().position(|&step| step == loss).and_then(|place| time.map.get(place));
            steps.iter().map(move |&state| at_step(time, row?, state))
        };
        steps.iter().flat_map(row).collect()
    };
    Some(Grid {
        id: format!("time-losses-{}", place + 1),
        name: format!("time_losses_{}", place + 1),
        title: format!("From each loss to each state: {name}"),
        of: Rows::Steps,
        rows: steps.iter().map(u64::to_string).collect(),
        values: times.iter().map(values).collect(),
        times: steps,
        sparse,
    })
}

impl OverTime {
    /// The curves of these figures at a column of the page, and the places that each goes through.
    fn chart(&self, of: &Grid, [id, title, y_label]: [&str; 3], column: usize) -> (Chart, Places) {
        let count = of.times.len();
        let drawn = &self.layers[..self.layers.len().min(CURVES)];
        let values = &of.values[of.sparse.row(column)];
        let places =
            |layer: usize| (0..count).map(|nth| (layer * count + nth, of.times[nth] as f64)).collect();
        let places: Places = (0..drawn.len()).map(places).collect();
        let curve = |(number, (_, name)): (usize, &(usize, String))| {
            let point = |&(place, x): &(usize, f64)| ChartPoint::new(x, values[place].unwrap_or(f64::NAN));
            let points = places[number].iter().map(point).collect();
            Curve { number, name: name.clone(), points, broken: false, stroke: Stroke::Marked }
        };
        let [first, last] = [of.times[0], of.times[count - 1]].map(|step| step as f64);
        let mut description = "RMS by step in time".to_owned();
        if drawn.len() < self.layers.len() {
            let _ = write!(description, "; the first {} of {} layers", drawn.len(), self.all);
        }
        let chart = Chart {
            id: id.to_owned(),
            title: title.to_owned(),
            description,
            scale: Scale::Log,
            x_label: "step in time".to_owned(),
            x_range: [first - 0.5, last + 0.5],
            x_ticks: whole_ticks(first, last),
            y_label: y_label.to_owned(),
            y_range: Scale::Log.range(of.finite(), 1.0).unwrap_or([0.1, 1.0]),
            curves: drawn.iter().enumerate().map(curve).collect(),
            ..Chart::default()
        };
        (chart.with_legend(), places)
    }

    fn charts(&self, column: usize) -> [(&Grid, Chart, Places); 2] {
        [
            (&self.deltas, ["time-deltas", "Deltas over time", "RMS of delta"]),
            (&self.outputs, ["time-outputs", "Outputs over time", "RMS of output"]),
        ]
        .map(|(grid, words)| {
            let (chart, places) = self.chart(grid, words, column);
            (grid, chart, places)
        })
    }

    /// The map of a layer's deltas, step in time by training step.
    fn over_run<'a>(&'a self, layer: usize, figures: &'a Figures<'_>) -> HeatMap<'a> {
        let Grid { times, sparse, .. } = &self.deltas;
        let value = move |row: usize, record: usize| self.deltas.values[record][layer * times.len() + row];
        let records = 0..self.deltas.values.len();
        let all = records.flat_map(|record| (0..times.len()).filter_map(move |row| value(row, record)));
        let (place, name) = &self.layers[layer];
        HeatMap {
            id: format!("time-run-{}", place + 1),
            title: format!("Deltas of {name}, root mean square by step in time and training step"),
            of: Rows::Steps,
            rows: times.iter().map(u64::to_string).collect(),
            axis: Cow::Borrowed(&figures.axis),
            ticks: figures.ticks(),
            shown: Some(figures.shown),
            colours: Colours::of_sizes(all.filter(|x| x.is_finite())),
            value: Box::new(move |row, column| value(row, sparse.row(column))),
        }
    }

    /// The numbers of that map, a line a measurement.
    fn csv(&self, layer: usize, figures: &Figures<'_>) -> String {
        let Grid { times, sparse, values, .. } = &self.deltas;
        let mut csv = "step".to_owned();
        times.iter().for_each(|step| csv.push_str(&format!(",{step}")));
        for (&record, values) in sparse.records().iter().zip(values) {
            let _ = write!(csv, "\n{}", figures.steps[record].step);
            for value in &values[layer * times.len()..(layer + 1) * times.len()] {
                let _ = write!(csv, ",{}", six_digits(value.unwrap_or(f64::NAN)));
            }
        }
        csv
    }

    /// The section of the page.
    pub(super) fn write(&self, page: &mut String, figures: &Figures<'_>) {
        let shown = figures.shown;
        let rest = match self.layers.len() {
            drawn if drawn < self.all => {
                format!(" For lack of room, {drawn} of {} layers are drawn.", self.all)
            }
            _ => String::new(),
        };
        let step = at(&self.deltas.name, self.deltas.sparse.step(shown));
        let _ = writeln!(
            page,
            "<h2>Over steps in time</h2>\n<p class=\"note\">At training {step}. A delta is by all that comes after it; where \
             the loss reaches several steps directly, it is mostly by that of its own.{rest}</p>\n<section class=\"panels pair\">"
        );
        let mut map = |grid: &Grid, caption: &str| {
            let svg = super::scrolling(&grid.title, &grid.map(shown).svg());
            figure(page, &grid.id, &grid.title, caption, &svg, None);
        };
        map(&self.deltas, "log₁₀ of RMS, layer by step in time");
        for grid in &self.losses {
            let step = at(&grid.name, grid.sparse.step(shown));
            map(
                grid,
                &format!(
                    "log₁₀ of RMS ∂L<sub>t</sub>/∂h<sub>k</sub>, loss t by state k, which is c of an LSTM; {step}"
                ),
            );
        }
        for (_, chart, _) in self.charts(shown) {
            figure(page, &chart.id, &chart.title, &escaped(&chart.description), &chart.svg(), None);
        }
        page.push_str("</section>\n");
        if figures.columns.len() > 1 {
            page.push_str(
                "<p class=\"note\">Over all training steps; each map has colours of its own.</p>\n",
            );
            page.push_str("<section class=\"panels pair over\">\n");
            for (layer, (_, name)) in self.layers.iter().enumerate() {
                let (map, title) =
                    (self.over_run(layer, figures), format!("Deltas over time and training: {name}"));
                let (svg, numbers) = (super::scrolling(&title, &map.svg()), self.csv(layer, figures));
                let caption = "log₁₀ of RMS, step in time by training step";
                figure(page, &map.id, &title, caption, &svg, Some(&numbers));
            }
            page.push_str("</section>\n");
        }
    }

    /// Name, element and caption of each figure, at the step that is shown.
    pub(super) fn svgs(&self, figures: &Figures<'_>) -> Vec<(String, String, String)> {
        let shown = figures.shown;
        let of_grid = |grid: &Grid| {
            let caption = format!("{}: RMS, training step {}", grid.title, grid.sparse.step(shown));
            (grid.id.clone(), grid.map(shown).svg(), caption)
        };
        let of_chart = |(grid, chart, _): (&Grid, Chart, _)| {
            let caption = format!("{}: RMS, training step {}", chart.title, grid.sparse.step(shown));
            (chart.id.clone(), chart.svg(), caption)
        };
        let of_run = |layer: usize| {
            let map = self.over_run(layer, figures);
            (map.id.clone(), map.svg(), map.title.clone())
        };
        let runs = if figures.columns.len() > 1 { self.layers.len() } else { 0 };
        let grids = std::iter::once(&self.deltas).chain(&self.losses).map(of_grid);
        grids.chain(self.charts(shown).map(of_chart)).chain((0..runs).map(of_run)).collect()
    }

    /// Adds what the scripts need to show another training step.
    pub(super) fn add_data(&self, data: &mut Value, shown: usize) {
        let Self { deltas, outputs, .. } = self;
        let names = [&*deltas.name, &*outputs.name];
        data["sparse"][&deltas.name] = deltas.sparse.data(&names);
        for grid in [deltas, outputs].into_iter().chain(&self.losses) {
            data["values"][&grid.name] = grid.numbers();
        }
        for grid in &self.losses {
            data["sparse"][&grid.name] = grid.sparse.data(&[&grid.name]);
        }
        let per_layer = |of: &dyn Fn(&str, u64) -> Value| -> Value {
            let layers = self.layers.iter();
            layers.flat_map(|(_, name)| deltas.times.iter().map(move |&step| of(name, step))).collect()
        };
        data["paths"]["time"] = per_layer(&|name, _| json!(name));
        data["numbers"]["time"] = per_layer(&|_, step| json!(step));
        for (grid, chart, places) in self.charts(shown) {
            let mut series = Vec::with_capacity(places.len());
            for (number, (places, (_, name))) in places.iter().zip(&self.layers).enumerate() {
                let (of, paths) = (grid.name.clone(), "time".to_owned());
                series.push(slider::Series { number, name, of, spread: None, places, paths });
            }
            let plots = data["plots"].as_array_mut().into_iter();
            plots.for_each(|plots| plots.push(slider::plot(&chart, false, &series)));
        }
        data["maps"] = std::iter::once(deltas).chain(&self.losses).map(|grid| grid.data(shown)).collect();
    }
}
