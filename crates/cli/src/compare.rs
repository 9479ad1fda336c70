//! `backflow compare`: optimizers from the same initial weights over the same batches, ranked.

mod display;
mod list;
mod results;
mod verdict;

use crate::failure::Failure;
use crate::interrupt;
use crate::options;
use crate::result_folder::{ResultFolder, free_folder, page_in};
use crate::setup::{Setup, usage};
use crate::task::TaskConfig;
use crate::terminal::line;
use backflow_data::Mnist;
use backflow_report::Table;
use backflow_tensor::Module;
use backflow_train::comparison::{Conditions, Contender, Outcome, Stopped};
use clap::Args;
use display::Display;
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
    target: f64,

    /// Choose the learning rate of each optimizer whose settings state none, by cross-validation on the
    /// training set.
    #[arg(long)]
    tune: bool,

    /// Folds of the cross-validation [default: 3].
    #[arg(long, value_parser = options::at_least_one::<usize>, allow_hyphen_values = true, value_name = "K")]
    folds: Option<usize>,

    /// Learning rates to choose from [default: 1e-4 to 1 in half-decades].
    #[arg(long, value_parser = list::rates, allow_hyphen_values = true, value_name = "RATE,…")]
    rates: Option<Rates>,

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
    digits: Mnist,
    sizes: Vec<usize>,
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
        options.out.clone().unwrap_or_else(|| free_folder(NAME, &options.setup.name(&experiment.sizes)));
    results.out = out.display().to_string();
    interrupt::listen()?;
    let folder = ResultFolder::create(out, NAME, "comparison")?;
    let trainings = experiment.trainings();
    let mut display = Display::new(!options.json, trainings);
    display.introduce(&results);
    let ended = experiment.carry_out(&mut results, &folder, &mut display);
    drop(display);
    if results.runs.is_empty() {
        folder.leave();
    }
    match ended {
        Ok(()) => {}
        Err(Ended::Interrupted) => {
            results.interrupted = true;
            if !results.runs.is_empty() {
                save(&results, &folder)?;
            }
        }
        // What is complete is shown even where it could not be saved.
        Err(Ended::Failed(failure)) => {
            conclude(&results, options.json)?;
            return Err(failure);
        }
    }
    conclude(&results, options.json)?;
    if results.interrupted {
        let (done, planned, out) = (results.runs.len(), results.planned, &results.out);
        match done {
            0 => eprintln!("backflow: interrupted; no run was finished, and nothing was written"),
            1 => eprintln!("backflow: interrupted; 1 of {planned} runs is complete, and kept in {out}"),
            _ => eprintln!("backflow: interrupted; {done} of {planned} runs are complete, and kept in {out}"),
        }
        return Ok(interrupt::exit_code());
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
        let digits = setup.digits()?;
        let sizes = setup.sizes(&digits)?;
        let examples = digits.train.len();
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
        let steps = options.epochs.checked_mul(examples.div_ceil(batch_size) as u64);
        let Some(steps) = steps else {
            return Err(usage("--epochs", format!("{}: more steps than can be counted", options.epochs)));
        };
        let conditions = Conditions {
            dtype: setup.dtype,
            schedule: options.schedule.clone(),
            clip_norm: setup.clip_norm,
            accumulate: setup.task.accumulate,
            ..Conditions::new(options.epochs, batch_size)
        };
        for contender in &contenders {
            conditions.optimizer(contender, steps).map_err(|error| usage("--schedule", error))?;
        }
        let rates = options.rates.as_ref().map_or(&RATES[..], |Rates(rates)| rates);
        let tuning = options.tune.then(|| (rates.to_vec(), folds));
        Ok(Self { setup, digits, sizes, conditions, contenders, seeds: options.seeds, tuning })
    }

    /// Results of nothing yet.
    fn results(&self, options: &CompareOptions) -> ComparisonResults {
        let setup = self.setup;
        let specs = |keep: fn(&Contender) -> bool| {
            self.contenders.iter().filter(|c| keep(c)).map(|c| c.spec().to_owned()).collect::<Vec<_>>()
        };
        let config = ComparisonConfig {
            data: setup.data.display().to_string(),
            layers: self.sizes.clone(),
            activation: setup.activation.name(),
            init: setup.init().name(),
            dtype: setup.dtype.to_string(),
            optimizers: specs(|_| true),
            epochs: options.epochs,
            batch_size: self.conditions.batch_size,
            schedule: options.schedule.clone(),
            clip_norm: setup.clip_norm,
            seeds: options.seeds,
            target: options.target,
            task: TaskConfig::from(&setup.task),
            rates: self.tuning.as_ref().map(|(rates, _)| rates.clone()),
            folds: self.tuning.as_ref().map(|&(_, folds)| folds),
            threads: rayon::current_num_threads(),
            flush_to_zero: setup.flush_to_zero,
        };
        let parameters = setup.model(&self.sizes, 0).parameter_count();
        ComparisonResults {
            config,
            setup: setup.description(&self.digits, &self.sizes, parameters).into(),
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
        display: &mut Display,
    ) -> Result<(), Ended> {
        let task = self.setup.task.task();
        if let Some((rates, folds)) = &self.tuning {
            for contender in &mut self.contenders {
                if contender.states_rate() {
                    continue;
                }
                let model = || self.setup.model(&self.sizes, TUNING_SEED);
                let tuning = self.conditions.tune(
                    &task,
                    contender,
                    rates,
                    *folds,
                    TUNING_SEED,
                    model,
                    &self.digits.train,
                    &mut |trainings, share| {
                        display.tuning(contender.spec(), trainings, share);
                        interrupt::check()
                    },
                )?;
                if let Some(rate) = tuning.learning_rate {
                    *contender = contender.at(rate).map_err(Stopped::from)?;
                }
                display.tuned(&tuning);
                results.tunings.push(tuning);
            }
        }
        for seed in 0..self.seeds {
            for contender in &self.contenders {
                let mut model = self.setup.model(&self.sizes, seed);
                let mut watch = |step, steps| {
                    display.running(contender.spec(), seed, step, steps);
                    interrupt::check()
                };
                let (train, test) = (&self.digits.train, &self.digits.test);
                let run = self.conditions.run(&task, contender, seed, &mut model, train, test, &mut watch)?;
                display.ran(&run);
                results.runs.push(run);
                save(results, folder)?;
            }
        }
        Ok(())
    }
}

/// Writes what is known so far.
fn save(results: &ComparisonResults, folder: &ResultFolder) -> Result<(), Failure> {
    let notes = verdict::notes(results);
    folder.save(&results.json(&notes), &results.page(&notes).html())
}

/// Prints the conclusion: table and sentences, or the one JSON object.
fn conclude(results: &ComparisonResults, json: bool) -> Result<(), Failure> {
    let notes = verdict::notes(results);
    if json {
        let text = serde_json::to_string(&results.json(&notes));
        line(&text.map_err(|error| Failure::Run(error.to_string()))?);
        return Ok(());
    }
    if !results.runs.is_empty() {
        line("");
        let table = Table::of_comparison(&results.standings(), results.config.target);
        table.lines().iter().for_each(|row| line(row));
    }
    line("");
    notes.iter().for_each(|note| line(note));
    if !results.runs.is_empty() {
        line(&format!("Learning curves and all figures: {}", page_in(&results.out, NAME)));
    }
    Ok(())
}

/// Why not everything was carried out.
enum Ended {
    Interrupted,
    Failed(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Stopped> for Ended {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Interrupted => Self::Interrupted,
            Stopped::Task(error) => Self::Failed(Failure::Run(error.to_string())),
            other => Self::Failed(Failure::Usage(other.to_string())),
        }
    }
}
