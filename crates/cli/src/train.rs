//! `backflow train`: one run, from options to a folder with its results.

use crate::batches::Purpose;
use crate::config::RunConfig;
use crate::data::Goal;
use crate::data_options::DataConfig;
use crate::events::Events;
use crate::failure::Failure;
use crate::inspect;
use crate::interrupt;
use crate::network::{Model, Network};
use crate::options;
use crate::predictor::Predictor;
use crate::probe::Probe;
use crate::profile::ProfileFigures;
use crate::setup::{self, Setup, usage};
use crate::task::TaskConfig;
use crate::terminal::{self, Progress, complain, line, object};
use crate::written::Written;
use backflow_data::{Dataset, Loader};
use backflow_optim::RuleInfo;
use backflow_probe::text::grouped;
use backflow_probe::{FlowStep, GradFlow, Recorder, Stats, Verdict, When};
use backflow_report::FlowPage;
use backflow_tensor::training::Scope;
use backflow_tensor::{DType, Module};
use backflow_train::{
    Batches, CutRun, EVALUATION_BATCH, RunFolder, StepTimes, TrainError, Trainer, with_evaluated_weights,
};
use clap::Args;
use listeners::Listeners;
use results::TrainResults;
use resume::Asked;
use saving::{Ended, Saver, SavingOptions};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

mod listeners;
mod results;
mod resume;
mod saving;

#[derive(Args, Debug)]
pub(crate) struct TrainOptions {
    #[command(flatten)]
    setup: Setup,

    /// Hold this part of the training set out, each class's own part, and show after each epoch how good the network is on
    /// it, instead of on the test set, which comes at the end. Which examples is the same for every --seed.
    #[arg(long, value_parser = options::part, allow_hyphen_values = true, value_name = "PART")]
    validation: Option<f64>,

    /// The optimizer, with its settings: `adam`, `sgd:momentum=0.9,nesterov=true`, …
    #[arg(long, default_value = "adam", value_name = "NAME[:KEY=VALUE,…]")]
    optimizer: String,

    /// The learning rate [default: the optimizer's].
    #[arg(long, value_parser = options::positive, allow_hyphen_values = true, value_name = "RATE")]
    lr: Option<f64>,

    /// How the learning rate changes: `constant`, `step:every=1000,gamma=0.5`, `cosine` (to 0 over the run),
    /// `constant:for=500/cosine` (one after another), …
    // Not `constant`, the library's default: a run should end with what it has learned, not with the noise of
    // its last steps.
    #[arg(long, default_value = "cosine", value_name = "NAME[:KEY=VALUE,…][/…]")]
    schedule: String,

    /// How another setting of the optimizer changes: `momentum=cyclic:max=0.8,up=100`,
    /// `beta1=linear:start=1,end=0.9`, … May be given several times.
    #[arg(long, value_name = "SETTING=NAME[:KEY=VALUE,…]")]
    schedule_of: Vec<String>,

    /// Passes over the training set. A run that goes on may be given more, where its schedule does not go by them.
    #[arg(
        long,
        default_value_t = 10,
        value_parser = options::at_least_one::<u64>,
        allow_hyphen_values = true,
        value_name = "N"
    )]
    epochs: u64,

    /// The seed of the initial weights and of the order of the examples.
    #[arg(
        long,
        default_value_t = 0,
        value_parser = options::seed,
        allow_hyphen_values = true,
        value_name = "N"
    )]
    seed: u64,

    /// The run's folder [default: a new one in runs/]. An earlier run in it is replaced, and kept in earlier-run until
    /// this one has ended.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Go on with the run in this folder from its newest checkpoint, to the bits that it would have come to uncut; with
    /// none, begin it again. What was asked for then holds.
    #[arg(long, value_name = "RUN")]
    resume: Option<PathBuf>,

    #[command(flatten)]
    saving: SavingOptions,

    /// How closely the flow through the layers is watched. It changes no bit of the training.
    #[arg(long, value_enum, default_value = "basic")]
    probe: Probe,

    /// Measure the curvature of the loss at each N-th step; each time takes as long as a hundred steps.
    #[arg(long, value_parser = options::at_least_one::<u64>, allow_hyphen_values = true, value_name = "N")]
    curvature_every: Option<u64>,

    /// Measure the singular values of Jacobians at each N-th step; each time takes 0.1 s for layers of 256.
    #[arg(long, value_parser = options::at_least_one::<u64>, allow_hyphen_values = true, value_name = "N")]
    jacobians_every: Option<u64>,

    /// Measure what goes through each unit, a channel behind a convolution, and what comes back to it, at each
    /// N-th step: maps of units by steps, of layers of up to 512.
    #[arg(long, value_parser = options::at_least_one::<u64>, allow_hyphen_values = true, value_name = "N")]
    units_every: Option<u64>,

    /// Show where the time of a step goes: each op, forwards and backwards, the optimizer, the loader. About
    /// every second step is timed so; no bit of the training changes.
    #[arg(long)]
    profile: bool,

    /// Write the run for TensorBoard while it goes on, into a folder of its name in this one.
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,

    /// Print one JSON object at the end, and nothing else.
    #[arg(long)]
    json: bool,
}

impl TrainOptions {
    /// A recorder for a run of this many steps, if there is anything to record.
    fn recorder(&self, model: &Model, steps: u64) -> Option<Recorder> {
        type Set = fn(Recorder, When) -> Recorder;
        let asked: [(Option<u64>, Set); 3] = [
            (self.curvature_every, Recorder::curvature),
            (self.jacobians_every, Recorder::jacobians),
            (self.units_every, Recorder::units),
        ];
        let recorder = self.probe.recorder(model, steps);
        asked.into_iter().fold(recorder, |recorder, (every, set)| match every {
            Some(every) => {
                let recorder = recorder.unwrap_or_else(|| Recorder::new(model).every(When::Never));
                Some(set(recorder, When::Every(every)))
            }
            None => recorder,
        })
    }
}

pub(crate) fn run(options: &TrainOptions) -> Result<(), Failure> {
    // Behind `backflow train`.
    let present: Vec<OsString> = std::env::args_os().skip(2).collect();
    let Some(run) = &options.resume else {
        // How results are shown is asked for anew each time.
        let words = present.iter().filter(|word| *word != "--json");
        let arguments = words.map(|word| word.to_string_lossy().into_owned()).collect();
        return options.setup.in_pool(|| train(options, arguments, None));
    };
    let Asked { options, arguments, config } = resume::asked(run, present)?;
    let summary = RunFolder::read_summary::<serde_json::Value>(run);
    if let Some(summary) = summary.as_ref().filter(|_| options.epochs == config.epochs) {
        if options.json {
            return object(summary);
        }
        let run = terminal::shown(run);
        line(&format!("{run} has ended, after {} epochs; --epochs N goes on for longer", summary["epochs"]));
        return Ok(());
    }
    let resumed = RunFolder::resume(run)?;
    if summary.is_some() && resumed.is_none() {
        let why = "the run has ended, and has no checkpoint to go on from; one that is begun with --checkpoint-every has";
        return Err(Failure::Run(format!("{}: {why}", run.display())));
    }
    let skipped = resumed.iter().flat_map(CutRun::skipped);
    skipped.for_each(|error| complain(&format!("{error}; passed over")));
    options.setup.in_pool(|| train(&options, arguments, resumed.map(|run| (run, config))))
}

fn train(
    options: &TrainOptions,
    arguments: Vec<String>,
    resumed: Option<(CutRun, RunConfig)>,
) -> Result<(), Failure> {
    let optimizer = setup::optimizer(&options.optimizer, options.lr)?.seed(options.seed);
    let setup = &options.setup;
    setup.refuse_clipping(&options.optimizer)?;
    let (network, data) = setup.network(setup.load(options.validation)?)?;

    let wants_all = RuleInfo::find(&options.optimizer).is_some_and(|info| info.full_batch);
    let whole = wants_all && setup.batch_size.is_none();
    let batch_size = if whole { data.train.len() } else { setup.batch_size() };
    let batches = Batches { examples: data.train.len(), size: batch_size, parts: setup.task.accumulate };
    let held_out = data.validation.as_ref().map_or(0, Dataset::len);
    network.check(batches, Purpose::Training { evaluated: data.test.len().max(held_out) })?;
    let train = Loader::new(&data.train, batch_size).dtype(setup.dtype);
    // One batch of everything has no order to shuffle.
    let train = if whole { train } else { train.shuffle(options.seed) };
    let train = train.augment(setup.task.augment, options.seed);
    let evaluated = |set| Loader::new(set, EVALUATION_BATCH).dtype(setup.dtype);
    let (test, validation) = (evaluated(&data.test), data.validation.as_ref().map(evaluated));
    let Some(steps) = options.epochs.checked_mul(train.len() as u64) else {
        return Err(Failure::Usage(format!("--epochs {}: more steps than can be counted", options.epochs)));
    };
    // Before the schedule: what a person would write down to repeat the run.
    let learning_rate = optimizer.learning_rate();
    let mut optimizer =
        optimizer.schedule_spec(&options.schedule, steps).map_err(|error| usage("--schedule", error))?;
    for spec in &options.schedule_of {
        optimizer = optimizer.schedule_of_spec(spec, steps).map_err(|error| usage("--schedule-of", error))?;
    }
    if let Some(max_norm) = setup.clip_norm {
        optimizer = optimizer.clip_norm(max_norm);
    }
    let mut model = setup.model(&network, options.seed);
    let (layers, activation, model_line) = network.facts();

    let config = RunConfig {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        data: setup.data.source().to_string(),
        data_options: DataConfig::new(&setup.data, options.validation),
        layers,
        activation: activation.map(|activation| activation.to_string()).unwrap_or_default(),
        model: model_line,
        init: setup.init(&network).to_string(),
        init_asked: setup.init.is_some(),
        optimizer: options.optimizer.clone(),
        learning_rate,
        schedule: options.schedule.clone(),
        schedule_of: options.schedule_of.clone(),
        clip_norm: setup.clip_norm,
        batch_size,
        epochs: options.epochs,
        seed: options.seed,
        dtype: setup.dtype.to_string(),
        threads: rayon::current_num_threads(),
        task: TaskConfig::new(&setup.task, &data),
        // Of tokens there is no theory.
        input_mean_square: (options.probe != Probe::Off && data.train.input_dtype().is_float())
            .then(|| Stats::of(&train.batch(0, 0).inputs).rms.powi(2)),
        flush_to_zero: setup.flush_to_zero,
        predictor: Some(Predictor::of(&network, &data, setup.dtype)),
        arguments,
        looks_of_epochs: resumed.as_ref().and_then(|(_, earlier)| {
            let looks = earlier.looks_of_epochs.unwrap_or(earlier.epochs);
            (looks != options.epochs).then_some(looks)
        }),
    };
    let of_data = [data.train.len() as u64, data.test.len() as u64, resume::fingerprint(&train.batch(0, 0))];
    let configuration = resume::configuration(&config, of_data);
    let out = options
        .out
        .clone()
        .unwrap_or_else(|| RunFolder::free_name(Path::new("runs"), &run_name(options, &network)));
    // First: where it fails, an earlier run in the folder stays where it is.
    let mut events = options.tensorboard.as_ref().map(|dir| Events::begin(dir, &out)).transpose()?;
    let (mut folder, checkpoint, mut flow) = match resumed {
        None => (RunFolder::create(&out, &config)?, None, Vec::new()),
        Some((cut, earlier)) => {
            let checkpoint = cut.checkpoint().clone();
            resume::require_same(&checkpoint, &configuration)?;
            let epochs = [earlier.epochs, options.epochs].map(|epochs| epochs * train.len() as u64);
            resume::require_prolongable(options, checkpoint.step(), epochs)?;
            let (folder, flow) = cut.go_on(&config)?;
            (folder, Some(checkpoint), flow)
        }
    };
    if !options.json {
        let guess =
            data.goal.guess().map(|guess| format!("a guess, without memory, gets a loss of {guess:.4}"));
        let description = setup.description(&data, &network, model.parameter_count());
        introduce(&description.into_iter().chain(guess).collect::<Vec<_>>(), &config, train.len());
    }

    interrupt::listen()?;
    let task = data.task(&setup.task);
    let metrics = task.metrics();
    let mut progress = (!options.json).then(|| Progress::new(&metrics, validation.is_some()));
    let start = Instant::now();
    let looks = config.looks_of_epochs.map_or(steps, |epochs| epochs.saturating_mul(train.len() as u64));
    let mut recorder = options.recorder(&model, looks);
    let mut trainer =
        Trainer::with_task(&*task, &mut model, &mut optimizer).accumulate(setup.task.accumulate);
    if let Some(validation) = &validation {
        trainer = trainer.validate(validation);
    }
    if let Some(recorder) = &mut recorder {
        trainer = trainer.probe(recorder);
    }
    let mut times = options.profile.then(StepTimes::new);
    if let Some(times) = &mut times {
        trainer = trainer.time(times);
    }
    if let Some(checkpoint) = &checkpoint {
        trainer.resume(checkpoint)?;
        if !options.json {
            line(&format!(
                "{} goes on behind step {}",
                terminal::shown(&out),
                grouped(checkpoint.step() as usize)
            ));
        }
    }
    let earlier = trainer.earlier_epochs();
    let mut saver = Saver::new(&options.saving, &mut folder, configuration, train.len() as u64, earlier);
    // One that no longer learned had ended there, and was cut before it could say so.
    let epochs = saver.ended.map_or(options.epochs, |ended| ended.epoch);
    let mut listeners = Listeners {
        folder: &mut folder,
        events: events.as_mut(),
        progress: progress.as_mut(),
        saver: &mut saver,
        epochs: options.epochs,
    };
    let summary = trainer.fit(&train, &test, epochs, &mut listeners);
    let seconds = start.elapsed().as_secs_f64();
    drop(progress);

    flow.extend(recorder.map(|mut recorder| recorder.take_records()).unwrap_or_default());
    // What is kept of it, and what could not be.
    let stopped_early = |folder: &RunFolder, why: String| {
        if flow.is_empty() {
            return ("the log is", Ok(()));
        }
        let mut header = inspect::header(&flow, &GradFlow::of(&flow[flow.len() - 1..]), Some(&config));
        header.verdicts.insert(0, why);
        let saved = folder.save_flow(&flow, &FlowPage::new(&flow, &header).html());
        ("log, flow and report.html are", saved.map_err(Failure::from))
    };
    let summary = match summary {
        Ok(summary) => summary,
        Err(error @ TrainError::Interrupted { .. }) => {
            let model = with_evaluated_weights(&*task, &mut model, &mut optimizer, &train, |model| {
                folder.save_model(model)
            });
            let (kept, flow) = stopped_early(&folder, format!("The run was {error}."));
            let what = match Failure::of_any([model.map_err(Failure::from), flow]) {
                Ok(()) => format!("its checkpoint, weights, {kept} in {}", out.display()),
                Err(lost) => lost.message(),
            };
            return Err(saving::stopped(&error, &what, &out.display().to_string()));
        }
        Err(error) => {
            let (kept, flow) = stopped_early(&folder, format!("STOPPED: {error}."));
            let stopped = match flow {
                Ok(()) => Failure::Run(format!("{error}; {kept} in {}", out.display())),
                Err(_) => error.into(),
            };
            return Failure::of_any([Err(stopped), flow]);
        }
    };
    // The weights that were evaluated: averages, where the optimizer keeps them.
    let (saved_model, text) = with_evaluated_weights(&*task, &mut model, &mut optimizer, &train, |model| {
        let text = (data.goal == Goal::NextToken).then(|| Written::by(model, &data.test, options.seed));
        (folder.save_model(model), text)
    });
    let epochs = summary.epochs.len() as u64;
    let first = summary.steps - train.len() as u64;
    let last_epoch: Vec<FlowStep> = flow.iter().filter(|record| record.step > first).cloned().collect();
    // An epoch shorter than the pause between two looks still ends with what was seen last.
    let last_epoch =
        if last_epoch.is_empty() { flow.last().cloned().into_iter().collect() } else { last_epoch };
    // What f32 has lost by then, f64 tells: on a batch of the last epoch, with the last weights.
    let settled = |flow: GradFlow| {
        let is_underflow = |verdict: &Verdict| match verdict {
            Verdict::VanishingOverSteps { line, .. } => line.lost_at.is_some(),
            verdict => matches!(verdict, Verdict::Underflow { .. } | Verdict::NotJudged { .. }),
        };
        if setup.dtype == DType::F64 || !flow.verdicts().iter().any(is_underflow) {
            return flow;
        }
        let batch = train.batch(epochs - 1, 0);
        // As a step would see it: with dropout, and normalised by the batch.
        let loss = |model: &Model, dtype| task.loss(model, &batch.to_dtype(dtype)).mean;
        Scope::of_step(options.seed, epochs * train.len() as u64).enter(|| flow.with_shadow(&model, loss))
    };
    let table = settled(GradFlow::of(&last_epoch));
    let test_loss = summary.epochs.last().map(|epoch| epoch.test_loss);
    let table = test_loss.into_iter().fold(table, GradFlow::with_test_loss);
    let header = inspect::header(&flow, &table, Some(&config));
    let mut saved_flow = Ok(());
    if !flow.is_empty() {
        saved_flow = folder.save_flow(&flow, &FlowPage::new(&flow, &header).html());
    }
    let profile = times.as_ref().map(ProfileFigures::of);
    let mut results = TrainResults::new(summary, &model, seconds, &out, table.rows().to_vec());
    (results.profile, results.guess_loss, results.text) = (profile, data.goal.guess(), text);
    // Each is tried, and the results are shown, whatever becomes of the others.
    let saved = [saved_model, saved_flow, folder.save_summary(&results)];
    let saved = Failure::of_any(saved.map(|saved| saved.map_err(Failure::from)));
    if options.json {
        object(&results)?;
    } else {
        if !flow.is_empty() {
            line("");
            line("The layers in the last epoch, input first:");
            table.lines(terminal::width()).iter().for_each(|text| line(text));
            inspect::measured(&flow).iter().for_each(|text| line(text));
            let is_steep =
                |verdict: &Verdict| matches!(verdict, Verdict::Vanishing { .. } | Verdict::Exploding { .. });
            if table.verdicts().iter().any(is_steep) {
                header.theory_notes.iter().for_each(|note| line(note));
            }
        }
        if let Some(Ended { epoch, best, loss }) = saver.ended {
            let of = if validation.is_some() { "validation" } else { "test" };
            line(&format!(
                "\nended after epoch {epoch}, since the {of} loss was lowest, {loss:.4}, after epoch {best}"
            ));
        }
        if let Some(times) = &times {
            line("");
            line(&times.to_string());
        }
        if validation.is_some() {
            line(&format!("\non the test set: {}", results.on_test()));
        }
        if let Some(guess) = results.guess_loss {
            line(&format!("\ntest loss {:.4}; {guess:.4} is what a guess gets", results.test_loss));
        }
        results.text.iter().for_each(|text| line(&text.shown()));
        line("");
        let files = if flow.is_empty() { "weights" } else { "weights, flow and report.html" };
        if saved.is_ok() {
            line(&format!(
                "{seconds:.1} s; configuration, metrics, {files} are in {}",
                terminal::shown(&out)
            ));
        }
    }
    saved
}

/// A name that says what the run was, without its numbers.
fn run_name(options: &TrainOptions, network: &Network) -> String {
    let optimizer = options.optimizer.split(':').next().unwrap_or_default();
    format!("{}-{optimizer}-seed{}", options.setup.name(network), options.seed)
}

fn introduce(setup: &[String], config: &RunConfig, steps: usize) {
    setup.iter().for_each(|text| line(text));
    line(&format!(
        "{}, learning rate {}, {}{}{}; epochs: {}, steps in each: {}, batch size {}; seed {}",
        config.optimizer,
        config.learning_rate,
        config.schedule,
        config.other_schedules(),
        config.task.in_words(),
        config.epochs,
        grouped(steps),
        config.batch_size,
        config.seed
    ));
    if config.flush_to_zero {
        line(setup::FLUSHED);
    }
    line("");
}
