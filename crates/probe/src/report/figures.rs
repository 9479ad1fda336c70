//! The recorded figures as the page holds them: a number per quantity, shown step and place, thinned and rounded.

use crate::{FlowStep, LayerFlow, ParameterFlow};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// So many steps are told apart on a screen.
const COLUMNS: usize = 200;

/// What a place is asked for.
type Measure<T> = (&'static str, fn(&T) -> Option<f64>);

const OF_LAYERS: [Measure<LayerFlow>; 8] = [
    ("mean", |layer| Some(layer.output.mean)),
    ("std", |layer| Some(layer.output.std)),
    ("rms", |layer| Some(layer.output.rms)),
    ("zeros", |layer| Some(layer.output.zero_share)),
    ("saturated", |layer| layer.saturated_share),
    ("dead", |layer| layer.dead_units.map(|dead| dead as f64 / layer.units.max(1) as f64)),
    ("delta", |layer| layer.delta.map(|delta| delta.rms)),
    ("delta-zeros", |layer| layer.delta.map(|delta| delta.zero_share)),
];

const OF_PARAMETERS: [Measure<ParameterFlow>; 4] = [
    ("gradient", |parameter| Some(parameter.gradient_rms)),
    ("weight", |parameter| Some(parameter.weight_rms)),
    // Without an update there is no ratio; that is what its NaN says.
    ("ratio", |parameter| (!parameter.update_rms.is_nan()).then_some(parameter.update_ratio)),
    ("rate", |parameter| (!parameter.update_rms.is_nan()).then_some(parameter.effective_learning_rate)),
];

/// What can be shown.
#[derive(Debug)]
pub(super) struct Figures<'a> {
    /// The steps that are shown.
    pub(super) columns: Vec<&'a FlowStep>,
    /// The column that is shown until another is asked for: where the first figure breaks, or the last.
    pub(super) shown: usize,
    /// How many there were.
    pub(super) recorded: usize,
    /// Least and greatest finite loss from each shown step to the next.
    pub(super) losses: Vec<[f64; 2]>,
    /// Path and kind.
    pub(super) layers: Vec<(String, String)>,
    pub(super) parameters: Vec<String>,
    /// By quantity, column and place.
    values: BTreeMap<&'static str, Vec<Vec<Option<f64>>>>,
}

impl<'a> Figures<'a> {
    pub(super) fn of(steps: &'a [FlowStep]) -> Self {
        let kept = kept(steps);
        let columns: Vec<&FlowStep> = kept.iter().map(|&idx| &steps[idx]).collect();
        let ends = kept.iter().skip(1).copied().chain([steps.len()]);
        let losses = kept.iter().zip(ends).map(|(&from, to)| {
            let finite = || steps[from..to].iter().map(|flow| flow.loss).filter(|loss| loss.is_finite());
            [finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max)]
        });
        // A layer that was not reached in one step may be in another: the fullest step names the places.
        let fullest = columns.iter().max_by_key(|flow| flow.layers.len());
        let layers: Vec<_> = fullest.map_or(Vec::new(), |flow| {
            flow.layers.iter().map(|layer| (layer.path.clone(), layer.kind.clone())).collect()
        });
        let fullest = columns.iter().max_by_key(|flow| flow.parameters.len());
        let parameters: Vec<_> = fullest.map_or(Vec::new(), |flow| {
            flow.parameters.iter().map(|parameter| parameter.path.clone()).collect()
        });
        let mut values = BTreeMap::new();
        for (quantity, of) in OF_LAYERS {
            let row = |flow: &&FlowStep| {
                let at =
                    |(idx, (path, _)): (usize, &(String, String))| of(layer(flow, idx, path)?).map(rounded);
                layers.iter().enumerate().map(at).collect::<Vec<_>>()
            };
            values.insert(quantity, columns.iter().map(row).collect::<Vec<_>>());
        }
        for (quantity, of) in OF_PARAMETERS {
            let row = |flow: &&FlowStep| {
                let at = |(idx, path): (usize, &String)| of(parameter(flow, idx, path)?).map(rounded);
                parameters.iter().enumerate().map(at).collect::<Vec<_>>()
            };
            values.insert(quantity, columns.iter().map(row).collect());
        }
        let losses = losses.collect();
        let shown = columns.iter().position(|flow| broken(flow)).unwrap_or(columns.len().saturating_sub(1));
        Self { columns, shown, recorded: steps.len(), losses, layers, parameters, values }
    }

    pub(super) fn step(&self, column: usize) -> u64 {
        self.columns[column].step
    }

    /// A figure; `None` if there is none.
    pub(super) fn get(&self, quantity: &str, column: usize, place: usize) -> Option<f64> {
        *self.values.get(quantity)?.get(column)?.get(place)?
    }

    /// All figures of a quantity that are numbers.
    pub(super) fn finite(&self, quantity: &str) -> impl Iterator<Item = f64> {
        let rows = self.values.get(quantity).into_iter().flatten();
        rows.flatten().flatten().copied().filter(|value| value.is_finite())
    }

    /// Whether the place has a figure at any step.
    pub(super) fn has(&self, quantity: &str, place: usize) -> bool {
        (0..self.columns.len()).any(|column| self.get(quantity, column, place).is_some())
    }

    pub(super) fn layer(&self, column: usize, place: usize) -> Option<&'a LayerFlow> {
        layer(self.columns[column], place, &self.layers[place].0)
    }

    pub(super) fn parameter(&self, column: usize, place: usize) -> Option<&'a ParameterFlow> {
        parameter(self.columns[column], place, &self.parameters[place])
    }

    pub(super) fn data(&self) -> Value {
        let row = |row: &Vec<Option<f64>>| row.iter().map(|&value| json(value)).collect::<Value>();
        let quantity = |rows: &Vec<Vec<Option<f64>>>| rows.iter().map(row).collect::<Value>();
        self.values.iter().map(|(&name, rows)| (name.to_owned(), quantity(rows))).collect()
    }
}

/// Which steps are shown: evenly many of those recorded, the ends, and where the first figure breaks with the step before it.
fn kept(steps: &[FlowStep]) -> BTreeSet<usize> {
    if steps.len() <= COLUMNS {
        return (0..steps.len()).collect();
    }
    let even = (0..COLUMNS).map(|idx| idx * (steps.len() - 1) / (COLUMNS - 1));
    let broken = steps.iter().position(broken).map(|at| at.saturating_sub(1)..=at);
    even.chain(broken.into_iter().flatten()).collect()
}

fn broken(flow: &FlowStep) -> bool {
    let stats = |layer: &LayerFlow| {
        !layer.output.rms.is_finite() || layer.delta.is_some_and(|delta| !delta.rms.is_finite())
    };
    !flow.loss.is_finite() || flow.layers.iter().any(stats)
}

fn layer<'a>(flow: &'a FlowStep, idx: usize, path: &str) -> Option<&'a LayerFlow> {
    let here = flow.layers.get(idx).filter(|layer| layer.path == path);
    here.or_else(|| flow.layers.iter().find(|layer| layer.path == path))
}

fn parameter<'a>(flow: &'a FlowStep, idx: usize, path: &str) -> Option<&'a ParameterFlow> {
    let here = flow.parameters.get(idx).filter(|parameter| parameter.path == path);
    here.or_else(|| flow.parameters.iter().find(|parameter| parameter.path == path))
}

/// Four digits: more cannot be seen, and the page would be twice as large.
fn rounded(x: f64) -> f64 {
    if x.is_finite() { format!("{x:.3e}").parse().unwrap_or(x) } else { x }
}

/// A figure as the script reads it.
pub(super) fn json(x: Option<f64>) -> Value {
    match x {
        Some(x) if !x.is_finite() => json!(x.to_string()),
        Some(0.0) => json!(0),
        x => json!(x),
    }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Figures};
    use crate::FlowStep;

    #[test]
    fn long_recordings_are_thinned_to_what_a_screen_shows() {
        let mut steps: Vec<FlowStep> =
            (1..=10_000).map(|step| FlowStep { step, loss: step as f64, ..FlowStep::default() }).collect();
        steps[7003].loss = f64::NAN;
        let figures = Figures::of(&steps);
        let shown: Vec<u64> = figures.columns.iter().map(|flow| flow.step).collect();
        assert!((COLUMNS..=COLUMNS + 2).contains(&shown.len()), "{}", shown.len());
        assert_eq!((shown[0], shown[shown.len() - 1], figures.recorded), (1, 10_000, 10_000));
        assert!(shown.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] <= 51), "{shown:?}");
        assert!(shown.contains(&7003) && shown.contains(&7004), "before and after the break: {shown:?}");
        // Nothing between two shown steps is lost from sight.
        assert_eq!(figures.losses[0], [1.0, (shown[1] - 1) as f64]);
        assert_eq!(Figures::of(&steps[..150]).columns.len(), 150);
    }
}
