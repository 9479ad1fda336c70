//! [`Network`]: what is trained, of `--model`, or of `--layers` and `--activation`.

use crate::batches;
use crate::failure::Failure;
use crate::images::Images;
use crate::setup::{joined, usage};
use backflow_nn::{Activation, Init, Layer, LineError, Mlp, ModelLine, Plan, Run};
use backflow_tensor::{DType, Module, Path, Rng, Tensor, Visitor, VisitorMut};
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
    /// The shape of an input: channels, rows and columns.
    input: Vec<usize>,
    classes: usize,
}

/// Of a layer of a network that theory is asked about, the most numbers of a sample.
const LARGEST: usize = 1 << 20;

impl ModelConfig {
    pub(crate) fn new(line: String, input: Vec<usize>, classes: usize) -> Self {
        Self { language: LANGUAGE, line, input, classes }
    }

    /// The network, sizes and all. `None` where the file was written by hand and is of none, or of too large a one.
    pub(crate) fn plan(&self) -> Option<Plan> {
        let is_small = |shape: &[usize]| {
            shape
                .iter()
                .try_fold(1_usize, |all, size| all.checked_mul(*size))
                .is_some_and(|all| all <= LARGEST)
        };
        let line: ModelLine = self.line.parse().ok().filter(|_| is_small(&self.input))?;
        let plan = line.plan(&self.input, self.classes).ok()?;
        plan.rows().iter().all(|row| is_small(&row.shape)).then_some(plan)
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
    /// The network of a line, for these images.
    pub(crate) fn of_line(line: &ModelLine, images: &Images) -> Result<Self, Failure> {
        let (input, classes) = (images.input(), images.train.classes());
        let plan = line.plan(&input, classes).map_err(|error| wrong(&error))?;
        if let Some((sizes, activation)) = plan.perceptron() {
            return Ok(Self::Perceptron(sizes.to_vec(), activation));
        }
        Ok(Self::Line(ModelConfig::new(line.to_string(), input, classes), plan))
    }

    /// The images as the network takes them: flat, or with channels, rows and columns.
    pub(crate) fn shaped(&self, images: Images) -> Images {
        match self {
            Self::Line(..) if images.train.image_shape().is_some() => images.map(|set| set.as_images()),
            _ => images,
        }
    }

    /// Refuses a training on batches that it cannot go by: see [`batches::check`].
    pub(crate) fn check_batches(&self, examples: usize, size: usize, parts: usize) -> Result<(), Failure> {
        match self {
            Self::Line(_, plan) => batches::check(plan, examples, size, parts),
            Self::Perceptron(..) => Ok(()),
        }
    }

    /// How weights begin where nobody says: what suits the first activation.
    pub(crate) fn default_init(&self) -> Init {
        Init::default_for(match self {
            Self::Perceptron(_, activation) => *activation,
            Self::Line(_, plan) => plan.activation().unwrap_or(Activation::Identity),
        })
    }

    pub(crate) fn build(&self, init: Init, dtype: DType, rng: &mut Rng) -> Model {
        Model(match self {
            Self::Perceptron(sizes, activation) => Mlp::new(sizes, *activation, init, dtype, rng).into(),
            Self::Line(_, plan) => plan.build(init, dtype, rng),
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
