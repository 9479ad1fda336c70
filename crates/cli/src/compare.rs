//! `backflow compare`: optimizers from the same initial weights over the same batches, ranked.

mod display;
mod list;
mod results;
mod verdict;

use crate::batches::Purpose;
use crate::data::Data;
use crate::data_options::DataConfig;
use crate::experiment::{Bar, Ended, Results};
use crate::failure::Failure;
use crate::interrupt;
use crate::network::Network;
use crate::options;
use crate::result_folder::{ResultFolder, free_folder};
use crate::setup::{Setup, usage};
use crate::task::TaskConfig;
use backflow_nn::Activation;
use backflow_probe::text::counted;
use backflow_tensor::Module;
use backflow_train::comparison::{Conditions, Contender, Outcome, Stopped};
use backflow_train::{self as train, Batches, Completion, side_by_side};
use clap::Args;
use list::Rates;
use results::{ComparisonConfig, ComparisonResults};
use std::path::PathBuf;
use std::process::ExitCode;

/// What the command and its files are called.
const NAME: &str = "compare";

/// Half-decades over the range in which the rates of all rules lie.
const RATES: [f64; 9] = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0];

const FOLDS: usize = 3;

/// The seed of the folds, and of weights and batches while a learning rate is chosen.
const TUNING_SEED: u64 = 0;

#[derive(Args, Debug)]
pub(crate) struct CompareOptions {
    /// The optimizers, with their settings, or all: `adam,sgd:lr=0.1,momentum=0.9,rmsprop`, `all`.
    #[arg(long, value_name = "NAME[:KEY=VALUE,…],…|all")]
    optimizers: String,

    #[command(flatten)]
    setup: Setup,

    /// Passes over the training set in each run.
    #[arg(
        long,
        default_value_t = 5,
        value_parser = options::at_least_one::<u64>,
        allow_hyphen_values = true,
        value_name = "N"
    )]
    epochs: u64,

    /// Runs of each optimizer, each from other initial weights and over other batches: seeds 0, 1, …
    #[arg(
        long,
        default_value_t = 3,
        value_parser = options::at_least_one::<u64>,
        allow_hyphen_values = true,
        value_name = "N"
    )]
    seeds: u64,

    /// How learning rates change: `constant`, `step:every=1000,gamma=0.5`, `cosine` (to 0 over the run),
    /// `constant:for=500/cosine` (one after another), …
    // The rules are compared, not what a schedule makes of them; some of them need none.
    #[arg(long, default_value = "constant", value_name = "NAME[:KEY=VALUE,…]")]
    schedule: String,

    /// The test accuracy that the table counts the steps to.
    #[arg(
        long,
        default_value_t = 0.9,
        value_parser = options::share,
        allow_hyphen_values = true,
        value_name = "SHARE"
    )]
    steps_to: f64,

    /// Choose the learning rate of each optimizer whose settings state none, by cross-validation on the
    /// training set.
    #[arg(long)]
    tune: bool,

    /// Folds of the cross-validation [default: 3].
    #[arg(long, value_parser = options::at_least_one::<usize>, allow_hyphen_values = true, value_name = "K")]
    folds: Option<usize>,

    /// Learning rates to choose from: `1e-3,1e-2,0.1`, or a range, `1e-4..1@log:9` [default: 1e-4 to 1 in
    /// half-decades].
    #[arg(long, value_parser = list::rates, allow_hyphen_values = true, value_name = "RATE,…")]
    rates: Option<Rates>,

    /// Make one run after another, each on all threads, and time its steps. By default as many are made at
    /// once as there are threads, as for --tune always, which takes less time and gives the same results.
    #[arg(long)]
    one_by_one: bool,

    /// The folder of the results [default: a new one in runs/]. An earlier comparison in it is replaced.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print one JSON object at the end, and nothing else.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &CompareOptions) -> Result<ExitCode, Failure> {
    options.setup.in_pool(|| compare(options))
}

/// What the runs need, all checked.
struct Experiment<'a> {
    setup: &'a Setup,
    data: Data,
    network: Network,
    conditions: Conditions,
    contenders: Vec<Contender>,
    seeds: u64,
    /// Rates and folds, if learning rates are to be chosen.
    tuning: Option<(Vec<f64>, usize)>,
}

fn compare(options: &CompareOptions) -> Result<ExitCode, Failure> {
    let mut experiment = Experiment::new(options)?;
    let mut results = experiment.results(options);
    let out =
        options.out.clone().unwrap_or_else(|| free_folder(NAME, &options.setup.name(&experiment.network)));
    results.out = out.display().to_string();
    interrupt::listen()?;
    let folder = ResultFolder::create(out, NAME, "comparison")?;
    let bar = Bar::new(!options.json, experiment.trainings());
    display::introduce(&bar, &results);
    let ended = experiment.carry_out(&mut results, &folder, &bar);
    drop(bar);
    if let Some(code) = results.end(ended, &folder, options.json)? {
        return Ok(code);
    }
    if results.runs.iter().all(|run| run.outcome != Outcome::Finished) {
        return Err(Failure::Run(format!("every run diverged; the figures are in {}", results.out)));
    }
    Ok(ExitCode::SUCCESS)
}

impl<'a> Experiment<'a> {
    fn new(options: &'a CompareOptions) -> Result<Self, Failure> {
        let setup = &options.setup;
        let contenders =
            list::contenders(&options.optimizers).map_err(|error| usage("--optimizers", error))?;
        for (option, given) in [("--folds", options.folds.is_some()), ("--rates", options.rates.is_some())] {
            if given && !options.tune {
                return Err(usage(option, "only --tune chooses learning rates; give it too"));
            }
        }
        let data = setup.load(None)?;
        data.require_accuracy()?;
        let (network, data) = setup.network(data)?;
        let examples = data.train.len();
        // A batch holds no more than there is.
        let batch_size = setup.batch_size().min(examples);
        let folds = options.folds.unwrap_or(FOLDS);
        if options.tune && !(2..=examples).contains(&folds) {
            let message = format!(
                "{folds} is not a number of folds; expected 2 to {examples}, one per \
                                   example"
            );
            return Err(usage("--folds", message));
        }
        for contender in &contenders {
            let is_tuned = options.tune && !contender.states_rate();
            // What a fold leaves, of which some are larger by one.
            let left = [examples - examples / folds, examples - examples.div_ceil(folds)];
            let folds = left.map(|left| (left, examples - left)).into_iter().filter(|_| is_tuned);
            for (examples, evaluated) in [(examples, data.test.len())].into_iter().chain(folds) {
                let size = if contender.full_batch() { examples } else { batch_size };
                let batches = Batches { examples, size, parts: setup.task.accumulate };
                network.check(batches, Purpose::Training { evaluated })?;
            }
        }
        let steps = options.epochs.checked_mul(examples.div_ceil(batch_size) as u64);
        let Some(steps) = steps else {
            return Err(usage("--epochs", format!("{}: more steps than can be counted", options.epochs)));
        };
        let conditions = Conditions {
            dtype: setup.dtype,
            schedule: options.schedule.clone(),
            clip_norm: setup.clip_norm,
            accumulate: setup.task.accumulate,
            augment: setup.task.augment,
            ..Conditions::new(options.epochs, batch_size)
        };
        for contender in &contenders {
            conditions.optimizer(contender, steps).map_err(|error| usage("--schedule", error))?;
        }
        let rates = options.rates.as_ref().map_or(&RATES[..], |Rates(rates)| rates);
        let tuning = options.tune.then(|| (rates.to_vec(), folds));
        Ok(Self { setup, data, network, conditions, contenders, seeds: options.seeds, tuning })
    }

    /// Results of nothing yet.
    fn results(&self, options: &CompareOptions) -> ComparisonResults {
        let setup = self.setup;
        let specs = |keep: fn(&Contender) -> bool| {
            self.contenders.iter().filter(|c| keep(c)).map(|c| c.spec().to_owned()).collect::<Vec<_>>()
        };
        let (layers, activation, model) = self.network.facts();
        let config = ComparisonConfig {
            data: setup.data.source().to_string(),
            data_options: DataConfig::new(&setup.data, None),
            layers,
            activation: activation.map(Activation::name),
            model,
            init: setup.init(&self.network).to_string(),
            init_asked: setup.init.is_some(),
            dtype: setup.dtype.to_string(),
            optimizers: specs(|_| true),
            epochs: options.epochs,
            batch_size: self.conditions.batch_size,
            schedule: options.schedule.clone(),
            clip_norm: setup.clip_norm,
            seeds: options.seeds,
            target: options.steps_to,
            task: TaskConfig::new(&setup.task, &self.data),
            rates: self.tuning.as_ref().map(|(rates, _)| rates.clone()),
            folds: self.tuning.as_ref().map(|&(_, folds)| folds),
            one_by_one: options.one_by_one,
            threads: rayon::current_num_threads(),
            flush_to_zero: setup.flush_to_zero,
        };
        let parameters = setup.model(&self.network, 0).parameter_count();
        ComparisonResults {
            config,
            setup: setup.description(&self.data, &self.network, parameters),
            test_examples: self.data.test.len(),
            runs: Vec::new(),
            tunings: Vec::new(),
            full_batch: specs(Contender::full_batch),
            unclipped: specs(Contender::refuses_clipping),
            states_all_rates: self.contenders.iter().all(Contender::states_rate),
            planned: (self.contenders.len() as u64).saturating_mul(self.seeds),
            interrupted: false,
            out: String::new(),
        }
    }

    /// How often a network is trained, all in all.
    fn trainings(&self) -> u64 {
        let tuned = self.contenders.iter().filter(|contender| !contender.states_rate()).count() as u64;
        let each = self.tuning.as_ref().map_or(0, |(rates, folds)| (rates.len() * folds) as u64);
        (self.contenders.len() as u64).saturating_mul(self.seeds).saturating_add(tuned.saturating_mul(each))
    }

    /// Chooses learning rates, then makes all runs, saving after each. Where every rate diverged, the default
    /// stays. Runs come seed by seed, so that a comparison that is stopped has compared every optimizer over
    /// some seeds, not some optimizers over every seed.
    fn carry_out(
        &mut self,
        results: &mut ComparisonResults,
        folder: &ResultFolder,
        bar: &Bar,
    ) -> Result<(), Ended> {
        let task = self.data.task(&self.setup.task);
        let mut done = 0.0;
        if let Some((rates, folds)) = &self.tuning {
            for contender in self.contenders.iter_mut().filter(|contender| !contender.states_rate()) {
                bar.message(format!("choosing a rate for {}", contender.spec()));
                let model = || self.setup.model(&self.network, TUNING_SEED);
                let supervise = |trainings| {
                    bar.at(done + trainings);
                    interrupt::check()
                };
                let (train, seed) = (&self.data.train, TUNING_SEED);
                let tuning =
                    self.conditions.tune(&*task, contender, rates, *folds, seed, model, train, &supervise)?;
                if let Some(rate) = tuning.learning_rate {
                    *contender = contender.at(rate).map_err(Stopped::from)?;
                }
                bar.line(&display::tuned(&tuning));
                results.tunings.push(tuning);
                done += (rates.len() * folds) as f64;
            }
        }
        bar.message(counted(results.planned, "run"));
        let (contenders, completion) = (self.contenders.len(), Completion::default());
        let at_once = if results.config.one_by_one { 1 } else { usize::MAX };
        let run = |job: usize, others: &train::Ended| {
            let (contender, seed) = (&self.contenders[job % contenders], (job / contenders) as u64);
            let mut part = completion.begin();
            let mut watch = |step, steps| {
                bar.at(done + part.at(step, steps));
                others.or(interrupt::check())
            };
            let mut model = self.setup.model(&self.network, seed);
            let (train, test) = (&self.data.train, &self.data.test);
            Ok(self.conditions.run(&*task, contender, seed, &mut model, train, test, &mut watch)?)
        };
        side_by_side(at_once, usize::try_from(results.planned).unwrap_or(usize::MAX), run, |_, mut run| {
            // Beside others, a step's time is that of their company.
            run.seconds_per_step = run.seconds_per_step.filter(|_| at_once == 1);
            bar.line(&display::ran(&run));
            results.runs.push(run);
            Ok(results.save(folder)?)
        })
    }
}
