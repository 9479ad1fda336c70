//! The recorded figures as the page holds them: a number per quantity, shown step and place, thinned and rounded.

use super::sparse::Sparse;
use backflow_probe::{FlowStep, LayerFlow, LayerKind, ParameterFlow, Spectrum};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// So many steps are told apart on a screen.
const COLUMNS: usize = 200;

/// What a place is asked for.
type Measure<T> = (&'static str, fn(&T) -> Option<f64>);

const OF_LAYERS: [Measure<LayerFlow>; 9] = [
    ("mean", |layer| Some(layer.output.mean)),
    ("std", |layer| Some(layer.output.std)),
    ("rms", |layer| Some(layer.output.rms)),
    ("zeros", |layer| Some(layer.output.zero_share)),
    ("saturated", |layer| layer.saturated_share),
    ("dead", |layer| layer.dead_units.map(|dead| share_of_units(layer, dead))),
    ("dead-epoch", |layer| layer.dead_units_of_epoch.map(|dead| share_of_units(layer, dead))),
    ("delta", |layer| layer.delta.map(|delta| delta.rms)),
    ("delta-zeros", |layer| layer.delta.map(|delta| delta.zero_share)),
];

const OF_PARAMETERS: [Measure<ParameterFlow>; 5] = [
    ("gradient", |parameter| Some(parameter.gradient_rms)),
    ("weight", |parameter| Some(parameter.weight_rms)),
    // Without an update there is no ratio; that is what its NaN says.
    ("ratio", |parameter| (!parameter.update_rms.is_nan()).then_some(parameter.update_ratio)),
    ("rate", |parameter| (!parameter.update_rms.is_nan()).then_some(parameter.effective_learning_rate)),
    ("momentum-cosine", |parameter| parameter.momentum_cosine),
];

/// What is measured at some steps only has a row per measurement; its name is also that of its [`Sparse`].
pub(super) const GRADIENT_COSINE: &str = "gradient-cosine";
pub(super) const JACOBIANS: &str = "jacobians";

const OF_JACOBIANS: [Measure<Spectrum>; 4] = [
    // What a random delta is multiplied by, so that it compares with the singular values.
    ("jacobian-rms", |spectrum| Some(spectrum.mean_square.sqrt())),
    ("jacobian-largest", |spectrum| Some(spectrum.largest)),
    ("jacobian-median", |spectrum| Some(spectrum.median)),
    ("jacobian-smallest", |spectrum| Some(spectrum.smallest)),
];

/// Of the network as a whole, a single place.
const OF_NETWORK: [Measure<Spectrum>; 5] = [
    ("network-rms", |spectrum| Some(spectrum.mean_square.sqrt())),
    ("network-largest", |spectrum| Some(spectrum.largest)),
    ("network-median", |spectrum| Some(spectrum.median)),
    ("network-smallest", |spectrum| Some(spectrum.smallest)),
    ("network-spread", |spectrum| Some(spectrum.spread)),
];

/// What can be shown.
#[derive(Debug)]
pub(super) struct Figures<'a> {
    /// All that was recorded.
    pub(super) steps: &'a [FlowStep],
    /// Which of them are shown.
    pub(super) kept: Vec<usize>,
    /// The steps that are shown.
    pub(super) columns: Vec<&'a FlowStep>,
    /// The column that is shown until another is asked for: where the first figure breaks, or the last.
    pub(super) shown: usize,
    /// Path and kind.
    pub(super) layers: Vec<(String, LayerKind)>,
    pub(super) parameters: Vec<String>,
    /// The paths of the layers that have Jacobians.
    pub(super) jacobians: Vec<String>,
    /// By quantity, row and place. There is a row per column, or per measurement of what is measured at some steps only.
    values: BTreeMap<&'static str, Vec<Vec<Option<f64>>>>,
    sparse: BTreeMap<&'static str, Sparse>,
}

impl<'a> Figures<'a> {
    pub(super) fn of(steps: &'a [FlowStep]) -> Self {
        let kept: Vec<usize> = kept(steps).into_iter().collect();
        let columns: Vec<&FlowStep> = kept.iter().map(|&idx| &steps[idx]).collect();
        // A layer that was not reached in one step may be in another: the fullest step names the places.
        let fullest = columns.iter().max_by_key(|flow| flow.layers.len());
        let layers: Vec<_> = fullest.map_or(Vec::new(), |flow| {
            flow.layers.iter().map(|layer| (layer.path.clone(), layer.kind.clone())).collect()
        });
        let fullest = columns.iter().max_by_key(|flow| flow.parameters.len());
        let parameters: Vec<_> = fullest.map_or(Vec::new(), |flow| {
            flow.parameters.iter().map(|parameter| parameter.path.clone()).collect()
        });
        let fullest =
            steps.iter().filter_map(|flow| flow.jacobians.as_ref()).max_by_key(|of| of.layers.len());
        let jacobians: Vec<String> =
            fullest.map_or(Vec::new(), |of| of.layers.iter().map(|(path, _)| path.clone()).collect());
        let shown = columns.iter().position(|flow| broken(flow)).unwrap_or(columns.len().saturating_sub(1));
        let (values, sparse) = (BTreeMap::new(), BTreeMap::new());
        let mut figures = Self { steps, kept, columns, shown, layers, parameters, jacobians, values, sparse };
        figures.measure();
        figures
    }

    fn measure(&mut self) {
        for (quantity, of) in OF_LAYERS {
            let row = |flow: &&FlowStep| {
                (0..self.layers.len()).map(|place| of(self.layer(flow, place)?).map(rounded)).collect()
            };
            let rows = self.columns.iter().map(row).collect();
            self.values.insert(quantity, rows);
        }
        for (quantity, of) in OF_PARAMETERS {
            let row = |flow: &&FlowStep| {
                (0..self.parameters.len())
                    .map(|place| of(self.parameter(flow, place)?).map(rounded))
                    .collect()
            };
            let rows = self.columns.iter().map(row).collect();
            self.values.insert(quantity, rows);
        }
        let has =
            |flow: &FlowStep| flow.parameters.iter().any(|parameter| parameter.gradient_cosine.is_some());
        if let Some(sparse) = self.sparse(COLUMNS, has) {
            let row = |&record: &usize| {
                let cosine = |place| self.parameter(&self.steps[record], place)?.gradient_cosine.map(rounded);
                (0..self.parameters.len()).map(cosine).collect()
            };
            let rows = sparse.records().iter().map(row).collect();
            self.values.insert(GRADIENT_COSINE, rows);
            self.sparse.insert(GRADIENT_COSINE, sparse);
        }
        if let Some(sparse) = self.sparse(COLUMNS, |flow| flow.jacobians.is_some()) {
            let measured =
                || sparse.records().iter().filter_map(|&record| self.steps[record].jacobians.as_ref());
            for (quantity, of) in OF_JACOBIANS {
                let rows = measured().map(|found| {
                    let at = |path: &String| {
                        let (_, spectrum) = found.layers.iter().find(|(name, _)| name == path)?;
                        of(spectrum).map(rounded)
                    };
                    self.jacobians.iter().map(at).collect()
                });
                let rows = rows.collect();
                self.values.insert(quantity, rows);
            }
            for (quantity, of) in OF_NETWORK {
                let rows = measured().map(|found| vec![of(&found.whole).map(rounded)]).collect();
                self.values.insert(quantity, rows);
            }
            self.sparse.insert(JACOBIANS, sparse);
        }
    }

    /// What was measured at some of the steps only. `None` if it was measured at none.
    pub(super) fn sparse(&self, most: usize, measured: impl Fn(&FlowStep) -> bool) -> Option<Sparse> {
        Sparse::of(self.steps, &self.kept, most, measured)
    }

    pub(super) fn step(&self, column: usize) -> u64 {
        self.columns[column].step
    }

    /// The recorded steps from a shown one to the next.
    pub(super) fn span(&self, column: usize) -> Range<usize> {
        self.kept[column]..self.kept.get(column + 1).copied().unwrap_or(self.steps.len())
    }

    /// The step at which was measured what a column shows of something [`rare`].
    pub(super) fn measured_at(&self, name: &str, column: usize) -> u64 {
        self.sparse.get(name).map_or_else(|| self.step(column), |sparse| sparse.step(column))
    }

    /// A figure; `None` if there is none.
    pub(super) fn get(&self, quantity: &str, column: usize, place: usize) -> Option<f64> {
        let sparse = rare(quantity).and_then(|name| self.sparse.get(name));
        let row = sparse.map_or(column, |sparse| sparse.row(column));
        *self.values.get(quantity)?.get(row)?.get(place)?
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

    pub(super) fn layer<'f>(&self, flow: &'f FlowStep, place: usize) -> Option<&'f LayerFlow> {
        let path = &self.layers[place].0;
        let here = flow.layers.get(place).filter(|layer| layer.path == *path);
        here.or_else(|| flow.layers.iter().find(|layer| layer.path == *path))
    }

    pub(super) fn parameter<'f>(&self, flow: &'f FlowStep, place: usize) -> Option<&'f ParameterFlow> {
        let path = &self.parameters[place];
        let here = flow.parameters.get(place).filter(|parameter| parameter.path == *path);
        here.or_else(|| flow.parameters.iter().find(|parameter| parameter.path == *path))
    }

    pub(super) fn data(&self) -> Value {
        let row = |row: &Vec<Option<f64>>| row.iter().map(|&value| json(value)).collect::<Value>();
        let quantity = |rows: &Vec<Vec<Option<f64>>>| rows.iter().map(row).collect::<Value>();
        self.values.iter().map(|(&name, rows)| (name.to_owned(), quantity(rows))).collect()
    }

    /// What was measured at some steps only, by name, with the quantities that it has.
    pub(super) fn sparse_data(&self) -> impl Iterator<Item = (String, Value)> {
        self.sparse.iter().map(|(&name, sparse)| {
            let quantities = self.values.keys().filter(|quantity| rare(quantity) == Some(name));
            (name.to_owned(), sparse.data(&quantities.copied().collect::<Vec<_>>()))
        })
    }
}

/// Under which name a quantity is measured at some steps only; `None` if it is at all.
pub(super) fn rare(quantity: &str) -> Option<&'static str> {
    if quantity == GRADIENT_COSINE {
        return Some(GRADIENT_COSINE);
    }
    OF_JACOBIANS.iter().chain(&OF_NETWORK).any(|(of, _)| *of == quantity).then_some(JACOBIANS)
}

fn share_of_units(layer: &LayerFlow, units: u64) -> f64 {
    units as f64 / layer.units.max(1) as f64
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
    use backflow_probe::FlowStep;

    #[test]
    fn long_recordings_are_thinned_to_what_a_screen_shows() {
        let mut steps: Vec<FlowStep> =
            (1..=10_000).map(|step| FlowStep { step, loss: step as f64, ..FlowStep::default() }).collect();
        steps[7003].loss = f64::NAN;
        let figures = Figures::of(&steps);
        let shown: Vec<u64> = figures.columns.iter().map(|flow| flow.step).collect();
        assert!((COLUMNS..=COLUMNS + 2).contains(&shown.len()), "{}", shown.len());
        assert_eq!((shown[0], shown[shown.len() - 1], figures.steps.len()), (1, 10_000, 10_000));
        assert!(shown.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] <= 51), "{shown:?}");
        assert!(shown.contains(&7003) && shown.contains(&7004), "before and after the break: {shown:?}");
        // Nothing between two shown steps is lost from sight.
        assert_eq!(figures.span(0), 0..shown[1] as usize - 1);
        assert_eq!(Figures::of(&steps[..150]).columns.len(), 150);
    }
}
