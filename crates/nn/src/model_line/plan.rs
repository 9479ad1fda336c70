//! [`Plan`]: a model line with all its sizes, from which the network is built.

use super::computes::Computes;
use super::error::LineError;
use super::families;
use super::parse::Item;
use super::samples::Samples;
use super::words::{Meaning, batch_norm, convolution, elements, flatten, linear_of, named};
use crate::activation::Activation;
use crate::init::Init;
use crate::layer::Layer;
use crate::mlp::Mlp;
use crate::residual::Residual;
use crate::run::Run;
use crate::sequential::Sequential;
use backflow_tensor::{Convolution, DType, Module, Path, Rng, Tensor, Visitor, VisitorMut};
use std::fmt;

/// The most parameters of a network: in `f32` they fill some 16 GB with gradients and an optimizer's state, and what is
/// far beyond would only be killed.
pub const MOST_PARAMETERS: usize = 1_000_000_000;

/// The most numbers that layers make: as many fill 16 GB in `f32`.
pub const MOST_NUMBERS: usize = 4_000_000_000;

/// What layers are drawn by.
#[derive(Clone, Copy)]
pub(super) struct Drawing {
    pub(super) init: Init,
    /// That of cells and transformers, which begin as PyTorch's unless another is asked for.
    pub(super) of_sequences: Init,
    pub(super) gain: f64,
    pub(super) dtype: DType,
}

pub(super) type Make = Box<dyn Fn(Drawing, &mut Rng) -> Box<dyn Layer> + Send + Sync>;

/// A layer that is to be made: sizes are those of one sample.
pub(super) struct Planned {
    pub(super) shape: Vec<usize>,
    pub(super) parameters: usize,
    pub(super) multiply_adds: usize,
    /// The numbers that it makes and keeps beside those of the shape.
    pub(super) within: usize,
    pub(super) computes: Computes,
    pub(super) make: Make,
}

impl Planned {
    /// All numbers that it makes of a sample.
    fn numbers(&self) -> usize {
        elements(&self.shape).saturating_add(self.within)
    }

    /// One that keeps the shape and has no parameters.
    pub(super) fn of_shape(
        x: &[usize],
        make: impl Fn(Drawing, &mut Rng) -> Box<dyn Layer> + Send + Sync + 'static,
    ) -> Self {
        let make = Box::new(make);
        Self {
            shape: x.to_vec(),
            parameters: 0,
            multiply_adds: 0,
            within: 0,
            computes: Computes::Other,
            make,
        }
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
    pub(super) samples: Samples,
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
    /// Multiplications of inputs with weights, and of attention, of queries with keys and of its weights with values, each
    /// with an addition, for one sample.
    pub multiply_adds: usize,
    /// The numbers that it makes of one sample and keeps until the way back: those of its output, and of an attention or
    /// a perceptron within.
    pub numbers: usize,
    /// What it computes.
    pub computes: Computes,
    /// The [gain](Activation::gain) that weights are drawn with there.
    pub gain: f64,
}

/// The network of the items, for these samples.
pub(super) fn plan(line: &str, items: &[Item], samples: &Samples) -> Result<Plan, LineError> {
    if let [Item { word, settings, at, .. }] = items {
        let whole = match word.meaning {
            Meaning::Network(network) => Some(network(settings, samples)),
            Meaning::Recurrent(_) => Some(families::recurrent(&line[at.clone()], settings, samples)),
            Meaning::Transformer(_) => Some(families::transformer(&line[at.clone()], settings, samples)),
            _ => None,
        };
        if let Some(whole) = whole {
            return whole.map_err(|what| LineError::new(line, at.clone(), what));
        }
    }
    let mut steps = Vec::new();
    let input = samples.shape();
    // A linear layer as the first takes images.
    if input.len() > 2
        && items.first().is_some_and(|item| matches!(item.word.meaning, Meaning::LayerOfRows(_)))
    {
        steps.push(Step::Layer { name: "flatten".to_owned(), planned: flatten(input) });
    }
    chain(line, items, samples, &mut steps, &mut [0; 2])?;
    let plan = Plan { samples: samples.clone(), steps, mlp: None };
    let end = items.last().map_or(0..0, |item| item.at.clone());
    let shape = plan.steps.last().map_or(input, Step::shape);
    let needed = samples.output_shape();
    if shape != needed {
        let before = match shape.len() {
            2 if !samples.is_each_step() => "last/",
            3 => "flatten/",
            _ => "",
        };
        let each = if samples.is_each_step() { ", at each step" } else { "" };
        let what = format!(
            "the network ends in {}, and the data need {}{each}; end it with {before}linear:{}",
            named(shape),
            named(&needed),
            samples.outputs
        );
        return Err(LineError::new(line, end, what));
    }
    Ok(plan)
}

/// Adds what the items are to the steps, and their parameters and numbers to those of the network so far.
fn chain(
    line: &str,
    items: &[Item],
    samples: &Samples,
    steps: &mut Vec<Step>,
    so_far: &mut [usize; 2],
) -> Result<(), LineError> {
    for Item { word, settings, inner, at } in items {
        let wrong = |what: String| LineError::new(line, at.clone(), what);
        let x = steps.last().map_or(samples.shape(), Step::shape).to_vec();
        let name = line[at.clone()].to_owned();
        let words = samples.words().filter(|_| steps.is_empty());
        let takes_tokens =
            matches!(word.meaning, Meaning::Embedding(_) | Meaning::Network(_) | Meaning::Sequence);
        if words.is_some() && !takes_tokens {
            return Err(wrong(format!(
                "{} takes numbers, and gets tokens; put embedding:64 before it",
                word.name
            )));
        }
        let step = match &word.meaning {
            Meaning::Layer(plan) | Meaning::LayerOfRows(plan) | Meaning::NormalisedBatch(plan) => {
                Step::Layer { name, planned: plan(settings, &x).map_err(&wrong)? }
            }
            Meaning::Recurrent(_) if samples.is_causal && settings.flag("bidirectional") => {
                let what = "the way back sees what is to be predicted; leave bidirectional out";
                return Err(wrong(what.to_owned()));
            }
            Meaning::Recurrent(plan) => Step::Layer { name, planned: plan(settings, &x).map_err(&wrong)? },
            Meaning::Transformer(plan) => {
                Step::Layer { name, planned: plan(settings, &x, samples).map_err(&wrong)? }
            }
            Meaning::Embedding(plan) => {
                let what = "embedding takes tokens, as first word, and gets numbers; leave it out";
                let words = words.ok_or_else(|| wrong(what.to_owned()))?;
                Step::Layer { name, planned: plan(settings, &x, words) }
            }
            Meaning::Network(_) => {
                let what = "is a whole network, and stands alone; among other words write its layers";
                return Err(wrong(format!("{} {what}", word.name)));
            }
            // Its layers have its place already.
            Meaning::Sequence => continue,
            Meaning::Residual => {
                let mut branch = Vec::new();
                let of_branch = Samples { shape: x.clone(), words: None, ..samples.clone() };
                chain(line, inner, &of_branch, &mut branch, so_far)?;
                let shape = branch.last().map_or(&*x, Step::shape).to_vec();
                let is_normalised =
                    inner.last().is_some_and(|item| matches!(item.word.meaning, Meaning::NormalisedBatch(_)));
                let shortcut = shortcut(&x, &shape, is_normalised).map_err(&wrong)?;
                Step::Residual { name, branch, shortcut, factor: settings.number("factor"), shape }
            }
        };
        let limits = [(MOST_PARAMETERS, "parameters"), (MOST_NUMBERS, "numbers of a sample")];
        for ((all, more), (most, what)) in so_far.iter_mut().zip(step.size()).zip(limits) {
            *all = all.saturating_add(more);
            if *all > most {
                let shape = named(step.shape());
                let what =
                    format!("more than {most} {what} up to this layer of {shape}; make the network smaller");
                return Err(wrong(what));
            }
        }
        steps.push(step);
    }
    Ok(())
}

/// What goes past a branch: nothing but x where the branch keeps the shape, else a projection, a convolution of
/// 1 × 1 with the strides of the branch, and normalised if the branch is (He et al. 2016, option B).
fn shortcut(x: &[usize], y: &[usize], is_normalised: bool) -> Result<Vec<Step>, String> {
    let step = |name: &str, planned| Step::Layer { name: name.to_owned(), planned };
    let unfit = || {
        let what = format!("no projection makes {} of {}, as the branch does", named(y), named(x));
        Err(format!(
            "{what}; let the branch keep rows and columns, as by padding=same, or divide them by strides"
        ))
    };
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
        ([before @ .., _], [others @ .., outputs]) if x.len() < 3 && before == others => {
            Ok(vec![step("projection", linear_of(x, *outputs, true)?)])
        }
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

    /// Its own parameters and numbers, without those of a branch.
    fn size(&self) -> [usize; 2] {
        let own = |step: &Self| match step {
            Self::Layer { planned, .. } => [planned.parameters, planned.numbers()],
            Self::Residual { shape, .. } => [0, elements(shape)],
        };
        let shortcut = if let Self::Residual { shortcut, .. } = self { &shortcut[..] } else { &[] };
        let add = |[a, b]: [usize; 2], [c, d]: [usize; 2]| [a.saturating_add(c), b.saturating_add(d)];
        shortcut.iter().map(own).fold(own(self), add)
    }

    /// Its function, if it is one of a kind that weights are drawn for.
    fn activation(&self) -> Option<Activation> {
        match self {
            Self::Layer { planned, .. } => {
                planned.computes.activation().filter(|f| *f != Activation::Identity)
            }
            Self::Residual { .. } => None,
        }
    }

    fn add_rows(&self, path: String, gain: f64, rows: &mut Vec<PlanRow>) {
        let row = |name: &String, shape: &[usize], computes| {
            let (layer, shape) = (name.clone(), shape.to_vec());
            let (path, numbers) = (path.clone(), elements(&shape));
            PlanRow { path, layer, shape, parameters: 0, multiply_adds: 0, numbers, computes, gain }
        };
        match self {
            Self::Layer { name, planned } => {
                let Planned { shape, parameters, multiply_adds, computes, .. } = planned;
                let (parameters, multiply_adds, numbers) = (*parameters, *multiply_adds, planned.numbers());
                rows.push(PlanRow { parameters, multiply_adds, numbers, ..row(name, shape, *computes) });
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
        Step::Layer { .. } => step.activation(),
        Step::Residual { branch, .. } => first_activation(branch),
    })
}

fn add_rows(steps: &[Step], prefix: &str, rows: &mut Vec<PlanRow>) {
    for (nth, (step, gain)) in steps.iter().zip(gains(steps)).enumerate() {
        step.add_rows(format!("{prefix}{nth}"), gain, rows);
    }
}

/// Weights are drawn for the activation that follows in the chain, or else the one before.
fn gains(steps: &[Step]) -> Vec<f64> {
    let mut next = steps.iter().rev().find_map(Step::activation).unwrap_or(Activation::Identity);
    let mut gains = vec![0.0; steps.len()];
    for (step, gain) in steps.iter().zip(&mut gains).rev() {
        next = step.activation().unwrap_or(next);
        *gain = next.gain();
    }
    gains
}

/// The layers one after the other.
fn sequence(steps: &[Step], by: Drawing, rng: &mut Rng) -> Sequential {
    let mut layers = Sequential::new();
    for (step, gain) in steps.iter().zip(gains(steps)) {
        layers = layers.add(match step {
            Step::Layer { planned, .. } => (planned.make)(Drawing { gain, ..by }, rng),
            Step::Residual { branch, shortcut, factor, .. } => {
                let block = Residual::new(sequence(branch, by, rng)).scaled_by(*factor);
                let past = (!shortcut.is_empty()).then(|| sequence(shortcut, by, rng));
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
    /// The network: an [`Mlp`] of that word, else a [`Sequential`]. Weights are drawn by `init`:
    ///
    /// - those of `linear` and `conv`, with the gain of the activation that follows in the same chain, or else of the one
    ///   before; and their biases;
    /// - of `rnn`, `lstm` and `gru` those of inputs, and from step to step unless `recurrent=` says how: see
    ///   [`Stack::init`](crate::Stack::init);
    /// - of `transformer` those of attentions and linear layers: see
    ///   [`TransformerSettings::init`](crate::TransformerSettings::init).
    ///
    /// Embeddings, positions and normalisations begin as they do. Without an `init`, linear layers and convolutions go by
    /// [`default_init`](Self::default_init), and cells and transformers begin as PyTorch's, which is also what
    /// [`Init::TorchLinear`] means to them.
    ///
    /// # Panics
    /// If `dtype` is not floating point, or as [`Init::sample`].
    #[must_use]
    #[track_caller]
    pub fn build(&self, init: impl Into<Option<Init>>, dtype: DType, rng: &mut Rng) -> Box<dyn Layer> {
        let (asked, suits) = (init.into(), self.default_init());
        let [init, of_sequences] = [suits, Init::TorchLinear].map(|default| asked.unwrap_or(default));
        match &self.mlp {
            Some((sizes, activation)) => Flat(Mlp::new(sizes, *activation, init, dtype, rng)).into(),
            None => sequence(&self.steps, Drawing { init, of_sequences, gain: 1.0, dtype }, rng).into(),
        }
    }

    /// What suits the first activation, by [`Init::default_for`], or a network without any.
    #[must_use]
    pub fn default_init(&self) -> Init {
        Init::default_for(self.activation().unwrap_or(Activation::Identity))
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
        self.samples.shape()
    }

    /// The samples that it is for.
    #[must_use]
    pub fn samples(&self) -> &Samples {
        &self.samples
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
