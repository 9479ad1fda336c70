//! `backflow inspect`: what a run has recorded, or what a file of weights holds.

#[cfg(test)]
mod fuzz;
mod runs;
mod tensors;
mod weights;

use crate::config::RunConfig;
use crate::events;
use crate::failure::Failure;
use crate::setup::{FLUSHED, usage};
use crate::terminal::{self, complain, line, object};
use backflow_probe::quantities::QUANTITIES;
use backflow_probe::text::{counted, short};
use backflow_probe::{Figure, FlowRow, FlowStep, GradFlow, Measured, NotMeasured, Quantity, Verdict};
use backflow_report::tensorboard::EventFile;
use backflow_report::{FlowPage, Header};
use backflow_store::{StoreError, atomic};
use backflow_train::{RunFolder, TrainError};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(crate) struct InspectOptions {
    /// The folder of a run, or of several, to see them over each other; or a file of weights (.safetensors).
    #[arg(value_name = "RUN|FILE", required = true, num_args = 1..)]
    paths: Vec<PathBuf>,

    /// Show the record of this step, or the last before it [default: the last of a full batch]; report and figures show
    /// it too, which for several runs begin where all still go on.
    #[arg(long, value_name = "N")]
    step: Option<u64>,

    #[command(flatten)]
    weights: weights::WeightsOptions,

    /// Write the report of the flow to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Write each figure of the report to this folder as SVG.
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,

    /// Write the run for TensorBoard into a folder of its name in this one; a step counts as a second.
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,

    /// Print one JSON object, and nothing else.
    #[arg(long)]
    json: bool,
}

/// What a run came to, of its `summary.json`.
#[derive(Deserialize)]
struct Results {
    steps: u64,
    history: Vec<serde_json::Map<String, serde_json::Value>>,
}

/// What is known of a run: the object of `--json`.
#[derive(Serialize)]
struct RunFacts<'a> {
    run: String,
    records: usize,
    first_step: u64,
    last_step: u64,
    config: Option<&'a RunConfig>,
    /// What was recorded at the step that was asked for, as the log has it.
    record: &'a FlowStep,
    /// The rows of the table.
    layers: &'a [FlowRow],
    verdicts: Vec<VerdictFacts>,
}

impl<'a> RunFacts<'a> {
    /// Of the record that is shown.
    fn of(
        path: &Path,
        flow: &'a [FlowStep],
        index: usize,
        config: Option<&'a RunConfig>,
        shown: &'a GradFlow,
    ) -> Self {
        Self {
            run: path.display().to_string(),
            records: flow.len(),
            first_step: flow[0].step,
            last_step: flow[flow.len() - 1].step,
            config,
            record: &flow[index],
            layers: shown.rows(),
            verdicts: shown.verdicts().iter().map(VerdictFacts::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct VerdictFacts {
    name: &'static str,
    text: String,
    remedy: &'static str,
}

impl From<&Verdict> for VerdictFacts {
    fn from(verdict: &Verdict) -> Self {
        Self { name: verdict.name(), text: verdict.to_string(), remedy: verdict.remedy() }
    }
}

pub(crate) fn run(options: &InspectOptions) -> Result<(), Failure> {
    if options.weights.data.are_given() && !options.weights.flow {
        return Err(usage(
            "--flow",
            "data are for what flows in a network whose weights are in a file; give it, too",
        ));
    }
    match &options.paths[..] {
        [path] => one(options, path),
        [first, ..] if options.weights.flow => Err(weights::refused(first)),
        paths => runs::show(options, paths),
    }
}

fn one(options: &InspectOptions, path: &Path) -> Result<(), Failure> {
    // What is neither, as a pipe, is called what it is.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
        let InspectOptions { step, report, svg, tensorboard, .. } = options;
        let is_drawn = !options.weights.flow && (report.is_some() || svg.is_some());
        if step.is_some() || tensorboard.is_some() || is_drawn {
            let path = path.display();
            return Err(Failure::Usage(format!(
                "{path}: --step and --tensorboard are for the folder of a run, --report and --svg for that or --flow"
            )));
        }
        return if options.weights.flow {
            weights::flow(options, path)
        } else {
            tensors::list(path, options.json)
        };
    }
    if options.weights.flow && path.is_dir() {
        return Err(weights::refused(path));
    }
    let flow = read(path)?;
    let index = record_at(path, &flow, options.step)?;
    let config = config_of(path);
    let shown = shown(path, &flow, index, options.step);
    let (first_step, last_step) = (flow[0].step, flow[flow.len() - 1].step);
    if options.json {
        object(&RunFacts::of(path, &flow, index, config.as_ref(), &shown))?;
    } else {
        line(&format!(
            "{}: {}, of steps {first_step} to {last_step}",
            terminal::shown(path),
            counted(flow.len() as u64, "record")
        ));
        if options.step.is_none() && index + 1 < flow.len() {
            let [last, whole] = [&flow[flow.len() - 1], &flow[index]];
            // Of a batch in parts, examples are those of the first.
            let is_whole = config.as_ref().is_some_and(|config| config.task.accumulate == 1);
            let of = if is_whole {
                format!("{} of {}", last.examples, whole.examples)
            } else {
                "fewer".to_owned()
            };
            line(&format!("the last of a full batch; step {} is of {of} examples", last.step));
        }
        show(&flow[..=index], &shown, config.as_ref());
    }
    let last_epoch = with_test_loss(path, GradFlow::of(last_epoch(&flow, config.as_ref())));
    let mut header = header(&flow, &last_epoch, config.as_ref());
    if config.is_none() {
        header.setup = vec![path.display().to_string()];
    }
    let drawn = || match options.step {
        Some(step) => FlowPage::new(&flow, &header).at(step),
        None => FlowPage::new(&flow, &header),
    };
    options.write(&|| drawn().html(), &|| drawn().svgs(), &|folder| {
        let to = events::path_of_inspect(folder, &events::name(path));
        events::make_parent(&to)?;
        options.write_file(&to, &event_file(path, &flow).into_bytes())
    })
}

impl InspectOptions {
    /// Writes what was asked for; one file that fails does not keep the others from being written.
    fn write(
        &self,
        html: &dyn Fn() -> String,
        svgs: &dyn Fn() -> Vec<(String, String)>,
        events: &dyn Fn(&Path) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let page = |file: &PathBuf| {
            require_page(file)?;
            self.write_file(file, html().as_bytes())
        };
        let figures = |folder: &PathBuf| {
            let svgs = svgs().into_iter();
            Failure::of_any(svgs.map(|(name, text)| self.write_file(&folder.join(name), text.as_bytes())))
        };
        let Self { report, svg, tensorboard, .. } = self;
        let report = report.as_ref().map(page);
        let svg = svg.as_ref().map(|folder| make(folder).and_then(|()| figures(folder)));
        let events = tensorboard.as_ref().map(|folder| events(folder));
        Failure::of_any([report, svg, events].into_iter().flatten())
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        write(path, bytes, self.json)
    }
}

/// Refuses a file that is there and is no page: the weights or the log of a run, say.
fn require_page(file: &Path) -> Result<(), Failure> {
    let begins = |mut file: File| {
        let mut start = [0; 14];
        let read = file.read(&mut start).unwrap_or(0);
        read == 0 || start[..read].eq_ignore_ascii_case(b"<!doctype html")
    };
    // What is no file, such as a pipe, is not opened, for that may wait for ever: writing refuses it.
    if !file.is_file() || File::open(file).map_or(true, begins) {
        return Ok(());
    }
    let file = file.display();
    Err(Failure::Run(format!("--report {file}: this file is there and is no page; choose another name")))
}

/// The configuration of a run, if it has one that can be read.
fn config_of(path: &Path) -> Option<RunConfig> {
    let config = RunFolder::read_config(path);
    if config.is_none() {
        complain(&format!(
            "{}: its config.json is missing or damaged: settings are not known",
            path.display()
        ));
    }
    config
}

/// What a run recorded, in the order of the steps.
fn read(path: &Path) -> Result<Vec<FlowStep>, Failure> {
    let log = RunFolder::read_flow(path).map_err(|error| missing(path, error))?;
    if let Some(number) = log.cut_off {
        complain(&format!("{}: its log is cut off at line {number}, which is left out", path.display()));
    }
    Ok(rising(log.steps))
}

/// These records in the order of their steps, which logs that were joined need not have.
fn rising(mut steps: Vec<FlowStep>) -> Vec<FlowStep> {
    steps.sort_by_key(|record| record.step);
    steps
}

/// Which of a run's records is that of a step, or the last before it; if none is asked for, the last
/// [of a full batch](FlowStep::shown).
fn record_at(path: &Path, flow: &[FlowStep], step: Option<u64>) -> Result<usize, Failure> {
    let wanted = step.unwrap_or(u64::MAX);
    let found = match step {
        Some(step) => flow.iter().rposition(|record| record.step <= step),
        None => FlowStep::shown(flow),
    };
    if let Some(index) = found {
        return Ok(index);
    }
    let path = path.display();
    let Some(first) = flow.first() else {
        return Err(Failure::Run(format!("{path}: its log holds no record: no step was looked at")));
    };
    let first = first.step;
    Err(Failure::Run(format!(
        "{path}: no step was looked at up to step {wanted}; the first was step {first}"
    )))
}

/// The flow of a record; where no step is asked for, with what the whole run came to.
fn shown(path: &Path, flow: &[FlowStep], index: usize, step: Option<u64>) -> GradFlow {
    let shown = GradFlow::of(&flow[index..=index]);
    if step.is_none() { with_test_loss(path, shown) } else { shown }
}

/// The flow with the loss on the test set at the end of the run, if it came to its end.
fn with_test_loss(path: &Path, flow: GradFlow) -> GradFlow {
    let results: Option<Results> = RunFolder::read_summary(path);
    let last =
        results.and_then(|results| results.history.last().and_then(|last| last.get("test_loss").cloned()));
    // What is no number is null.
    last.into_iter().map(|loss| loss.as_f64().unwrap_or(f64::NAN)).fold(flow, GradFlow::with_test_loss)
}

/// The records and the epochs of a run for TensorBoard.
fn event_file(path: &Path, flow: &[FlowStep]) -> EventFile {
    let mut file = EventFile::of(flow, |record| record.step as f64);
    for (step, figures) in epochs(path) {
        for (name, value) in figures {
            file.scalar(step as f64, step, &format!("epoch/{name}"), value);
        }
    }
    file
}

/// What the epochs of a run came to: the step at which each ended, and its figures. Nothing of a run that did
/// not end.
fn epochs(path: &Path) -> Vec<(u64, Vec<(String, f64)>)> {
    let Some(Results { steps, history }) = RunFolder::read_summary(path) else { return Vec::new() };
    // Epochs have the same number of steps.
    let each = steps / (history.len() as u64).max(1);
    let epoch = |epoch: serde_json::Map<String, serde_json::Value>| {
        let number = epoch.get("epoch").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let figures = epoch.iter().filter(|(name, _)| *name != "epoch");
        let figures = figures.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)));
        (number.saturating_mul(each), figures.collect())
    };
    history.into_iter().map(epoch).collect()
}

/// The last of these records in words.
fn show(flow: &[FlowStep], shown: &GradFlow, config: Option<&RunConfig>) {
    let record = &flow[flow.len() - 1];
    line(&format!(
        "step {}: loss {}, gradient norm {}",
        record.step,
        short(Some(record.loss)),
        short(Some(record.gradient_norm))
    ));
    measured(flow).iter().for_each(|text| line(text));
    if config.is_some_and(|config| config.flush_to_zero) {
        line(FLUSHED);
    }
    line("");
    shown.lines(terminal::width()).iter().for_each(|text| line(text));
}

/// Why there is no flow to be read.
fn missing(path: &Path, error: TrainError) -> Failure {
    let missing = std::io::ErrorKind::NotFound;
    let is_absent =
        matches!(&error, TrainError::Store(StoreError::Read { source, .. }) if source.kind() == missing);
    let experiments = [("study", "study"), ("compare", "comparison")];
    let experiment = experiments.into_iter().find(|(name, _)| path.join(format!("{name}.json")).is_file());
    let (is_there, path) = (std::fs::exists(path), path.display());
    match (is_there, experiment) {
        (Ok(false), _) => Failure::Run(format!("{path}: no such folder or file")),
        (_, Some((name, kind))) if is_absent => Failure::Run(format!(
            "{path}: is the folder of a {kind}, made by `backflow {name}`, and no run: open its page, {path}/{name}.html"
        )),
        _ if is_absent => Failure::Run(format!(
            "{path}: holds no flow.jsonl.gz: either not a run of `backflow train`, or one with --probe off"
        )),
        _ => error.into(),
    }
}

/// The records of the last epoch, or the last record of a run that does not say how many it has.
fn last_epoch<'a>(flow: &'a [FlowStep], config: Option<&RunConfig>) -> &'a [FlowStep] {
    let last = flow.last().map_or(0, |record| record.step);
    let steps = config.map_or(0, |config| last / config.epochs.max(1));
    let first = flow.partition_point(|record| record.step <= last - steps);
    &flow[first.min(flow.len().saturating_sub(1))..]
}

/// What the page of a run says beside its figures: verdicts on its last epoch, and setup and theory, which
/// its configuration tells.
pub(crate) fn header(flow: &[FlowStep], last: &GradFlow, config: Option<&RunConfig>) -> Header {
    // Theory is about networks that were not trained yet.
    let first = flow.first().filter(|record| record.step <= 1);
    let beside_theory = first.zip(config).and_then(|(first, config)| {
        config.beside_theory(GradFlow::of(std::slice::from_ref(first))).map(|flow| Header::of(&flow))
    });
    let Header { theory, theory_notes, .. } = beside_theory.unwrap_or_default();
    let setup = config.map(RunConfig::setup).unwrap_or_default();
    Header { title: "A training run".to_owned(), setup, theory, theory_notes, ..Header::of(last) }
}

/// A line for each thing that is measured at some steps only, as it was last.
pub(crate) fn measured(flow: &[FlowStep]) -> Vec<String> {
    let mut lines = Vec::new();
    let figure = |x: f64| short(Some(x));
    if let Some((step, found)) = latest(flow, |record| record.curvature) {
        let [sharpness, smallest, bound] = [found.sharpness, found.smallest, found.bound].map(figure);
        let [trace, error] = [found.trace, found.trace_error].map(figure);
        lines.push(format!(
            "step {step}, Hessian: sharpness {sharpness}, smallest eigenvalue {smallest}, both ± {bound}; \
             trace {trace} ± {error}"
        ));
    }
    if let Some((step, samples)) = latest(flow, |record| record.samples) {
        lines.push(format!("step {step}, {samples}"));
        if !samples.signal_to_noise.is_nan() {
            let ratio = figure(samples.signal_to_noise);
            lines.push(format!("step {step}, signal-to-noise ratio of a weight, median: {ratio}"));
        }
    }
    if let Some((step, found)) = latest(flow, |record| record.jacobians.as_ref()) {
        let whole = found.whole;
        let [largest, median, smallest, mean_square] =
            [whole.largest, whole.median, whole.smallest, whole.mean_square].map(figure);
        lines.push(format!(
            "step {step}, Jacobian of the network: singular values from {smallest} to {largest}, median \
             {median}; mean square {mean_square}"
        ));
    }
    let by_themselves = |quantity: &&&Quantity| matches!(quantity.measured, Measured::Itself { .. });
    for quantity in QUANTITIES.iter().filter(by_themselves) {
        if let Some((step, flow)) = latest(flow, |record| quantity.is_in(record).then_some(record)) {
            lines.push(format!("step {step}, {}: {}", quantity.title, range(quantity, flow)));
        }
    }
    // What the last step could not measure stands below its table.
    let last = flow.last().map_or(&[][..], |record| &record.not_measured);
    let earlier = NotMeasured::of(flow).into_iter().filter(|(_, missing)| !last.contains(missing));
    lines.extend(earlier.map(|(step, missing)| format!("step {step}, {missing}")));
    lines
}

/// The least and the greatest figure of a quantity, with where they are.
fn range(quantity: &Quantity, flow: &FlowStep) -> String {
    let number = |(path, figure)| match figure {
        Figure::Number(x) => Some((path, x)),
        Figure::Histogram(_) | Figure::Units(_) => None,
    };
    let mut figures: Vec<(Option<&str>, f64)> =
        quantity.figures(flow).into_iter().filter_map(number).collect();
    figures.sort_by(|a, b| a.1.total_cmp(&b.1));
    let text = |&(path, x): &(Option<&str>, f64)| {
        short(Some(x)) + &path.map_or(String::new(), |path| format!(" in {path}"))
    };
    match &figures[..] {
        [] => "-".to_owned(),
        [only] => text(only),
        [least, .., greatest] => format!("from {} to {}", text(least), text(greatest)),
    }
}

/// The last measurement, with its step.
fn latest<'a, T>(flow: &'a [FlowStep], of: impl Fn(&'a FlowStep) -> Option<T>) -> Option<(u64, T)> {
    flow.iter().rev().find_map(|record| Some((record.step, of(record)?)))
}

fn make(folder: &Path) -> Result<(), Failure> {
    let failed = |source| StoreError::Write { path: folder.to_owned(), source };
    Ok(std::fs::create_dir_all(folder).map_err(failed)?)
}

fn write(path: &Path, bytes: &[u8], quiet: bool) -> Result<(), Failure> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    atomic::write(path, bytes).map_err(failed)?;
    if !quiet {
        line(&format!("written: {}", terminal::shown(path)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::measured;
    use backflow_probe::{CurvatureFlow, FlowStep, GradientNoise, JacobianFlow, SampleFlow, Spectrum, Stats};

    #[test]
    fn what_is_measured_seldom_is_told_as_it_was_last() {
        let mut flow: Vec<FlowStep> = (1..=4).map(|step| FlowStep { step, ..FlowStep::default() }).collect();
        assert!(measured(&flow).is_empty() && measured(&[]).is_empty());
        let whole = Spectrum { largest: 2.5, median: 0.5, smallest: 0.0, mean_square: 1.5, spread: 3.0 };
        flow[0].jacobians =
            Some(JacobianFlow { layers: Vec::new(), whole: Spectrum { largest: 9.0, ..whole } });
        flow[2].jacobians = Some(JacobianFlow { layers: Vec::new(), whole });
        flow[1].curvature = Some(CurvatureFlow {
            sharpness: 30.0,
            smallest: -2.0,
            bound: 0.25,
            trace: 90.0,
            trace_error: 4.0,
        });
        let noise = GradientNoise { variance: 1.0, signal: 0.1, noise_scale: 10.0, relative_error: 0.5 };
        let samples = SampleFlow { samples: 8, norms: Stats::default(), noise, signal_to_noise: 0.75 };
        flow[0].samples = Some(samples);
        // As in earlier logs.
        flow[3].samples = Some(SampleFlow { signal_to_noise: f64::NAN, ..samples });
        let hessian = "step 2, Hessian: sharpness 30.0000, smallest eigenvalue -2.0000, both ± 0.2500; trace \
                       90.0000 ± 4.0000";
        let jacobian = "step 3, Jacobian of the network: singular values from 0.0000 to 2.5000, median \
                        0.5000; mean square 1.5000";
        let at_third = measured(&flow[..3]);
        assert_eq!([&at_third[0], &at_third[3]], [hessian, jacobian]);
        assert!(at_third[1].starts_with("step 1, gradients of single samples: "), "{at_third:?}");
        assert_eq!(at_third[2], "step 1, signal-to-noise ratio of a weight, median: 0.7500");
        let at_last = measured(&flow);
        assert!(at_last.len() == 3 && at_last[1].starts_with("step 4, gradients"), "{at_last:?}");
    }
}
