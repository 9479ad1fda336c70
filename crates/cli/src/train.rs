//! `backflow train`: one run, from options to a folder with its results.

use crate::failure::Failure;
use crate::figures::grouped;
use crate::options::{self, LayerSizes};
use crate::terminal::{self, Progress, line};
use backflow_data::{Loader, Mnist};
use backflow_nn::{Activation, Init, Mlp};
use backflow_optim::{Optimizer, schedule_for_run};
use backflow_tensor::{DType, Module, Rng};
use backflow_train::{EpochRecord, Listener, RunFolder, StepRecord, Summary, TrainError, Trainer};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Streams of random numbers split from the seed, one per purpose.
const INIT_STREAM: u64 = 0;

/// The hidden layers of the default network.
const DEFAULT_HIDDEN: [usize; 2] = [256, 128];

/// Weights, gradients and an optimizer's state of this size fill some 16 GB in f32; what is far beyond would only be killed.
const MOST_WEIGHTS: usize = 1_000_000_000;

/// How many examples are evaluated at once: enough for the matrix product to be efficient, small enough for the cache.
const TEST_BATCH: usize = 500;

#[derive(Args, Debug)]
pub(crate) struct TrainOptions {
    /// The digits: `embedded`, or a folder with the four MNIST IDX files, gzipped or not.
    #[arg(long, default_value = "embedded", value_name = "embedded|DIR")]
    data: PathBuf,

    /// Layer sizes, from pixels to classes [default: hidden layers of 256 and 128].
    #[arg(long, value_parser = options::layer_sizes, value_name = "N,N,…")]
    layers: Option<LayerSizes>,

    /// The function after every hidden layer: relu, leaky-relu:0.01, elu, selu, gelu, silu, softplus, hardtanh, sigmoid, tanh.
    #[arg(long, default_value = "relu", value_parser = options::activation, value_name = "NAME")]
    activation: Activation,

    /// How weights begin: he-normal, xavier-uniform, lecun-normal, orthogonal, … [default: what suits the activation].
    #[arg(long, value_parser = options::init, value_name = "NAME")]
    init: Option<Init>,

    /// The optimizer, with its settings: `adam`, `sgd:momentum=0.9,nesterov=true`, …
    #[arg(long, default_value = "adam", value_name = "NAME[:KEY=VALUE,…]")]
    optimizer: String,

    /// The learning rate [default: the optimizer's].
    #[arg(long, value_parser = options::positive, allow_hyphen_values = true, value_name = "RATE")]
    lr: Option<f64>,

    /// How the learning rate changes: `constant`, `step:every=1000,gamma=0.5`, `cosine` (to 0 over the run),
    /// `constant:for=500/cosine` (one after another), …
    // Not `constant`, the library's default: a run should end with what it has learned, not with the noise of its last steps.
    #[arg(long, default_value = "cosine", value_name = "NAME[:KEY=VALUE,…][/…]")]
    schedule: String,

    /// Scale gradients down whose norm, over all parameters, is above this.
    #[arg(long, value_parser = options::positive, allow_hyphen_values = true, value_name = "NORM")]
    clip_norm: Option<f64>,

    /// Examples per step.
    #[arg(long, default_value_t = 32, value_parser = options::at_least_one::<usize>, allow_hyphen_values = true, value_name = "N")]
    batch_size: usize,

    /// Passes over the training set.
    #[arg(long, default_value_t = 10, value_parser = options::at_least_one::<u64>, allow_hyphen_values = true, value_name = "N")]
    epochs: u64,

    /// The seed of the initial weights and of the order of the examples.
    #[arg(long, default_value_t = 0, value_parser = options::seed, allow_hyphen_values = true, value_name = "N")]
    seed: u64,

    /// The type of the numbers.
    #[arg(long, default_value = "f32", value_parser = options::dtype, value_name = "f32|f64")]
    dtype: DType,

    /// Threads to compute with [default: one per core]. Results do not depend on it.
    #[arg(long, value_parser = options::threads, allow_hyphen_values = true, value_name = "N")]
    threads: Option<usize>,

    /// The run's folder [default: a new one in runs/]. An earlier run in it is replaced.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print one JSON object at the end, and nothing else.
    #[arg(long)]
    json: bool,
}

/// What was asked for, defaults filled in: `config.json`.
#[derive(Debug, Serialize)]
struct Config<'a> {
    version: &'static str,
    data: String,
    layers: &'a [usize],
    activation: &'static str,
    init: &'static str,
    optimizer: &'a str,
    learning_rate: f64,
    schedule: &'a str,
    clip_norm: Option<f64>,
    batch_size: usize,
    epochs: u64,
    seed: u64,
    dtype: String,
    threads: usize,
}

/// What the run came to: the object of `--json`, and `summary.json`.
#[derive(Debug, Serialize)]
struct Outcome {
    params: usize,
    steps: u64,
    epochs: u64,
    train_loss: f64,
    test_loss: f64,
    test_accuracy: f64,
    /// Of training and testing, without loading the data.
    seconds: f64,
    out: String,
    history: Vec<EpochRecord>,
    layers: Vec<backflow_train::LayerRow>,
}

pub(crate) fn run(options: &TrainOptions) -> Result<(), Failure> {
    let threads = options.threads.unwrap_or(0); // 0: rayon's choice, one per core or RAYON_NUM_THREADS
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| Failure::Run(format!("{threads} threads cannot be started: {error}")))?;
    // Inside the pool, sharing work with another thread costs a fifth of what it costs from outside.
    pool.install(|| train(options))
}

fn train(options: &TrainOptions) -> Result<(), Failure> {
    let optimizer =
        Optimizer::from_spec(&options.optimizer, options.lr).map_err(|error| usage("--optimizer", error))?;
    let digits = if is_embedded(&options.data) { Mnist::embedded() } else { Mnist::load(&options.data)? };
    let sizes = sizes_for(options.layers.as_ref(), &digits)?;

    let train = Loader::new(&digits.train, options.batch_size).shuffle(options.seed).dtype(options.dtype);
    let test = Loader::new(&digits.test, TEST_BATCH).dtype(options.dtype);
    let Some(steps) = options.epochs.checked_mul(train.len() as u64) else {
        return Err(Failure::Usage(format!("--epochs {}: more steps than can be counted", options.epochs)));
    };
    let schedule = schedule_for_run(&options.schedule, steps).map_err(|error| usage("--schedule", error))?;
    let mut optimizer = optimizer.schedule(schedule);
    if let Some(max_norm) = options.clip_norm {
        optimizer = optimizer.clip_norm(max_norm);
    }
    let init = options.init.unwrap_or_else(|| Init::default_for(options.activation));
    let mut rng = Rng::seed_from_u64(options.seed).split(INIT_STREAM);
    let mut model = Mlp::new(&sizes, options.activation, init, options.dtype, &mut rng);

    let config = Config {
        version: env!("CARGO_PKG_VERSION"),
        data: options.data.display().to_string(),
        layers: &sizes,
        activation: options.activation.name(),
        init: init.name(),
        optimizer: &options.optimizer,
        learning_rate: optimizer.learning_rate(),
        schedule: &options.schedule,
        clip_norm: options.clip_norm,
        batch_size: options.batch_size,
        epochs: options.epochs,
        seed: options.seed,
        dtype: options.dtype.to_string(),
        threads: rayon::current_num_threads(),
    };
    let out =
        options.out.clone().unwrap_or_else(|| RunFolder::free_name(Path::new("runs"), &run_name(&config)));
    let mut folder = RunFolder::create(&out, &config)?;
    if !options.json {
        introduce(&config, &digits, &model, train.len());
    }

    let mut progress = (!options.json).then(Progress::new);
    let start = Instant::now();
    let mut trainer = Trainer::new(&mut model, &mut optimizer);
    let summary = trainer.fit(&train, &test, options.epochs, &mut Both(&mut folder, &mut progress));
    let summary =
        summary.map_err(|error| Failure::Run(format!("{error}; the log is in {}", out.display())))?;
    let seconds = start.elapsed().as_secs_f64();
    drop(progress);

    folder.save_model(&model)?;
    let outcome = outcome(summary, &model, seconds, &out);
    folder.save_summary(&outcome)?;
    if options.json {
        let json = serde_json::to_string(&outcome).map_err(|error| Failure::Run(error.to_string()))?;
        line(&json);
    } else {
        terminal::layer_table(&outcome.layers);
        line("");
        line(&format!("{seconds:.1} s; configuration, metrics and weights are in {}", out.display()));
    }
    Ok(())
}

fn usage(option: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Usage(format!("{option}: {error}"))
}

fn is_embedded(data: &Path) -> bool {
    data == Path::new("embedded")
}

/// The sizes of the layers, which must begin with the pixels and end with the classes of the data.
fn sizes_for(asked: Option<&LayerSizes>, digits: &Mnist) -> Result<Vec<usize>, Failure> {
    let (pixels, classes) = (digits.train.features(), digits.train.classes());
    let Some(LayerSizes(sizes)) = asked else {
        return Ok([&[pixels], &DEFAULT_HIDDEN[..], &[classes]].concat());
    };
    if sizes.first() != Some(&pixels) || sizes.last() != Some(&classes) {
        let inner: Vec<String> = sizes[1..sizes.len() - 1].iter().map(|size| format!("{size},")).collect();
        return Err(Failure::Usage(format!(
            "--layers {}: the data has {pixels} pixels and {classes} classes; try --layers {pixels},{}{classes}",
            joined(sizes, ","),
            inner.concat(),
        )));
    }
    let weights =
        sizes.windows(2).try_fold(0_usize, |sum, pair| sum.checked_add(pair[0].checked_mul(pair[1])?));
    if weights.is_none_or(|weights| weights > MOST_WEIGHTS) {
        return Err(Failure::Usage(format!(
            "--layers {}: more than {} weights; make the layers narrower",
            joined(sizes, ","),
            grouped(MOST_WEIGHTS)
        )));
    }
    Ok(sizes.clone())
}

fn joined(sizes: &[usize], separator: &str) -> String {
    sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// A name that says what the run was, without its numbers.
fn run_name(config: &Config<'_>) -> String {
    let data = Path::new(&config.data).file_name().map_or("data".into(), |name| name.to_string_lossy());
    let optimizer = config.optimizer.split(':').next().unwrap_or_default();
    format!("{data}-{}-{}-{optimizer}-seed{}", joined(config.layers, "-"), config.activation, config.seed)
}

fn introduce(config: &Config<'_>, digits: &Mnist, model: &Mlp, steps: usize) {
    line(&format!(
        "{} digits to train on, {} to test on ({})",
        grouped(digits.train.len()),
        grouped(digits.test.len()),
        config.data
    ));
    line(&format!(
        "{}, {}, {}: {} parameters, {}",
        joined(config.layers, "-"),
        config.activation,
        config.init,
        grouped(model.parameter_count()),
        config.dtype
    ));
    line(&format!(
        "{}, learning rate {}, {}; epochs: {}, steps in each: {}, batch size {}; seed {}",
        config.optimizer,
        config.learning_rate,
        config.schedule,
        config.epochs,
        grouped(steps),
        config.batch_size,
        config.seed
    ));
    line("");
}

fn outcome(summary: Summary, model: &Mlp, seconds: f64, out: &Path) -> Outcome {
    let Summary { steps, epochs, layers } = summary;
    let last = epochs.last().copied();
    let figure = |of: fn(EpochRecord) -> f64| last.map_or(f64::NAN, of);
    Outcome {
        params: model.parameter_count(),
        steps,
        epochs: epochs.len() as u64,
        train_loss: figure(|epoch| epoch.train_loss),
        test_loss: figure(|epoch| epoch.test_loss),
        test_accuracy: figure(|epoch| epoch.test_accuracy),
        seconds,
        out: out.display().to_string(),
        history: epochs,
        layers,
    }
}

/// The log and, if there is one, the display.
struct Both<'a>(&'a mut RunFolder, &'a mut Option<Progress>);

impl Listener for Both<'_> {
    fn step(&mut self, record: &StepRecord, steps: u64) -> Result<(), TrainError> {
        self.0.step(record, steps)?;
        self.1.as_mut().map_or(Ok(()), |progress| progress.step(record, steps))
    }

    fn epoch(&mut self, record: &EpochRecord) -> Result<(), TrainError> {
        self.0.epoch(record)?;
        self.1.as_mut().map_or(Ok(()), |progress| progress.epoch(record))
    }
}
