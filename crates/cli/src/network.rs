//! [`Network`]: what is trained, of `--model`, or of `--layers` and `--activation`.

use crate::batches::{self, Purpose};
use crate::data::Data;
use crate::failure::Failure;
use crate::setup::{joined, usage};
use backflow_nn::{
    Activation, Computes, Init, Layer, LineError, Mlp, ModelLine, Plan, PlanRow, Run, Samples,
};
use backflow_tensor::{DType, Module, Path, Rng, Tensor, Visitor, VisitorMut};
use backflow_train::Batches;
use serde::{Deserialize, Serialize};

/// The version of the language that lines are written in.
const LANGUAGE: u32 = 1;

/// A network whose sizes fit the data.
#[derive(Debug)]
pub(crate) enum Network {
    /// A perceptron of these sizes, inputs first.
    Perceptron(Vec<usize>, Activation),
    /// What a line says.
    Line(ModelConfig, Plan),
}

/// A model line and what it was planned for: enough to build the network again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelConfig {
    language: u32,
    pub(crate) line: String,
    /// The shape of an input: channels, rows and columns, or steps and features.
    input: Vec<usize>,
    /// Or how many outputs there are.
    classes: usize,
    /// What else samples are; nothing of images and rows of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    words: Option<usize>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    each_step: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    causal: bool,
}

/// The most that theory may take of a network: places of images, each as often as windows see it. That of
/// `resnet:1202` takes 1.2e7, and a number is kept of each place.
const MOST_PLACES: usize = 1 << 24;

impl ModelConfig {
    pub(crate) fn new(line: String, samples: &Samples) -> Self {
        let (input, classes) = (samples.shape().to_vec(), samples.outputs());
        let (each_step, causal) = (samples.is_each_step(), samples.is_causal());
        Self { language: LANGUAGE, line, input, classes, words: samples.words(), each_step, causal }
    }

    fn samples(&self) -> Samples {
        let samples = match (self.words, &*self.input) {
            (Some(words), [steps]) => Samples::of_tokens(*steps, words),
            _ => Samples::new(&self.input, self.classes),
        };
        let samples = if self.each_step { samples.each_step() } else { samples };
        if self.causal { samples.causal() } else { samples }
    }

    /// The network, sizes and all. `None` where the file was written by hand and is of none, or of one that is too
    /// large for theory.
    pub(crate) fn plan(&self) -> Option<Plan> {
        let line: ModelLine = self.line.parse().ok()?;
        let is_counted = self.input.iter().try_fold(1_usize, |all, size| all.checked_mul(*size)).is_some();
        let plan = line.plan_for(&self.samples()).ok().filter(|_| is_counted)?;
        let places =
            |shape: &[usize]| shape.iter().skip(1).fold(1_usize, |all, size| all.saturating_mul(*size));
        let seen = |row: &PlanRow| match row.computes {
            Computes::Convolution { kernel, .. } => {
                places(&row.shape).saturating_mul(kernel[0].saturating_mul(kernel[1]))
            }
            _ => places(&row.shape),
        };
        let taken = plan.rows().iter().fold(places(&self.input), |all, row| all.saturating_add(seen(row)));
        (taken <= MOST_PLACES).then_some(plan)
    }
}

/// A network of either kind, with the paths that it has by itself.
#[derive(Clone, Debug)]
pub(crate) struct Model(Box<dyn Layer>);

impl Layer for Model {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.0.forward(x)
    }

    fn append_to<'a>(&'a self, run: &mut Run<'a>) {
        self.0.append_to(run);
    }
}

impl Module for Model {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.0.visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.0.visit_mut(path, visitor);
    }
}

impl Network {
    /// The network of a line, for these samples.
    pub(crate) fn of_line(line: &ModelLine, samples: Samples) -> Result<Self, Failure> {
        let plan = line.plan_for(&samples).map_err(|error| wrong(&error))?;
        if let Some((sizes, activation)) = plan.perceptron() {
            return Ok(Self::Perceptron(sizes.to_vec(), activation));
        }
        Ok(Self::Line(ModelConfig::new(line.to_string(), &samples), plan))
    }

    /// The data as the network takes them: flat, or with channels, rows and columns, or with steps.
    pub(crate) fn shaped(&self, data: Data) -> Data {
        let (rank, features) = (data.train.input_shape().rank(), data.train.features());
        let is_image = data.train.image_shape().is_some();
        match self {
            Self::Line(..) if is_image && rank == 1 => data.map(|set| set.as_images()),
            Self::Perceptron(..) if rank > 1 => data.map(|set| set.with_input_shape([features])),
            _ => data,
        }
    }

    /// Refuses batches that it cannot go by: see [`batches::check`].
    pub(crate) fn check(&self, batches: Batches, purpose: Purpose) -> Result<(), Failure> {
        match self {
            Self::Line(_, plan) => batches::check(plan, batches, purpose),
            Self::Perceptron(sizes, _) => batches::check_perceptron(sizes, batches, purpose),
        }
    }

    /// How weights begin where nobody says: what suits the first activation. Cells and transformers begin as PyTorch's then.
    pub(crate) fn default_init(&self) -> Init {
        match self {
            Self::Perceptron(_, activation) => Init::default_for(*activation),
            Self::Line(_, plan) => plan.default_init(),
        }
    }

    /// With initial weights as asked, or else what suits.
    pub(crate) fn build(&self, asked: Option<Init>, dtype: DType, rng: &mut Rng) -> Model {
        Model(match self {
            Self::Perceptron(sizes, activation) => {
                let init = asked.unwrap_or_else(|| self.default_init());
                Mlp::new(sizes, *activation, init, dtype, rng).into()
            }
            Self::Line(_, plan) => plan.build(asked, dtype, rng),
        })
    }

    /// Its layers in words.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Perceptron(sizes, activation) => format!("{}, {}", joined(sizes, "-"), activation.name()),
            Self::Line(model, _) => model.line.clone(),
        }
    }

    /// As part of a folder's name.
    pub(crate) fn slug(&self) -> String {
        match self {
            Self::Perceptron(sizes, activation) => format!("{}-{}", joined(sizes, "-"), activation.name()),
            Self::Line(model, _) => {
                let words = model.line.split(|letter: char| !letter.is_ascii_alphanumeric());
                words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
            }
        }
    }

    /// The sizes of a perceptron and its activation, or the line of another network, for configurations.
    pub(crate) fn facts(&self) -> (Vec<usize>, Option<Activation>, Option<ModelConfig>) {
        match self {
            Self::Perceptron(sizes, activation) => (sizes.clone(), Some(*activation), None),
            Self::Line(model, _) => (Vec::new(), None, Some(model.clone())),
        }
    }
}

/// Where in the line it is wrong, and how.
pub(crate) fn wrong(error: &LineError) -> Failure {
    usage("--model", error)
}

#[cfg(test)]
mod tests {
    use super::ModelConfig;
    use backflow_nn::Samples;

    /// A file that was written by hand asks for no more memory and time than theory has for a network.
    #[test]
    fn what_is_too_large_for_theory_has_no_plan() {
        let has_plan = |line: &str, size: usize| {
            ModelConfig::new(line.to_owned(), &Samples::new(&[1, size, size], 10)).plan().is_some()
        };
        assert!(
            has_plan("cnn", 28)
                && has_plan("resnet:1202", 32)
                && has_plan("conv:64/relu/conv:64/flatten/linear:10", 224)
        );
        assert!(!has_plan("[dropout:0]*9000/flatten/linear:10", 1024));
        assert!(!has_plan("conv:1,kernel=1001,padding=500/flatten/linear:10", 1024));
        assert!(!has_plan("flatten/linear:10", 1 << 40) && !has_plan("mlp:8", usize::MAX));
    }
}
