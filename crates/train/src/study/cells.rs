//! Recurrent cells studied: how deltas change from step to step on the way back through time, beside what theory
//! predicts, and whether the network learns what takes a memory of so many steps.
//!
//! ```
//! use backflow_nn::Init;
//! use backflow_train::comparison::Stopped;
//! use backflow_train::study::{Cell, CellConfiguration, CellStudy};
//! use std::ops::ControlFlow;
//!
//! let network = CellConfiguration { cell: Cell::Rnn, steps: 50, init: Init::Orthogonal, gain: 0.7 };
//! let mut findings = Vec::new();
//! CellStudy::new(2).examine(&[network], &|_| ControlFlow::Continue(()), |finding| {
//!     findings.push(finding);
//!     Ok::<_, Stopped>(())
//! })?;
//! let finding = &findings[0];
//! let (line, predicted) = (finding.line.as_ref().unwrap(), finding.predicted_slope.unwrap());
//! assert!((line.slope - predicted).abs() < 0.02 && line.slope < finding.bound_slope.unwrap());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cell;
mod problem;

pub use cell::{Cell, CellConfiguration};
pub use problem::Problem;

use super::over_seeds;
use crate::comparison::{Contender, Stopped, Watcher};
use crate::side_by_side::Supervisor;
use backflow_probe::{FlowRow, FlowStep, GradFlow, TimeLine, TimePrediction, TimeTheory, Verdict};
use backflow_tensor::{DType, Rng, Tensor, no_grad};
use cell::Network;
use problem::Sequences;
use serde::Serialize;

/// Features of a step of sequences that are of no problem.
const FEATURES: usize = 8;
/// Held-out sequences.
const HELD_OUT: usize = 256;
/// How often it is looked whether a network has learnt.
const LOOKS: u64 = 20;
/// The path of the recurrent layer.
const LAYER: &str = "cell";

/// What is the same for all networks.
#[derive(Clone, Debug, PartialEq)]
pub struct CellStudy {
    /// How many networks of each configuration there are: seeds 0, 1, …
    pub seeds: u64,
    /// The type of weights and inputs: `F32` unless set.
    pub dtype: DType,
    /// Units of a layer: 64 unless set.
    pub hidden: usize,
    /// How many sequences the flow is measured on: 32 unless set.
    pub examples: usize,
    /// What they are of. Unless set, the flow is that of a mean square at the last step, of sequences of
    /// independent normal numbers, for which theory is made.
    pub problem: Option<Problem>,
    /// The training on the problem, if any.
    pub training: Option<CellTraining>,
}

/// The training of every network, on sequences that are drawn anew for every step, gradients clipped to norm 1.
#[derive(Clone, Debug, PartialEq)]
pub struct CellTraining {
    /// The optimizer.
    pub contender: Contender,
    /// How many updates it makes, at most: a network that has learnt is not trained on.
    pub updates: u64,
    /// Sequences of an update.
    pub batch_size: usize,
}

/// What came out for one configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct CellFinding {
    /// The configuration.
    pub configuration: CellConfiguration,
    /// The line through the deltas over time, the median over seeds at each step; `None` where there is none.
    pub line: Option<TimeLine>,
    /// RMS of the deltas that it goes through, with those of all other steps: see
    /// [`TimeFlow::of_one_loss`](backflow_probe::TimeFlow::of_one_loss).
    pub delta_rms: Vec<f64>,
    /// The slope of each network, in the order of the seeds.
    pub slope_by_seed: Vec<Option<f64>>,
    /// What the slope of the line should come to: the mean over seeds. `None` where theory has nothing to say.
    pub predicted_slope: Option<f64>,
    /// log₁₀ of RMS δ at each step over that at the last as theory has it: the mean over seeds. Empty where it has
    /// nothing to say.
    pub predicted_decades: Vec<f64>,
    /// log₁₀ of the bound on it, `γ σ_max`: the mean over seeds. `None` for gated cells.
    pub bound_slope: Option<f64>,
    /// Which theory it is, of the first seed.
    pub theory: TimeTheory,
    /// What the figures mean, worst first.
    pub verdicts: Vec<Verdict>,
    /// What training came to, of each network in the order of the seeds; empty without one.
    pub learned: Vec<CellLearned>,
}

/// What the training of one network came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CellLearned {
    /// The loss on held-out sequences when it ended; `None` if it diverged.
    pub loss: Option<f64>,
    /// After how many updates that loss was first seen below a tenth of the [baseline](Problem::baseline); it is
    /// looked at twenty times.
    pub after: Option<u64>,
}

impl CellFinding {
    /// Whether most of the networks learn; `None` without a training.
    #[must_use]
    pub fn learns(&self) -> Option<bool> {
        let learning = self.learned.iter().filter(|network| network.after.is_some()).count();
        (!self.learned.is_empty()).then(|| 2 * learning > self.learned.len())
    }
}

impl CellStudy {
    /// So many networks of each configuration.
    #[must_use]
    pub fn new(seeds: u64) -> Self {
        Self { seeds, dtype: DType::F32, hidden: 64, examples: 32, problem: None, training: None }
    }

    /// Builds the networks of each configuration, measures the flow of each, trains them if the study says so and has a
    /// problem, and gives `take` a finding of each configuration, in their order. Nothing depends on the number of
    /// threads, nor on the clock.
    ///
    /// # Errors
    /// If `supervise` breaks off, or a setting of the optimizer is impossible. And those of `take`.
    ///
    /// # Panics
    /// If there are no seeds, units or sequences, fewer than three steps, or a rule for weights takes no
    /// [gain](backflow_nn::Init::with_gain).
    #[track_caller]
    pub fn examine<E: From<Stopped> + Send>(
        &self,
        configurations: &[CellConfiguration],
        supervise: &Supervisor<'_>,
        mut take: impl FnMut(CellFinding) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let least = configurations.iter().map(|of| of.steps).min().unwrap_or(3);
        if least < 3 || self.seeds == 0 || self.hidden == 0 || self.examples == 0 {
            let rows = [("steps", least.to_string()), ("seeds", self.seeds.to_string())];
            let hint = "three steps, and one seed, unit and sequence, or more";
            backflow_tensor::misuse("CellStudy::examine", "nothing to measure", &rows, hint);
        }
        let network =
            |index: usize, seed, watch: &mut Watcher<'_>| self.network(&configurations[index], seed, watch);
        over_seeds(self.seeds, configurations.len(), supervise, network, |index, networks| {
            take(finding(&configurations[index], networks))
        })
    }

    fn network(
        &self,
        of: &CellConfiguration,
        seed: u64,
        watch: &mut Watcher<'_>,
    ) -> Result<Examined, Stopped> {
        if watch(0, 1).is_break() {
            return Err(Stopped::Interrupted);
        }
        let batch = self.sequences(of.steps, self.examples, 0, seed);
        let outputs = self.problem.map_or(1, |problem| problem.sizes()[1]);
        let (mut model, theory) = of.network(self.hidden, outputs, &batch.inputs, seed);
        let flow = GradFlow::record(&model, || self.loss(&model, &batch)).step().clone();
        let learned = match (self.problem, &self.training) {
            (Some(problem), Some(training)) => {
                let below = problem.baseline(of.steps) / 10.0;
                Some(self.train(training, below, &mut model, of.steps, seed, watch)?)
            }
            _ => None,
        };
        Ok(Examined { flow, theory, learned })
    }

    /// So many sequences: a function of the seed and of which they are.
    fn sequences(&self, steps: usize, count: usize, which: u64, seed: u64) -> Sequences {
        let mut rng = Rng::seed_from_u64(seed).split(1).split(which);
        match self.problem {
            Some(problem) => problem.sequences(steps, count, self.dtype, &rng),
            None => Sequences {
                inputs: Tensor::randn([steps, count, FEATURES], self.dtype, &mut rng),
                targets: Tensor::randn([count, 1], self.dtype, &mut rng),
            },
        }
    }

    fn loss(&self, model: &Network, batch: &Sequences) -> Tensor {
        let states = model.cell.forward(&batch.inputs);
        // Without a problem, one number is asked for at the end, as in adding.
        self.problem.unwrap_or(Problem::Adding).loss(&states, &model.head, &batch.targets)
    }

    /// Trains a network until its loss on held-out sequences is below this.
    fn train(
        &self,
        training: &CellTraining,
        below: f64,
        model: &mut Network,
        steps: usize,
        seed: u64,
        watch: &mut Watcher<'_>,
    ) -> Result<CellLearned, Stopped> {
        let optimizer = training.contender.optimizer()?.seed(seed);
        let mut optimizer = match training.contender.refuses_clipping() {
            true => optimizer,
            false => optimizer.clip_norm(1.0),
        };
        let held_out = self.sequences(steps, HELD_OUT, 1, seed);
        let mut loss = None;
        for update in 0..training.updates {
            if watch(update, training.updates).is_break() {
                return Err(Stopped::Interrupted);
            }
            let batch = self.sequences(steps, training.batch_size, 2 + update, seed);
            let report = optimizer.step_with(model, |model| self.loss(model, &batch));
            if report.skipped.is_some() || !report.loss.is_some_and(f64::is_finite) {
                return Ok(CellLearned { loss: None, after: None });
            }
            let done = update + 1;
            if done % training.updates.div_ceil(LOOKS) == 0 || done == training.updates {
                let now = no_grad(|| self.loss(model, &held_out).item());
                loss = Some(now).filter(|loss| loss.is_finite());
                if now < below {
                    return Ok(CellLearned { loss, after: Some(done) });
                }
            }
        }
        Ok(CellLearned { loss, after: None })
    }
}

/// What is known of one network.
struct Examined {
    flow: FlowStep,
    theory: TimePrediction,
    learned: Option<CellLearned>,
}

fn finding(configuration: &CellConfiguration, networks: Vec<Examined>) -> CellFinding {
    let records: Vec<FlowStep> = networks.iter().map(|network| network.flow.clone()).collect();
    let flow = GradFlow::of(&records);
    let row = |rows: &[FlowRow]| rows.iter().find(|row| row.path == LAYER).cloned();
    let slope = |record| Some(row(&FlowRow::of(record))?.time_line()?.slope);
    let measured = row(flow.rows());
    let line = measured.as_ref().and_then(FlowRow::time_line);
    let steps = line.as_ref().map_or(0, |line| line.steps);
    let mean = |figure: &dyn Fn(&TimePrediction) -> Option<f64>| -> Option<f64> {
        let figures: Option<Vec<f64>> = networks.iter().map(|network| figure(&network.theory)).collect();
        figures.map(|figures| figures.iter().sum::<f64>() / figures.len() as f64)
    };
    let decades = |step| mean(&|theory| theory.delta_decades.get(step).copied());
    let time = measured.as_ref().and_then(|row| row.time.as_ref()?.of_one_loss());
    CellFinding {
        configuration: *configuration,
        delta_rms: time.map_or(Vec::new(), <[f64]>::to_vec),
        slope_by_seed: records.iter().map(slope).collect(),
        predicted_slope: mean(&|theory| theory.slope(steps)),
        predicted_decades: (0..).map_while(decades).collect(),
        bound_slope: mean(&TimePrediction::bound_slope),
        theory: networks[0].theory.theory,
        verdicts: flow.verdicts(),
        learned: networks.iter().filter_map(|network| network.learned).collect(),
        line,
    }
}
