//! Networks studied before they are trained: how gradients flow back through each of many, beside what theory
//! predicts.
//!
//! ```text
//! Configuration     activation function, initial weights, depth, width
//! Study             what is the same for all of them: the examples, the seeds, perhaps a short training
//!   .examine(…)     one configuration, over all seeds                            → Finding
//! Finding           its flow at initialisation, the theory, and whether it learns
//! ```
//!
//! Figures over seeds are combined in log space: of a quantity that spans decades, the arithmetic mean is its
//! largest value over again. There is no loop over configurations here: a program wants to save and to stop
//! between two of them.
//!
//! ```
//! use backflow_data::Mnist;
//! use backflow_nn::{Activation, Init};
//! use backflow_train::study::{Configuration, Study};
//! use std::ops::ControlFlow;
//!
//! let digits = Mnist::embedded();
//! let (activation, init) = (Activation::Sigmoid, Init::XavierNormal);
//! let deep = Configuration { activation, init, depth: 10, width: 64 };
//! let on = &mut |_, _| ControlFlow::Continue(());
//! let finding = Study::new(2).examine(&deep, &digits.train, &digits.test, on)?;
//! let (measured, predicted) = (finding.initial.slope.unwrap(), finding.theory_slope.unwrap());
//! // 0.627 decades are lost per layer on the way back.
//! assert!((measured - predicted).abs() < 0.05, "{measured}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod flow;
mod learning;

pub use flow::Flow;
pub use learning::{Learned, Training};

use crate::comparison::{Stopped, Watcher};
use crate::evaluate::EVALUATION_BATCH;
use crate::task::{Task, require};
use crate::tasks::Classification;
use backflow_data::{Batch, Dataset, Loader};
use backflow_nn::{Activation, Init, Mlp};
use backflow_probe::{FlowRow, FlowStep, GradFlow, predict};
use backflow_tensor::{DType, Rng, Tensor};
use std::fmt;

/// One network, up to the random numbers in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Configuration {
    /// The function after every hidden layer.
    pub activation: Activation,
    /// How weights begin.
    pub init: Init,
    /// The number of hidden layers.
    pub depth: usize,
    /// The number of units of each.
    pub width: usize,
}

impl Configuration {
    /// The sizes of all layers, inputs first.
    #[must_use]
    pub fn sizes(&self, inputs: usize, classes: usize) -> Vec<usize> {
        let mut sizes = vec![self.width; self.depth + 2];
        sizes[0] = inputs;
        sizes[self.depth + 1] = classes;
        sizes
    }

    /// The network of these sizes; its weights are a function of the seed.
    fn model(&self, sizes: &[usize], dtype: DType, seed: u64) -> Mlp {
        // The same weights as those that `backflow train` draws from this seed.
        let mut rng = Rng::seed_from_u64(seed).split(0);
        Mlp::new(sizes, self.activation, self.init, dtype, &mut rng)
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {}, {} × {}", self.activation, self.init, self.depth, self.width)
    }
}

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
    /// RMS δ of each linear layer as theory has it, from the last hidden layer that was measured back. `None`
    /// for the output layer, whose delta is the loss's doing, and for all where theory has nothing to say.
    pub theory_delta_rms: Vec<Option<f64>>,
    /// The slope of the line through the logarithms of the same, hidden layers only. What [`Flow::slope`]
    /// should come to.
    pub theory_slope: Option<f64>,
    /// What training came to.
    pub learned: Option<Learned>,
}

impl Study {
    /// So many networks of each configuration; `f32`, 256 examples, no training.
    #[must_use]
    pub fn new(seeds: u64) -> Self {
        Self { seeds, task: Classification::new(), dtype: DType::F32, examples: 256, training: None }
    }

    /// How often [`examine`](Self::examine) asks its watcher.
    #[must_use]
    pub fn parts(&self) -> u64 {
        let steps = self.training.as_ref().map_or(0, |training| training.steps);
        self.seeds.saturating_mul(steps.saturating_add(1))
    }

    /// Builds the networks of a configuration, measures their flow, and trains them if the study says so.
    ///
    /// Where `f32` deltas at initialisation come near the end of their type (an RMS below 1e-30), the
    /// networks are computed once more in `f64`, for [`Flow::shadow_delta_rms`].
    ///
    /// Nothing depends on the clock or on the number of threads. The watcher is told how many of
    /// [`parts`](Self::parts) are done.
    ///
    /// # Errors
    /// If `watch` breaks off, a setting of the optimizer is impossible, or there are no examples, or none
    /// with classes.
    ///
    /// # Panics
    /// If there are no seeds or none of the examples is asked for, or the configuration has no layers or no
    /// units.
    #[track_caller]
    pub fn examine(
        &self,
        configuration: &Configuration,
        train: &Dataset,
        test: &Dataset,
        watch: &mut Watcher<'_>,
    ) -> Result<Finding, Stopped> {
        self.check(configuration);
        for (set, purpose) in [(train, "train on"), (test, "evaluate on")] {
            require::<Mlp>(&self.task, &Loader::new(set, EVALUATION_BATCH), purpose)?;
        }
        let sizes = configuration.sizes(train.features(), train.classes());
        let batch = Loader::new(train, self.examples).shuffle(0).dtype(self.dtype).batch(0, 0);
        let parts = self.parts();
        let mut before = Vec::new();
        let mut trained = Vec::new();
        for seed in 0..self.seeds {
            let done = seed * (parts / self.seeds);
            if watch(done, parts).is_break() {
                return Err(Stopped::Interrupted);
            }
            let mut model = configuration.model(&sizes, self.dtype, seed);
            let record = look(self.task, &model, &batch);
            if let Some(training) = &self.training {
                let watch = &mut |step, _| watch(done + 1 + step, parts);
                trained.push(training.run(
                    self.task,
                    &mut model,
                    seed,
                    record.loss,
                    &batch,
                    [train, test],
                    watch,
                )?);
            }
            before.push(record);
        }
        let mut initial = Flow::of(&before, &[], &sizes);
        if self.dtype == DType::F32 && initial.nears_the_end_of_f32() {
            let mut shadows = Vec::new();
            for seed in 0..self.seeds {
                if watch(parts, parts).is_break() {
                    return Err(Stopped::Interrupted);
                }
                shadows.push(look_twice(self.task, &configuration.model(&sizes, self.dtype, seed), &batch));
            }
            initial = Flow::of(&before, &shadows, &sizes);
        }
        let theory =
            predict(configuration.activation, configuration.init, &sizes, mean_square(&batch.inputs));
        let decades = theory.as_ref().map(|theory| theory.delta_decades.as_slice());
        Ok(Finding {
            configuration: *configuration,
            theory_delta_rms: initial.anchored(decades),
            theory_slope: theory.and_then(|theory| theory.slope()),
            initial,
            learned: self.training.is_some().then(|| Learned::of(&trained, test, &sizes)),
        })
    }

    #[track_caller]
    fn check(&self, configuration: &Configuration) {
        let figures = [
            ("seeds", self.seeds as usize),
            ("examples", self.examples),
            ("depth", configuration.depth),
            ("width", configuration.width),
        ];
        if figures.iter().any(|&(_, figure)| figure == 0) {
            let rows = figures.map(|(name, figure)| (name, figure.to_string()));
            backflow_tensor::misuse("Study::examine", "nothing to measure", &rows, "each is at least 1");
        }
    }
}

/// The flow of one network on these examples.
fn look(task: Classification, model: &Mlp, batch: &Batch) -> FlowStep {
    GradFlow::record(model, || task.loss(model, batch).mean).step().clone()
}

/// The same, as rows with a shadow in `f64`.
fn look_twice(task: Classification, model: &Mlp, batch: &Batch) -> Vec<FlowRow> {
    let loss = |model: &Mlp, dtype| task.loss(model, &batch.to_dtype(dtype)).mean;
    GradFlow::record(model, || loss(model, DType::F32)).with_shadow(model, loss).rows().to_vec()
}

/// The mean square of all numbers.
fn mean_square(x: &Tensor) -> f64 {
    let numbers = x.to_dtype(DType::F64).to_vec::<f64>();
    numbers.iter().map(|x| x * x).sum::<f64>() / numbers.len() as f64
}
