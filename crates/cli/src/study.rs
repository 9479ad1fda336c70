//! `backflow study`: how gradients flow back through networks of many kinds, beside the theory, and which of
//! them learn.

mod cells;
mod configurations;
mod list;
mod results;
mod twins;
mod words;

use crate::batches::{self, Purpose};
use crate::data::Data;
use crate::data_options::{DataConfig, DataOptions};
use crate::experiment::{Bar, Ended, Results};
use crate::failure::Failure;
use crate::interrupt;
use crate::options;
use crate::result_folder::{ResultFolder, free_folder};
use crate::setup::{self, DEFAULT_BATCH, usage};
use crate::task::{TaskConfig, TaskOptions};
use backflow_nn::{Activation, Init};
use backflow_probe::text::counted;
use backflow_tensor::DType;
use backflow_train::comparison::Contender;
use backflow_train::study::{Configuration, Norm, Study, TrainableDepths, Training};
use clap::Args;
use list::{List, Skip};
use results::{StudyConfig, StudyResults};
use std::path::PathBuf;
use std::process::ExitCode;

/// What the command and its files are called.
const NAME: &str = "study";

/// The training that the pair gets.
const STEPS: u64 = 300;

const OPTIMIZER: &str = "adam";

#[derive(Args, Debug)]
pub(crate) struct StudyOptions {
    /// A network in a line instead of a multilayer perceptron, with placeholders {width}, {depth}, {activation}, {norm}
    /// and {skip} for what --width, --depth, … say: `[linear:{width}/{norm}/tanh]*{depth}/linear:10`. Several times, or
    /// joined by `;`, for several networks. `backflow models` lists the words.
    #[arg(long, value_name = "LINE")]
    model: Vec<String>,

    /// The functions after hidden layers: `sigmoid,tanh,relu`, … [default: sigmoid,relu; with --model none].
    #[arg(long, value_parser = list::activations, value_name = "NAME,…")]
    activation: Option<List<Activation>>,

    /// How weights begin: `xavier-uniform,he-normal,orthogonal`, …; with a gain instead of the activation's
    /// and biases of a variance: `he-normal:gain=1.2,bias_var=0.05` [default: what suits the activation].
    #[arg(long, value_parser = list::inits, value_name = "NAME[:KEY=VALUE,…],…")]
    init: Option<List<Init>>,

    /// Standard deviations of weights, each over the root of its layer's inputs, instead of --init: `1.5`,
    /// `0.5..4@8` (8 values at equal distances), `1..2:0.25` (in steps).
    #[arg(long, value_parser = list::sigmas, allow_hyphen_values = true, value_name = "S,…", conflicts_with = "init")]
    sigma_w: Option<List<f64>>,

    /// Standard deviations of biases, with --sigma-w: `0.05` [default: 0].
    #[arg(long, value_parser = list::sigmas, allow_hyphen_values = true, value_name = "S,…", requires = "sigma_w")]
    sigma_b: Option<List<f64>>,

    /// Numbers of hidden layers: `2,5,10,20,40`, or a range, `5..50:5` [default: 20; with --model
    /// none].
    #[arg(long, value_parser = list::depths, allow_hyphen_values = true, value_name = "N,…")]
    depth: Option<List<usize>>,

    /// Numbers of units in each hidden layer: `64,256`, or a range, `16..1024@log:4` [default: 64;
    /// with --model none].
    #[arg(long, value_parser = list::widths, allow_hyphen_values = true, value_name = "N,…")]
    width: Option<List<usize>>,

    /// What stands for {norm}: `none,batch,layer,rms,instance,group:8`, or the words of the line, `batchnorm`, …; none:
    /// the word vanishes with its slash.
    #[arg(long, value_parser = list::norms, value_name = "NAME,…", requires = "model")]
    norm: Option<List<Norm>>,

    /// What stands for {skip} in `{skip}(…)`: `on`, a residual branch, or `off`, its layers alone.
    #[arg(long, value_parser = list::skips, value_name = "on,off", requires = "model")]
    skip: Option<List<Skip>>,

    #[command(flatten)]
    cells: cells::CellOptions,

    /// Train each network for so many steps, to see whether it learns [default: 300 if no networks are asked for by
    /// the options above, else 0]. With --cell, the lengths of sequences: `20,50,100`, or a range [default: 20,50].
    #[arg(long, value_parser = list::steps, allow_hyphen_values = true, value_name = "N,…")]
    steps: Option<List<u64>>,

    /// The optimizer of the training, with its settings [default: adam].
    #[arg(long, value_name = "NAME[:KEY=VALUE,…]")]
    optimizer: Option<String>,

    /// Its learning rate [default: the optimizer's].
    #[arg(long, value_parser = options::positive, allow_hyphen_values = true, value_name = "RATE")]
    lr: Option<f64>,

    /// Examples per step of the training [default: 32; gd, rprop, bold-driver and lbfgs get the whole
    /// training set].
    #[arg(long, value_parser = options::at_least_one::<usize>, allow_hyphen_values = true, value_name = "N")]
    batch_size: Option<usize>,

    #[command(flatten)]
    task: TaskOptions,

    #[command(flatten)]
    data: DataOptions,

    /// Networks of each configuration, over which figures are averaged: seeds 0, 1, …
    #[arg(
        long,
        default_value_t = 3,
        value_parser = options::at_least_one::<u64>,
        allow_hyphen_values = true,
        value_name = "N"
    )]
    seeds: u64,

    /// The type of the numbers.
    #[arg(long, default_value = "f32", value_parser = options::dtype, value_name = "f32|f64")]
    dtype: DType,

    /// Threads to compute with [default: one per core]; at most 64, or two per core, are started. Results do
    /// not depend on it.
    #[arg(long, value_parser = options::threads, allow_hyphen_values = true, value_name = "N")]
    threads: Option<usize>,

    /// Make subnormal results 0. It changes results where gradients vanish; see NUMERICS.md.
    #[arg(long)]
    flush_to_zero: bool,

    /// The folder of the results [default: a new one in runs/]. An earlier study in it is replaced.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print one JSON object at the end, and nothing else.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &StudyOptions) -> Result<ExitCode, Failure> {
    setup::in_pool(options.threads, options.flush_to_zero, || study(options))
}

fn study(options: &StudyOptions) -> Result<ExitCode, Failure> {
    if options.cells.are_asked_for() {
        return cells::study(options);
    }
    let mut study = options.study()?;
    let data = Data::load(&options.data, &options.task, None)?;
    data.require_classes("a study")?;
    if let Some(training) = &mut study.training {
        // A batch holds no more than there is.
        training.batch_size = training.batch_size.min(data.train.len());
    }
    let configurations = options.configurations(&data)?;
    for line in configurations.iter().filter_map(Configuration::line) {
        // First the look.
        let purposes = [Purpose::Look, Purpose::Training { evaluated: data.test.len() }];
        for (batches, purpose) in study.batches(data.train.len()).into_iter().zip(purposes) {
            batches::check(line.plan(), batches, purpose)?;
        }
    }
    let mut results = options.results(&study, &data, &configurations);
    interrupt::listen()?;
    let folder = ResultFolder::create(PathBuf::from(&results.out), NAME, "study")?;
    let bar = Bar::new(!options.json, (configurations.len() as u64).saturating_mul(options.seeds));
    results.introduction().iter().for_each(|text| bar.line(text));
    bar.message(counted(configurations.len() as u64, "configuration"));
    let supervise = |networks| {
        bar.at(networks);
        interrupt::check()
    };
    let ended = study.examine(&configurations, &data.train, &data.test, &supervise, |finding| {
        results.add(finding);
        Ok::<_, Ended>(results.save(&folder)?)
    });
    drop(bar);
    Ok(results.end(ended, &folder, options.json)?.unwrap_or(ExitCode::SUCCESS))
}

impl StudyOptions {
    /// What is the same for all configurations.
    fn study(&self) -> Result<Study, Failure> {
        let inits = self.init.is_some() || self.sigma_w.is_some();
        let sizes = self.depth.is_some() || self.width.is_some();
        let is_asked = self.activation.is_some() || inits || sizes || !self.model.is_empty();
        let steps = match self.steps.as_ref().map(|List(steps)| &steps[..]) {
            None => {
                if is_asked {
                    0
                } else {
                    STEPS
                }
            }
            Some(&[steps]) => steps,
            Some(_) => {
                return Err(usage(
                    "--steps",
                    "several are lengths of sequences; say of which layers with --cell",
                ));
            }
        };
        let of_training = [
            ("--optimizer", self.optimizer.is_some()),
            ("--lr", self.lr.is_some()),
            ("--batch-size", self.batch_size.is_some()),
            ("--accumulate", self.task.accumulate > 1),
        ];
        if let Some((option, _)) = of_training.iter().find(|(_, given)| *given && steps == 0) {
            return Err(usage(option, "only a training has one; say how long with --steps"));
        }
        let contender = self.contender()?;
        let batch_size = self.batch_size.unwrap_or(DEFAULT_BATCH);
        let training = (steps > 0).then_some(Training {
            contender,
            steps,
            batch_size,
            accumulate: self.task.accumulate,
            augment: self.task.augment,
        });
        Ok(Study {
            task: self.task.loss.unwrap_or_default().task(),
            dtype: self.dtype,
            training,
            ..Study::new(self.seeds)
        })
    }

    /// The optimizer of the training.
    fn contender(&self) -> Result<Contender, Failure> {
        let spec = self.optimizer.as_deref().unwrap_or(OPTIMIZER);
        setup::optimizer(spec, self.lr)?;
        let contender = Contender::new(spec).map_err(|error| usage("--optimizer", error))?;
        match self.lr {
            Some(lr) => contender.at(lr).map_err(|error| usage("--lr", error)),
            None => Ok(contender),
        }
    }

    /// Results of nothing yet.
    fn results(&self, study: &Study, data: &Data, configurations: &[Configuration]) -> StudyResults {
        let config = StudyConfig {
            data: self.data.source().to_string(),
            data_options: DataConfig::new(&self.data, None),
            examples: study.examples.min(data.train.len()),
            seeds: self.seeds,
            dtype: self.dtype.to_string(),
            steps: study.training.as_ref().map_or(0, |training| training.steps),
            optimizer: study.training.as_ref().map(|training| training.contender.spec().to_owned()),
            lr: study.training.as_ref().and_then(|training| training.contender.learning_rate().ok()),
            batch_size: study.training.as_ref().map(|training| {
                if training.contender.full_batch() { data.train.len() } else { training.batch_size }
            }),
            task: TaskConfig::new(&self.task, data),
            threads: rayon::current_num_threads(),
            flush_to_zero: self.flush_to_zero,
            models: self.templates(),
        };
        StudyResults {
            config,
            data: data.in_words(&self.data.source()),
            ends: [data.train.features(), data.train.classes()],
            input: data.samples().shape().to_vec(),
            findings: Vec::new(),
            depths: TrainableDepths::of(configurations),
            twins: Vec::new(),
            planned: configurations.len(),
            interrupted: false,
            out: self
                .out
                .clone()
                .unwrap_or_else(|| free_folder(NAME, &self.data.source().slug()))
                .display()
                .to_string(),
        }
    }
}
