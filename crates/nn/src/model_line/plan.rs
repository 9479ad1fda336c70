//! [`Plan`]: a model line with all its sizes, from which the network is built.

use super::computes::Computes;
use super::error::LineError;
use super::parse::Item;
use super::words::{Meaning, batch_norm, convolution, elements, flatten, linear_of, named};
use crate::activation::Activation;
use crate::init::Init;
use crate::layer::Layer;
use crate::mlp::Mlp;
use crate::residual::Residual;
use crate::run::Run;
use crate::sequential::Sequential;
use backflow_tensor::quote::printable;
use backflow_tensor::{Convolution, DType, Module, Path, Rng, Tensor, Visitor, VisitorMut};
use std::fmt;

/// The most parameters of a network, and the most numbers that a layer makes of a sample.
const MOST: usize = 1 << 32;

/// What layers are drawn by.
#[derive(Clone, Copy)]
pub(super) struct Drawing {
    pub(super) init: Init,
    pub(super) gain: f64,
    pub(super) dtype: DType,
}

pub(super) type Make = Box<dyn Fn(Drawing, &mut Rng) -> Box<dyn Layer> + Send + Sync>;

/// A layer that is to be made: sizes are those of one sample.
pub(super) struct Planned {
    pub(super) shape: Vec<usize>,
    pub(super) parameters: usize,
    pub(super) multiply_adds: usize,
    pub(super) computes: Computes,
    pub(super) make: Make,
}

impl Planned {
    /// One that keeps the shape and has no parameters.
    pub(super) fn of_shape(
        x: &[usize],
        make: impl Fn(Drawing, &mut Rng) -> Box<dyn Layer> + Send + Sync + 'static,
    ) -> Self {
        let make = Box::new(make);
        Self { shape: x.to_vec(), parameters: 0, multiply_adds: 0, computes: Computes::Other, make }
    }
}

pub(super) enum Step {
    Layer { name: String, planned: Planned },
    Residual { name: String, branch: Vec<Self>, shortcut: Vec<Self>, factor: f64, shape: Vec<usize> },
}

/// A model line with the sizes of all layers, for inputs of one shape. Shown, it is a table of the network.
///
/// ```
/// use backflow_nn::{Init, ModelLine, Module};
/// use backflow_tensor::{DType, Rng};
///
/// let line: ModelLine = "conv:8,stride=2/relu/flatten/linear:10".parse()?;
/// let plan = line.plan(&[1, 28, 28], 10)?;
/// assert_eq!(plan.rows()[3].shape, [10]);
/// let model = plan.build(Init::TorchLinear, DType::F32, &mut Rng::seed_from_u64(7));
/// assert_eq!(model.parameter_count(), plan.rows().iter().map(|row| row.parameters).sum());
/// # Ok::<(), backflow_nn::LineError>(())
/// ```
pub struct Plan {
    pub(super) input: Vec<usize>,
    pub(super) steps: Vec<Step>,
    /// Of an `Mlp`: its sizes and its activation.
    pub(super) mlp: Option<(Vec<usize>, Activation)>,
}

/// A layer of a network, in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRow {
    /// The path in the model.
    pub path: String,
    /// The layer, as it stands in the line.
    pub layer: String,
    /// The shape of its output, for one sample.
    pub shape: Vec<usize>,
    /// Its parameters.
    pub parameters: usize,
    /// Multiplications of inputs with weights, each with an addition, for one sample.
    pub multiply_adds: usize,
    /// What it computes.
    pub computes: Computes,
    /// The [gain](Activation::gain) that weights are drawn with there.
    pub gain: f64,
}

/// The network of the items, for inputs of this shape and so many outputs.
pub(super) fn plan(line: &str, items: &[Item], input: &[usize], classes: usize) -> Result<Plan, LineError> {
    if let [Item { word, settings, at, .. }] = items
        && let Meaning::Network(network) = word.meaning
    {
        return network(settings, input, classes).map_err(|what| LineError::new(line, at.clone(), what));
    }
    let mut steps = Vec::new();
    // A linear layer as the first takes samples of any shape.
    if input.len() > 1
        && items.first().is_some_and(|item| matches!(item.word.meaning, Meaning::LayerOfRows(_)))
    {
        steps.push(Step::Layer { name: "flatten".to_owned(), planned: flatten(input) });
    }
    chain(line, items, input, &mut steps)?;
    let plan = Plan { input: input.to_vec(), steps, mlp: None };
    let end = items.last().map_or(0..0, |item| item.at.clone());
    let shape = plan.steps.last().map_or(input, Step::shape);
    if shape != [classes] {
        let what = format!("the network ends in {}, and the data need [{classes}]", named(shape));
        return Err(LineError::new(line, end, what));
    }
    let parameters = plan.rows().iter().fold(0_usize, |all, row| all.saturating_add(row.parameters));
    if parameters > MOST {
        return Err(LineError::new(line, 0..line.len(), format!("more than {MOST} parameters")));
    }
    Ok(plan)
}

fn chain(line: &str, items: &[Item], input: &[usize], steps: &mut Vec<Step>) -> Result<(), LineError> {
    for Item { word, settings, inner, at } in items {
        let wrong = |what: String| LineError::new(line, at.clone(), what);
        let x = steps.last().map_or(input, Step::shape).to_vec();
        let name = line[at.clone()].to_owned();
        let step = match &word.meaning {
            Meaning::Layer(plan) | Meaning::LayerOfRows(plan) | Meaning::NormalisedBatch(plan) => {
                Step::Layer { name, planned: plan(settings, &x).map_err(&wrong)? }
            }
            Meaning::Network(_) => {
                return Err(wrong(format!("{} is a whole network, and stands alone", word.name)));
            }
            // Its layers have its place already.
            Meaning::Sequence => continue,
            Meaning::Residual => {
                let mut branch = Vec::new();
                chain(line, inner, &x, &mut branch)?;
                let shape = branch.last().map_or(&*x, Step::shape).to_vec();
                let is_normalised =
                    inner.last().is_some_and(|item| matches!(item.word.meaning, Meaning::NormalisedBatch(_)));
                let shortcut = shortcut(&x, &shape, is_normalised).map_err(&wrong)?;
                Step::Residual { name, branch, shortcut, factor: settings.number("factor"), shape }
            }
        };
        if elements(step.shape()) > MOST {
            return Err(wrong(format!("more than {MOST} numbers: {}", named(step.shape()))));
        }
        steps.push(step);
    }
    Ok(())
}

/// What goes past a branch: nothing but x where the branch keeps the shape, else a projection, a convolution of
/// 1 × 1 with the strides of the branch, and normalised if the branch is (He et al. 2016, option B).
fn shortcut(x: &[usize], y: &[usize], is_normalised: bool) -> Result<Vec<Step>, String> {
    let step = |name: &str, planned| Step::Layer { name: name.to_owned(), planned };
    let unfit = || Err(format!("no projection makes {} of {}, as the branch does", named(y), named(x)));
    match (x, y) {
        _ if x == y => Ok(Vec::new()),
        ([_, rows, columns], [channels, to_rows, to_columns]) => {
            let stride = [rows.div_ceil(*to_rows), columns.div_ceil(*to_columns)];
            let windows = Convolution::new().stride(stride);
            let projection = convolution(x, *channels, [1; 2], windows, !is_normalised)?;
            if projection.shape != y {
                return unfit();
            }
            let mut steps = vec![step("projection", projection)];
            if is_normalised {
                steps.push(step("batchnorm", batch_norm(y)?));
            }
            Ok(steps)
        }
        ([_], [outputs]) => Ok(vec![step("projection", linear_of(x, *outputs, true)?)]),
        _ => unfit(),
    }
}

impl Step {
    fn shape(&self) -> &[usize] {
        match self {
            Self::Layer { planned, .. } => &planned.shape,
            Self::Residual { shape, .. } => shape,
        }
    }

    fn activation(&self) -> Option<Activation> {
        match self {
            Self::Layer { planned, .. } => planned.computes.activation(),
            Self::Residual { .. } => None,
        }
    }

    fn add_rows(&self, path: String, gain: f64, rows: &mut Vec<PlanRow>) {
        let row = |name: &String, shape: &[usize], computes| {
            let (layer, shape) = (name.clone(), shape.to_vec());
            PlanRow { path: path.clone(), layer, shape, parameters: 0, multiply_adds: 0, computes, gain }
        };
        match self {
            Self::Layer { name, planned } => {
                let Planned { shape, parameters, multiply_adds, computes, .. } = planned;
                let (parameters, multiply_adds) = (*parameters, *multiply_adds);
                rows.push(PlanRow { parameters, multiply_adds, ..row(name, shape, *computes) });
            }
            Self::Residual { name, branch, shortcut, factor, shape } => {
                let of = |steps: &[Self], prefix: &str, rows: &mut Vec<PlanRow>| {
                    let before = rows.len();
                    add_rows(steps, &format!("{path}.{prefix}"), rows);
                    rows.len() - before
                };
                let (branch, shortcut) = (of(branch, "", rows), of(shortcut, "shortcut.", rows));
                rows.push(row(name, shape, Computes::Residual { branch, shortcut, factor: *factor }));
            }
        }
    }
}

fn first_activation(steps: &[Step]) -> Option<Activation> {
    steps.iter().find_map(|step| match step {
        Step::Layer { planned, .. } => planned.computes.activation(),
        Step::Residual { branch, .. } => first_activation(branch),
    })
}

fn add_rows(steps: &[Step], prefix: &str, rows: &mut Vec<PlanRow>) {
    for (nth, step) in steps.iter().enumerate() {
        step.add_rows(format!("{prefix}{nth}"), gain(steps, nth), rows);
    }
}

/// Weights are drawn for the activation that follows in the chain, or else the one before.
fn gain(steps: &[Step], nth: usize) -> f64 {
    let (before, after) = steps.split_at(nth);
    let activation = after.iter().find_map(Step::activation);
    let activation = activation.or_else(|| before.iter().rev().find_map(Step::activation));
    activation.unwrap_or(Activation::Identity).gain()
}

/// The layers one after the other.
fn sequence(steps: &[Step], init: Init, dtype: DType, rng: &mut Rng) -> Sequential {
    let mut layers = Sequential::new();
    for (nth, step) in steps.iter().enumerate() {
        let gain = gain(steps, nth);
        layers = layers.add(match step {
            Step::Layer { planned, .. } => (planned.make)(Drawing { init, gain, dtype }, rng),
            Step::Residual { branch, shortcut, factor, .. } => {
                let block = Residual::new(sequence(branch, init, dtype, rng)).scaled_by(*factor);
                let past = (!shortcut.is_empty()).then(|| sequence(shortcut, init, dtype, rng));
                match past {
                    Some(past) => block.with_shortcut(past).into(),
                    None => block.into(),
                }
            }
        });
    }
    layers
}

impl Plan {
    /// The network: an [`Mlp`] of that word, else a [`Sequential`]. Weights are drawn by `init`, for the activation
    /// that follows in the same chain, or else for the one before.
    ///
    /// # Panics
    /// If `dtype` is not floating point, or as [`Init::sample`].
    #[must_use]
    #[track_caller]
    pub fn build(&self, init: Init, dtype: DType, rng: &mut Rng) -> Box<dyn Layer> {
        match &self.mlp {
            Some((sizes, activation)) => Flat(Mlp::new(sizes, *activation, init, dtype, rng)).into(),
            None => sequence(&self.steps, init, dtype, rng).into(),
        }
    }

    /// The sizes of a multilayer perceptron, inputs first, and its activation; `None` of every other network.
    #[must_use]
    pub fn perceptron(&self) -> Option<(&[usize], Activation)> {
        self.mlp.as_ref().map(|(sizes, activation)| (&**sizes, *activation))
    }

    /// The first activation function, by which [`Init::default_for`] finds what weights begin with.
    #[must_use]
    pub fn activation(&self) -> Option<Activation> {
        first_activation(&self.steps)
    }

    /// The shape of a sample that it is for.
    #[must_use]
    pub fn input(&self) -> &[usize] {
        &self.input
    }

    /// The layers, in the order of the computation.
    #[must_use]
    pub fn rows(&self) -> Vec<PlanRow> {
        let mut rows = Vec::new();
        add_rows(&self.steps, "", &mut rows);
        if self.mlp.is_some() {
            rows.retain(|row| row.layer != "flatten");
            for (nth, row) in rows.iter_mut().enumerate() {
                row.path = format!("{}.{}", ["layers", "activations"][nth % 2], nth / 2);
            }
        }
        rows
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["path", "layer", "shape", "parameters", "multiply-adds"].map(str::to_owned);
        let cells = |row: &PlanRow| {
            let (layer, numbers) = (printable(&row.layer), [row.parameters, row.multiply_adds]);
            let [parameters, multiply_adds] = numbers.map(|number| number.to_string());
            [row.path.clone(), layer.into_owned(), named(&row.shape), parameters, multiply_adds]
        };
        let rows = self.rows();
        let sum =
            |of: fn(&PlanRow) -> usize| rows.iter().fold(0_usize, |all, row| all.saturating_add(of(row)));
        let (parameters, multiply_adds) = (sum(|row| row.parameters), sum(|row| row.multiply_adds));
        let end = ["all", "", "", &parameters.to_string(), &multiply_adds.to_string()].map(str::to_owned);
        let table: Vec<[String; 5]> =
            std::iter::once(head).chain(rows.iter().map(cells)).chain([end]).collect();
        let width =
            |column: usize| table.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default();
        let [path, layer, shape, parameters, multiply_adds] = std::array::from_fn(width);
        for [a, b, c, d, e] in &table {
            writeln!(f, "{a:path$}  {b:layer$}  {c:shape$}  {d:>parameters$}  {e:>multiply_adds$}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rows()).finish()
    }
}

/// A perceptron that takes samples of any shape; its paths stay as they are.
#[derive(Clone, Debug)]
struct Flat(Mlp);

impl Layer for Flat {
    fn forward(&self, x: &Tensor) -> Tensor {
        let mut run = Run::new();
        self.append_to(&mut run);
        run.forward(x)
    }

    fn append_to<'a>(&'a self, run: &mut Run<'a>) {
        run.other(|x| if x.rank() > 2 { x.flatten(1) } else { x.clone() });
        self.0.append_to(run);
    }
}

impl Module for Flat {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.0.visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.0.visit_mut(path, visitor);
    }
}
