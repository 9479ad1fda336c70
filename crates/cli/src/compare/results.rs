//! What a comparison came to: what its page is drawn from, and the object of `compare.json` and `--json`.
//!
//! Numbers that are not finite, such as the validation loss of a rate that diverged, are null.

use super::verdict;
use crate::data_options::DataConfig;
use crate::experiment::Results;
use crate::network::ModelConfig;
use crate::task::TaskConfig;
use backflow_probe::Table;
use backflow_probe::text::{counted, grouped};
use backflow_report::{ComparisonPage, comparison_table};
use backflow_train::Metric;
use backflow_train::comparison::{
    FlowPoint, Fold, Outcome, Point, Run, Spread, Standing, Trial, Tuning, rank,
};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// What was asked for, defaults filled in.
#[derive(Debug, Serialize)]
pub(crate) struct ComparisonConfig {
    pub(crate) data: String,
    #[serde(skip_serializing_if = "DataConfig::is_default")]
    pub(crate) data_options: DataConfig,
    /// Sizes and activation of a perceptron; of other networks there is a line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) layers: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) activation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<ModelConfig>,
    pub(crate) init: String,
    /// Whether somebody asked for it: then cells and transformers begin so, too, and not as PyTorch's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) init_asked: bool,
    pub(crate) dtype: String,
    pub(crate) optimizers: Vec<String>,
    pub(crate) epochs: u64,
    pub(crate) batch_size: usize,
    pub(crate) schedule: String,
    pub(crate) clip_norm: Option<f64>,
    /// Seeds 0, 1, … up to this number.
    pub(crate) seeds: u64,
    pub(crate) target: f64,
    #[serde(flatten)]
    pub(crate) task: TaskConfig,
    /// The rates that were tried where no spec states one; none without `--tune`.
    pub(crate) rates: Option<Vec<f64>>,
    pub(crate) folds: Option<usize>,
    /// Whether runs were made one after another, each on all threads.
    pub(crate) one_by_one: bool,
    pub(crate) threads: usize,
    pub(crate) flush_to_zero: bool,
}

/// All there is to tell so far.
#[derive(Debug)]
pub(crate) struct ComparisonResults {
    pub(crate) config: ComparisonConfig,
    /// Data and network in words.
    pub(crate) setup: Vec<String>,
    /// How many examples the test set has.
    pub(crate) test_examples: usize,
    pub(crate) runs: Vec<Run>,
    pub(crate) tunings: Vec<Tuning>,
    /// Which optimizers take the whole training set as one batch.
    pub(crate) full_batch: Vec<String>,
    /// Which optimizers refuse clipping.
    pub(crate) unclipped: Vec<String>,
    /// Whether no optimizer is left to its default rate, or to tuning.
    pub(crate) states_all_rates: bool,
    pub(crate) planned: u64,
    pub(crate) interrupted: bool,
    pub(crate) out: String,
}

impl ComparisonResults {
    pub(crate) fn standings(&self) -> Vec<Standing> {
        rank(&self.runs, self.config.target)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.runs.len() as u64 == self.planned
    }
}

impl Results for ComparisonResults {
    const NAME: &'static str = super::NAME;
    const NOUN: &'static str = "run";
    const CURVES: &'static str = "Learning curves, gradient flow";

    fn done(&self) -> usize {
        self.runs.len()
    }

    fn planned(&self) -> u64 {
        self.planned
    }

    fn interrupted(&mut self) -> &mut bool {
        &mut self.interrupted
    }

    fn out(&self) -> &str {
        &self.out
    }

    fn notes(&self) -> Vec<String> {
        verdict::notes(self)
    }

    fn table(&self) -> Table {
        comparison_table(&self.standings(), self.config.target)
    }

    fn page(&self, notes: &[String]) -> String {
        let Self { config, setup, runs, tunings, .. } = self;
        let clipping =
            config.clip_norm.map_or(String::new(), |norm| format!(", gradients clipped at norm {norm}"));
        let conditions = format!(
            "{}, batch size {}, {} schedule{clipping}{}; {}",
            counted(config.epochs, "epoch"),
            grouped(config.batch_size),
            config.schedule,
            config.task.in_words(),
            counted(config.seeds, "seed"),
        );
        let page = ComparisonPage {
            subject: setup.join("; "),
            setup: setup.iter().cloned().chain([conditions]).collect(),
            notes,
            runs,
            tunings,
            seeds: config.seeds,
            epochs: config.epochs,
            target: config.target,
            json: Some("compare.json"),
        };
        page.html()
    }

    fn json<'a>(&'a self, notes: &'a [String]) -> impl Serialize + 'a {
        let standings = self.standings();
        Json {
            version: env!("CARGO_PKG_VERSION"),
            config: &self.config,
            runs: self.runs.iter().map(|run| RunJson::new(run, self.config.target)).collect(),
            tuning: self.tunings.iter().map(TuningJson::new).collect(),
            ranking: (1..)
                .zip(&standings)
                .map(|(rank, standing)| StandingJson::new(rank, standing))
                .collect(),
            notes,
            planned_runs: self.planned,
            interrupted: self.interrupted,
            out: &self.out,
        }
    }
}

#[derive(Serialize)]
struct Json<'a> {
    version: &'static str,
    config: &'a ComparisonConfig,
    runs: Vec<RunJson<'a>>,
    tuning: Vec<TuningJson<'a>>,
    ranking: Vec<StandingJson>,
    notes: &'a [String],
    planned_runs: u64,
    interrupted: bool,
    out: &'a str,
}

#[derive(Serialize)]
struct RunJson<'a> {
    optimizer: &'a str,
    seed: u64,
    lr: f64,
    batch_size: usize,
    steps: u64,
    evaluations: u64,
    /// At the end, and the best along the curve.
    #[serde(flatten)]
    metric: Named<Option<f64>>,
    test_loss: Option<f64>,
    train_loss: Option<f64>,
    steps_to_target: Option<u64>,
    curve: &'a [Point],
    flow: &'a [FlowPoint],
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_per_step: Option<f64>,
    outcome: &'static str,
    diverged_at_step: Option<u64>,
}

impl<'a> RunJson<'a> {
    fn new(run: &'a Run, target: f64) -> Self {
        let (outcome, diverged_at_step) = match run.outcome {
            Outcome::Finished => ("finished", None),
            Outcome::Diverged { step } => ("diverged", Some(step)),
        };
        Self {
            optimizer: &run.optimizer,
            seed: run.seed,
            lr: run.learning_rate,
            batch_size: run.batch_size,
            steps: run.steps,
            evaluations: run.evaluations,
            metric: Named::of_test(run.metric, run.test_metric(), run.best_metric()),
            test_loss: run.last().map(|point| point.test_loss),
            train_loss: run.last().and_then(|point| point.train_loss),
            steps_to_target: run.steps_to(target),
            curve: &run.curve,
            flow: &run.flow,
            seconds_per_step: run.seconds_per_step,
            outcome,
            diverged_at_step,
        }
    }
}

#[derive(Serialize)]
struct TuningJson<'a> {
    optimizer: &'a str,
    /// None if every rate diverged.
    lr: Option<f64>,
    grid: Vec<TrialJson<'a>>,
}

#[derive(Serialize)]
struct TrialJson<'a> {
    lr: f64,
    #[serde(flatten)]
    metric: Named<f64>,
    validation_loss: f64,
    folds: &'a [Fold],
}

impl<'a> TuningJson<'a> {
    fn new(tuning: &'a Tuning) -> Self {
        let trials = tuning.trials.iter().map(|trial| TrialJson {
            lr: trial.learning_rate,
            metric: Named::of_validation(trial),
            validation_loss: trial.loss(),
            folds: &trial.folds,
        });
        Self { optimizer: &tuning.optimizer, lr: tuning.learning_rate, grid: trials.collect() }
    }
}

#[derive(Serialize)]
struct StandingJson {
    rank: usize,
    optimizer: String,
    lr: f64,
    runs: usize,
    diverged: usize,
    #[serde(flatten)]
    metric: Named<Option<Spread>>,
    test_loss: Option<Spread>,
    train_loss: Option<Spread>,
    steps_to_target: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_per_step: Option<Spread>,
}

impl StandingJson {
    fn new(rank: usize, standing: &Standing) -> Self {
        Self {
            rank,
            optimizer: standing.optimizer.clone(),
            lr: standing.learning_rate,
            runs: standing.runs,
            diverged: standing.diverged,
            metric: Named::of_test(standing.metric, standing.test_metric, standing.best_metric),
            test_loss: standing.test_loss,
            train_loss: standing.train_loss,
            steps_to_target: standing.steps_to_target,
            seconds_per_step: standing.seconds_per_step,
        }
    }
}

/// Figures under names that are made from that of a metric: `test_accuracy`. None where a task has no metric.
struct Named<T>(Vec<(String, T)>);

impl<T> Named<T> {
    fn of_test(metric: Option<Metric>, end: T, best: T) -> Self {
        let names =
            metric.map(|metric| ["test_", "best_test_"].map(|prefix| prefix.to_owned() + metric.name()));
        Self(names.into_iter().flatten().zip([end, best]).collect())
    }
}

impl Named<f64> {
    fn of_validation(trial: &Trial) -> Self {
        let figure = trial.metric.zip(trial.figure());
        Self(
            figure
                .map(|(metric, figure)| (format!("validation_{}", metric.name()), figure))
                .into_iter()
                .collect(),
        )
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, figure)| map.serialize_entry(name, figure))?;
        map.end()
    }
}
