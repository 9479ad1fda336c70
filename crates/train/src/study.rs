//! Networks studied before they are trained: how gradients flow back through each of many, beside what theory
//! predicts.
//!
//! ```text
//! Configuration     a multilayer perceptron, or a model line with what its placeholders were filled with, and how
//!                   weights begin
//! Study             what is the same for all of them: the examples, the seeds, perhaps a short training
//!   .examine(…)     configurations, each over all seeds                         → a Finding each
//! Finding           its flow at initialisation, the theory, and whether it learns
//! ```
//!
//! Layers of a line are those that a verdict judges, in the order of computation: hidden layers, and where the gradient
//! can go around some, as in residual blocks, one for each place where the ways meet. The flow is that of a step of
//! training: batch normalisation goes by the examples, and dropout drops.
//!
//! Figures over seeds are combined in log space: of a quantity that spans decades, the arithmetic mean is its
//! largest value over again. Networks are examined [side by side](crate::side_by_side); a program is given
//! each finding when it is complete, to save it, and may stop before any step.
//!
//! ```
//! use backflow_data::Mnist;
//! use backflow_nn::{Activation, Init};
//! use backflow_train::comparison::Stopped;
//! use backflow_train::study::{Configuration, Study};
//! use std::ops::ControlFlow;
//!
//! let digits = Mnist::embedded();
//! let (activation, init) = (Activation::Sigmoid, Init::XavierNormal);
//! let deep = Configuration::perceptron(activation, init, 10, 64);
//! let mut findings = Vec::new();
//! let (train, test, on) = (&digits.train, &digits.test, &|_| ControlFlow::Continue(()));
//! Study::new(2).examine(&[deep], train, test, on, |finding| {
//!     findings.push(finding);
//!     Ok::<_, Stopped>(())
//! })?;
//! let finding = &findings[0];
//! let (measured, predicted) = (finding.initial.slope.unwrap(), finding.theory_slope.unwrap());
//! // 0.627 decades are lost per layer on the way back.
//! assert!((measured - predicted).abs() < 0.05, "{measured}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cells;
mod configuration;
mod flow;
mod learning;
mod line;
mod maps;
mod norm;
mod trainable_depths;

pub use cells::{Cell, CellConfiguration, CellFinding, CellLearned, CellStudy, CellTraining, Problem};
pub use configuration::{Configuration, Network};
pub use flow::Flow;
pub use learning::{Learned, LearnedOfSeed, LossPoint, Training};
pub use line::{Axes, Line};
pub use maps::{diagrams, maps};
pub use norm::Norm;
pub use trainable_depths::TrainableDepths;

use crate::batches::Batches;
use crate::comparison::{Stopped, Watcher};
use crate::evaluate::EVALUATION_BATCH;
use crate::side_by_side::{Completion, Ended, Supervisor, side_by_side};
use crate::task::{Task, require};
use crate::tasks::Classification;
use backflow_data::{Batch, Dataset, Loader};
use backflow_nn::Layer;
use backflow_probe::{FiniteWidth, FlowRow, FlowStep, GradFlow, Inputs, Theory, predict, predict_line};
use backflow_tensor::{DType, Rng, Tensor, training};
use learning::Trained;

/// What is the same for all configurations.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// How many networks of each configuration there are: seeds 0, 1, …
    pub seeds: u64,
    /// What the networks are for: classification by cross entropy unless set.
    pub task: Classification,
    /// The type of weights and inputs: `F32` unless set.
    pub dtype: DType,
    /// How many examples the flow is measured on, the same for all networks: 256 of the training set, in
    /// random order, unless set.
    pub examples: usize,
    /// The training that follows, if any.
    pub training: Option<Training>,
}

/// What came out for one configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The configuration.
    pub configuration: Configuration,
    /// The flow at initialisation.
    pub initial: Flow,
    /// RMS δ of each layer as theory has it, from the last hidden layer that was measured back. `None`
    /// for the output layer, whose delta is the loss's doing, and for all where theory has nothing to say or
    /// [finite width](Theory::finite_width) decides.
    pub theory_delta_rms: Vec<Option<f64>>,
    /// The slope of the line through the logarithms of the same, hidden layers only. What [`Flow::slope`]
    /// should come to.
    pub theory_slope: Option<f64>,
    /// All that theory has to say.
    pub theory: Option<Theory>,
    /// What training came to.
    pub learned: Option<Learned>,
}

impl Finding {
    /// Where finite width decides: how, and what slopes are to be expected.
    #[must_use]
    pub fn finite_width(&self) -> Option<&FiniteWidth> {
        self.theory.as_ref()?.finite_width()
    }

    /// The number of hidden layers in depth scales, by which theory judges whether the network trains: see
    /// [`Prediction::depth_in_scales`](backflow_probe::Prediction::depth_in_scales). `None` where finite width decides, and for what is no perceptron.
    #[must_use]
    pub fn depth_in_scales(&self) -> Option<f64> {
        self.theory.as_ref()?.perceptron().filter(|theory| theory.finite_width.is_none())?.depth_in_scales()
    }
}

impl Study {
    /// So many networks of each configuration; `f32`, 256 examples, no training.
    #[must_use]
    pub fn new(seeds: u64) -> Self {
        Self { seeds, task: Classification::new(), dtype: DType::F32, examples: 256, training: None }
    }

    /// Builds the networks of each configuration, measures their flow, trains them if the study says so, and
    /// gives `take` a finding of each configuration, in their order.
    ///
    /// Where `f32` deltas at initialisation come near the end of their type (an RMS below 1e-30), the
    /// networks are computed once more in `f64`, for [`Flow::shadow_delta_rms`].
    ///
    /// As many networks are examined at a time as the rayon pool has threads. Nothing depends on their
    /// number, nor on the clock. `supervise` is told how many networks are done.
    ///
    /// # Errors
    /// If `supervise` breaks off, a setting of the optimizer is impossible, there are no examples, or none
    /// with classes, or batch normalisation would get [one example](crate::TaskError::OneExample). Findings that are complete by then have been taken. And the errors of `take`.
    ///
    /// # Panics
    /// If there are no seeds or none of the examples is asked for, a configuration has no layers or no units, or a
    /// line was made for inputs of another shape.
    #[track_caller]
    pub fn examine<E: From<Stopped> + Send>(
        &self,
        configurations: &[Configuration],
        train: &Dataset,
        test: &Dataset,
        supervise: &Supervisor<'_>,
        mut take: impl FnMut(Finding) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        for configuration in configurations {
            self.check(configuration);
        }
        for (set, purpose) in [(train, "train on"), (test, "evaluate on")] {
            require::<dyn Layer>(&self.task, &Loader::new(set, EVALUATION_BATCH), purpose)
                .map_err(Stopped::from)?;
        }
        for line in configurations.iter().filter_map(Configuration::line) {
            for batches in self.batches(train.len()) {
                batches.require(line.plan()).map_err(Stopped::from)?;
            }
        }
        let data = [false, true].map(|as_images| {
            let is_taken = configurations.iter().any(|of| of.line().is_some() == as_images);
            is_taken.then(|| self.data(train, test, as_images))
        });
        let data_of = |of: &Configuration| {
            data[usize::from(of.line().is_some())]
                .as_ref()
                .expect("the form that a configuration takes is there")
        };
        let network = |index: usize, seed, watch: &mut Watcher<'_>| {
            self.network(&configurations[index], seed, data_of(&configurations[index]), watch)
        };
        over_seeds(self.seeds, configurations.len(), supervise, network, |index, networks| {
            let configuration = &configurations[index];
            take(self.finding(configuration, networks, data_of(configuration)))
        })
    }

    /// On which batches flows are measured, and networks trained if they are, of so many examples to train on.
    #[must_use]
    pub fn batches(&self, examples: usize) -> Vec<Batches> {
        let look = examples.min(self.examples);
        let of_training = |Training { contender, batch_size, accumulate, .. }: &Training| {
            let size = if contender.full_batch() { examples } else { *batch_size };
            Batches { examples, size, parts: *accumulate }
        };
        let look = Batches { examples: look, size: look, parts: 1 };
        [look].into_iter().chain(self.training.as_ref().map(of_training)).collect()
    }

    /// The data as perceptrons take them, flat, or as lines do: with channels, rows and columns if they are images, unless
    /// they are sequences.
    fn data(&self, train: &Dataset, test: &Dataset, as_images: bool) -> Data {
        let view = |set: &Dataset| match set.input_shape().rank() {
            1 if as_images && set.image_shape().is_some() => set.as_images(),
            2.. if !as_images => set.clone().with_input_shape([set.features()]),
            _ => set.clone(),
        };
        let [train, test] = [train, test].map(view);
        let batch = Loader::new(&train, self.examples).shuffle(0).dtype(self.dtype).batch(0, 0);
        Data { ends: [train.features(), train.classes()], train, test, batch }
    }

    /// One network, of which the same is known whatever becomes of others.
    fn network(
        &self,
        configuration: &Configuration,
        seed: u64,
        data: &Data,
        watch: &mut Watcher<'_>,
    ) -> Result<Examined, Stopped> {
        if watch(0, 1).is_break() {
            return Err(Stopped::Interrupted);
        }
        let mut model = configuration.model(data.ends, self.dtype, seed);
        let before = look(self.task, &*model, seed, &data.batch);
        let is_near =
            self.dtype == DType::F32 && Flow::of(std::slice::from_ref(&before), &[]).nears_the_end_of_f32();
        let shadow = is_near.then(|| look_twice(self.task, &model, seed, &data.batch));
        let trained = match &self.training {
            Some(training) => Some(training.run(self.task, &mut *model, seed, before.loss, data, watch)?),
            None => None,
        };
        Ok(Examined { before, shadow, trained })
    }

    /// What the networks of a configuration come to, one for each seed.
    fn finding(&self, configuration: &Configuration, networks: Vec<Examined>, data: &Data) -> Finding {
        let (mut before, mut shadows, mut trained) = (Vec::new(), Vec::new(), Vec::new());
        for network in networks {
            before.push(network.before);
            shadows.push(network.shadow);
            trained.extend(network.trained);
        }
        let mut initial = Flow::of(&before, &[]);
        if self.dtype == DType::F32 && initial.nears_the_end_of_f32() {
            // All of them, also those that by themselves are not near.
            let shadow = |(seed, shadow): (u64, Option<Vec<FlowRow>>)| {
                let model = || configuration.model(data.ends, self.dtype, seed);
                shadow.unwrap_or_else(|| look_twice(self.task, &model(), seed, &data.batch))
            };
            let shadows: Vec<_> = (0..).zip(shadows).map(shadow).collect();
            initial = Flow::of(&before, &shadows);
        }
        let theory = theory(configuration, data);
        let (theory_slope, theory_delta_rms) = match &theory {
            Some(Theory::Line(theory)) => flow::beside(theory, &before),
            Some(Theory::Perceptron(theory)) if theory.finite_width.is_none() => {
                (theory.slope(), initial.anchored(&theory.delta_decades))
            }
            _ => (None, vec![None; initial.delta_rms.len()]),
        };
        Finding {
            configuration: configuration.clone(),
            theory_delta_rms,
            theory_slope,
            theory,
            initial,
            learned: self.training.is_some().then(|| Learned::of(&trained, &data.test)),
        }
    }

    #[track_caller]
    fn check(&self, configuration: &Configuration) {
        let figures = [
            ("seeds", self.seeds as usize),
            ("examples", self.examples),
            ("depth", configuration.axes().depth.unwrap_or(1)),
            ("width", configuration.axes().width.unwrap_or(1)),
        ];
        if figures.iter().any(|&(_, figure)| figure == 0) {
            let rows = figures.map(|(name, figure)| (name, figure.to_string()));
            backflow_tensor::misuse("Study::examine", "nothing to measure", &rows, "each is at least 1");
        }
    }
}

/// Examines the networks of each configuration, one for each seed, [side by side], and gives `take` those of one
/// configuration together.
///
/// [side by side]: side_by_side
fn over_seeds<N: Send, E: From<Stopped> + Send>(
    seeds: u64,
    configurations: usize,
    supervise: &Supervisor<'_>,
    network: impl Fn(usize, u64, &mut Watcher<'_>) -> Result<N, Stopped> + Sync,
    mut take: impl FnMut(usize, Vec<N>) -> Result<(), E> + Send,
) -> Result<(), E> {
    let seeds = usize::try_from(seeds).unwrap_or(usize::MAX);
    let completion = Completion::default();
    let work = |job: usize, ended: &Ended| {
        let mut part = completion.begin();
        let mut watch = |step, steps| ended.or(supervise(part.at(step, steps)));
        Ok(network(job / seeds, (job % seeds) as u64, &mut watch)?)
    };
    // Of a study that is stopped, some of a configuration's networks may be missing.
    let (mut present, mut networks) = (0, Vec::new());
    side_by_side(usize::MAX, configurations.saturating_mul(seeds), work, |job, network| {
        if std::mem::replace(&mut present, job / seeds) != present {
            networks.clear();
        }
        networks.push(network);
        if networks.len() < seeds {
            return Ok(());
        }
        take(present, std::mem::take(&mut networks))
    })
}

/// What networks are examined on, in the form that they take.
struct Data {
    train: Dataset,
    test: Dataset,
    /// What the flow is measured on.
    batch: Batch,
    /// How many numbers an example has, and how many classes there are.
    ends: [usize; 2],
}

/// What is known of one network.
struct Examined {
    before: FlowStep,
    /// Its rows in `f64` too, if it comes near the end of `f32`.
    shadow: Option<Vec<FlowRow>>,
    trained: Option<Trained>,
}

/// What theory says of a configuration: of a line that is a perceptron, as of that.
fn theory(configuration: &Configuration, data: &Data) -> Option<Theory> {
    let ([inputs, classes], batch) = (data.ends, &data.batch.inputs);
    if let Some((activation, sizes)) = configuration.sizes(inputs, classes) {
        return predict(activation, configuration.init, &sizes, mean_square(batch)).map(Theory::from);
    }
    predict_line(configuration.line()?.plan(), configuration.init, &Inputs::of(batch)).map(Theory::from)
}

/// The flow of one network on these examples, as a step of its training would see it.
fn look(task: Classification, model: &dyn Layer, seed: u64, batch: &Batch) -> FlowStep {
    let flow = || GradFlow::record(model, || task.loss(model, batch).mean);
    training(&chance(seed), flow).step().clone()
}

/// The same, as rows with a shadow in `f64`.
#[allow(
    clippy::borrowed_box,
    reason = "the shadow is of a clone, and of a layer of any type its box is what clones"
)]
fn look_twice(task: Classification, model: &Box<dyn Layer>, seed: u64, batch: &Batch) -> Vec<FlowRow> {
    let loss = |model: &Box<dyn Layer>, dtype| task.loss(&**model, &batch.to_dtype(dtype)).mean;
    let flow = || GradFlow::record(model, || loss(model, DType::F32)).with_shadow(model, loss);
    training(&chance(seed), flow).rows().to_vec()
}

/// Where the chance of a look is drawn from: another stream than that of the initial weights.
fn chance(seed: u64) -> Rng {
    Rng::seed_from_u64(seed).split(1)
}

/// The mean square of all numbers.
fn mean_square(x: &Tensor) -> f64 {
    let numbers = x.to_dtype(DType::F64).to_vec::<f64>();
    numbers.iter().map(|x| x * x).sum::<f64>() / numbers.len() as f64
}
