//! The recorded figures as the page holds them: a number per quantity, shown step and place, thinned and
//! rounded.

use super::numbering::Numbering;
use super::sparse::Sparse;
use crate::rounded::rounded;
use crate::steps::{self, Axis, COLUMNS};
use backflow_probe::quantities::QUANTITIES;
use backflow_probe::{Drawn, FlowStep, LayerFlow, LayerKind, Measured, ParameterFlow, Quantity, Read};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Range;

/// What can be shown.
#[derive(Debug)]
pub(super) struct Figures<'a> {
    /// All that was recorded.
    pub(super) steps: &'a [FlowStep],
    /// Which of them are shown.
    pub(super) kept: Vec<usize>,
    /// The steps that are shown.
    pub(super) columns: Vec<&'a FlowStep>,
    /// The column that is shown until another is asked for: where the first figure breaks, or the last of a full batch,
    /// unless one was asked for.
    pub(super) shown: usize,
    /// Path and kind.
    pub(super) layers: Vec<(String, LayerKind)>,
    pub(super) parameters: Vec<String>,
    /// The paths of the layers that have Jacobians.
    pub(super) jacobians: Vec<String>,
    pub(super) numbering: Numbering,
    pub(super) axis: Axis,
    /// By quantity, row and place. There is a row per column, or per measurement of what is measured at some
    /// steps only.
    values: BTreeMap<&'static str, Vec<Vec<Option<f64>>>>,
    sparse: BTreeMap<&'static str, Sparse>,
}

impl<'a> Figures<'a> {
    /// The step that is asked for, or the last before it, is shown, whatever is thinned.
    pub(super) fn of(steps: &'a [FlowStep], asked: Option<u64>) -> Self {
        let first_broken = steps.iter().position(broken);
        let asked = asked.map(|step| steps.partition_point(|flow| flow.step <= step).saturating_sub(1));
        let asked = asked.or(first_broken).or_else(|| FlowStep::shown(steps));
        // The last is there in any case.
        let always = first_broken.into_iter().chain(asked).filter(|at| at + 1 < steps.len());
        let kept: Vec<usize> = steps::thinned(steps.len(), always).into_iter().collect();
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
        let shown = asked.and_then(|record| kept.iter().position(|&kept| kept == record));
        let shown = shown.unwrap_or(columns.len().saturating_sub(1));
        let numbering = Numbering::of(layers.iter().map(|(path, _)| &**path), &parameters, &jacobians);
        let all: Vec<u64> = steps.iter().map(|flow| flow.step).collect();
        let axis = Axis::of(&kept, &steps::gaps_after(&all));
        let (values, sparse) = (BTreeMap::new(), BTreeMap::new());
        let mut figures = Self {
            steps,
            kept,
            columns,
            shown,
            layers,
            parameters,
            jacobians,
            numbering,
            axis,
            values,
            sparse,
        };
        figures.measure();
        figures
    }

    fn measure(&mut self) {
        for &quantity in QUANTITIES.iter().filter(|quantity| is_shown(quantity)) {
            let name = rare(quantity);
            if let Some(name) = name.filter(|name| !self.sparse.contains_key(name)) {
                let same = || QUANTITIES.iter().filter(|other| rare(other) == Some(name));
                let Some(sparse) = self.sparse(COLUMNS, |flow| same().any(|other| other.is_in(flow))) else {
                    continue;
                };
                self.sparse.insert(name, sparse);
            }
            let records = name.map_or(&*self.kept, |name| self.sparse[name].records());
            let rows: Vec<Vec<_>> =
                records.iter().map(|&record| self.row(quantity, &self.steps[record])).collect();
            // What no step has, as the share that rounding swallows of healthy updates, takes no room.
            if rows.iter().flatten().any(Option::is_some) {
                self.values.insert(quantity.name, rows);
            }
        }
    }

    /// The figures of all places at a step.
    fn row(&self, quantity: &Quantity, flow: &FlowStep) -> Vec<Option<f64>> {
        let places = |count: usize, of: &dyn Fn(usize) -> Option<f64>| {
            (0..count).map(|place| of(place).map(four_digits)).collect()
        };
        match quantity.read {
            Read::Step(of) => vec![of(flow).map(four_digits)],
            Read::Layer(_) | Read::MoreOfLayer => {
                places(self.layers.len(), &|place| quantity.of_layer(self.layer(flow, place)?))
            }
            Read::Parameter(_) | Read::MoreOfParameter => {
                places(self.parameters.len(), &|place| quantity.of_parameter(self.parameter(flow, place)?))
            }
            Read::Jacobian(of) => places(self.jacobians.len(), &|place| {
                let layers = &flow.jacobians.as_ref()?.layers;
                let (_, spectrum) = layers.iter().find(|(path, _)| *path == self.jacobians[place])?;
                Some(of(spectrum))
            }),
            Read::LayerExponents(_) | Read::ParameterExponents(_) | Read::Units(_) => Vec::new(),
        }
    }

    /// What was measured at some of the steps only. `None` if it was measured at none.
    pub(super) fn sparse(&self, most: usize, measured: impl Fn(&FlowStep) -> bool) -> Option<Sparse> {
        Sparse::of(self.steps, &self.kept, most, measured)
    }

    pub(super) fn step(&self, column: usize) -> u64 {
        self.columns[column].step
    }

    /// Round numbers of steps and where they are.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        steps::ticks(&self.columns.iter().map(|flow| flow.step).collect::<Vec<_>>(), &self.axis)
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
    pub(super) fn get(&self, quantity: &Quantity, column: usize, place: usize) -> Option<f64> {
        let sparse = rare(quantity).and_then(|name| self.sparse.get(name));
        let row = sparse.map_or(column, |sparse| sparse.row(column));
        *self.values.get(quantity.name)?.get(row)?.get(place)?
    }

    /// Whether any step has a figure of a quantity.
    pub(super) fn has_any(&self, quantity: &Quantity) -> bool {
        self.values.contains_key(quantity.name)
    }

    /// All figures of a quantity that are numbers.
    pub(super) fn finite(&self, quantity: &Quantity) -> impl Iterator<Item = f64> {
        let rows = self.values.get(quantity.name).into_iter().flatten();
        rows.flatten().flatten().copied().filter(|value| value.is_finite())
    }

    /// Whether the place has a figure at any step.
    pub(super) fn has(&self, quantity: &Quantity, place: usize) -> bool {
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
            let quantities = QUANTITIES.iter().filter(|quantity| is_shown(quantity));
            let quantities = quantities.filter(|quantity| rare(quantity) == Some(name));
            (name.to_owned(), sparse.data(&quantities.map(|quantity| quantity.name).collect::<Vec<_>>()))
        })
    }
}

/// Whether a plot, a table or a caption shows the quantity at the step that is picked.
fn is_shown(quantity: &Quantity) -> bool {
    match quantity.drawn {
        Drawn::EventFiles | Drawn::BelowMap | Drawn::Histograms { .. } => false,
        Drawn::HeadMap { .. } | Drawn::UnitMaps { .. } => false,
        Drawn::Caption { .. } => true,
        Drawn::Table | Drawn::Curves { .. } | Drawn::Curve { .. } | Drawn::Limit { .. } => {
            !matches!(quantity.read, Read::Step(_))
        }
    }
}

/// Under which name a quantity that is shown has a row per measurement instead of one per column; `None` if
/// it is measured at all of them. Quantities that are measured together have one name.
pub(super) fn rare(quantity: &Quantity) -> Option<&'static str> {
    match quantity.measured {
        Measured::GradientCosines => Some("gradient_cosine"),
        Measured::Jacobians => Some("jacobians"),
        Measured::Itself { .. } => Some(quantity.name),
        Measured::Looks
        | Measured::Histograms
        | Measured::Units
        | Measured::NoiseScale
        | Measured::Curvature => None,
    }
}

/// Whether a figure of the step is not a number, or infinite.
pub(crate) fn broken(flow: &FlowStep) -> bool {
    let stats = |layer: &LayerFlow| {
        !layer.output.rms.is_finite() || layer.delta.is_some_and(|delta| !delta.rms.is_finite())
    };
    !flow.loss.is_finite() || flow.layers.iter().any(stats)
}

/// More cannot be seen, and the page would be twice as large.
pub(crate) fn four_digits(x: f64) -> f64 {
    rounded(x, 4)
}

/// A figure as the script reads it.
pub(crate) fn json(x: Option<f64>) -> Value {
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
        let figures = Figures::of(&steps, None);
        let shown: Vec<u64> = figures.columns.iter().map(|flow| flow.step).collect();
        assert!((COLUMNS..=COLUMNS + 2).contains(&shown.len()), "{}", shown.len());
        assert_eq!((shown[0], shown[shown.len() - 1], figures.steps.len()), (1, 10_000, 10_000));
        assert!(shown.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] <= 51), "{shown:?}");
        assert!(shown.contains(&7003) && shown.contains(&7004), "before and after the break: {shown:?}");
        // The step that is asked for is there.
        for asked in [1, 2, 77, 6999, 20_000] {
            let figures = Figures::of(&steps, Some(asked));
            assert_eq!(figures.step(figures.shown), asked.min(10_000));
        }
        // Nothing between two shown steps is lost from sight.
        assert_eq!(figures.span(0), 0..shown[1] as usize - 1);
        assert_eq!(Figures::of(&steps[..150], None).columns.len(), 150);
    }
}
