//! `backflow inspect`: what a run has recorded, or what a file of weights holds.

use crate::config::RunConfig;
use crate::failure::Failure;
use crate::setup::FLUSHED;
use crate::terminal::line;
use backflow_probe::quantities::QUANTITIES;
use backflow_probe::text::{grouped, short};
use backflow_probe::{Figure, FlowStep, GradFlow, Measured, Quantity, Stats};
use backflow_report::tensorboard::EventFile;
use backflow_report::{FlowPage, Header};
use backflow_store::{StoreError, atomic, weights};
use backflow_tensor::DType;
use backflow_train::{RunFolder, TrainError};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(crate) struct InspectOptions {
    /// The folder of a run, or a file of weights (.safetensors).
    #[arg(value_name = "RUN|FILE")]
    path: PathBuf,

    /// Show the record of this step, or the last before it [default: the last].
    #[arg(long, value_name = "N")]
    step: Option<u64>,

    /// Write the report of the run's flow to this file again.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Write each figure of the report to this folder as SVG.
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,

    /// Write the run's flow to this folder for TensorBoard; a step counts as a second.
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
}

pub(crate) fn run(options: &InspectOptions) -> Result<(), Failure> {
    if options.path.is_file() {
        let InspectOptions { step, report, svg, tensorboard, .. } = options;
        if step.is_some() || [report, svg, tensorboard].iter().any(|option| option.is_some()) {
            let path = options.path.display();
            return Err(Failure::Usage(format!(
                "{path}: --step, --report, --svg and --tensorboard are for the folder of a run"
            )));
        }
        return tensors(&options.path);
    }
    let flow = RunFolder::read_flow(&options.path).map_err(|error| missing(&options.path, error))?;
    let wanted = options.step.unwrap_or(u64::MAX);
    let Some(index) = flow.iter().rposition(|record| record.step <= wanted) else {
        if flow.is_empty() {
            let path = options.path.display();
            return Err(Failure::Run(format!("{path}: no step was looked at")));
        }
        let first =
            flow.first().map_or_else(String::new, |record| format!("; the first was step {}", record.step));
        return Err(Failure::Run(format!(
            "{}: no step was looked at up to step {wanted}{first}",
            options.path.display()
        )));
    };
    let record = &flow[index];
    line(&format!(
        "{}: {} records, of steps {} to {}",
        options.path.display(),
        grouped(flow.len()),
        flow[0].step,
        flow[flow.len() - 1].step
    ));
    line(&format!(
        "step {}: loss {}, gradient norm {}",
        record.step,
        short(Some(record.loss)),
        short(Some(record.gradient_norm))
    ));
    measured(&flow[..=index]).iter().for_each(|text| line(text));
    let config: Option<RunConfig> = RunFolder::read_config(&options.path);
    if config.as_ref().is_some_and(|config| config.flush_to_zero) {
        line(FLUSHED);
    }
    line("");
    line(GradFlow::of(&flow[index..=index]).to_string().trim_end());

    let last_epoch = GradFlow::of(last_epoch(&flow, config.as_ref()));
    let mut header = header(&flow, &last_epoch, config.as_ref());
    if config.is_none() {
        header.setup = vec![options.path.display().to_string()];
    }
    if let Some(file) = &options.report {
        write(file, FlowPage::new(&flow, &header).html().as_bytes())?;
    }
    if let Some(folder) = &options.svg {
        make(folder)?;
        for (name, text) in FlowPage::new(&flow, &header).svgs() {
            write(&folder.join(name), text.as_bytes())?;
        }
    }
    if let Some(folder) = &options.tensorboard {
        make(folder)?;
        let events = EventFile::of(&flow, |record| record.step as f64);
        write(&folder.join("events.out.tfevents.0000000000.backflow"), &events.into_bytes())?;
    }
    Ok(())
}

/// Why there is no flow to be read.
fn missing(path: &Path, error: TrainError) -> Failure {
    let missing = std::io::ErrorKind::NotFound;
    let is_absent =
        matches!(&error, TrainError::Store(StoreError::Read { source, .. }) if source.kind() == missing);
    let (is_there, path) = (std::fs::exists(path), path.display());
    match is_there {
        Ok(false) => Failure::Run(format!("{path}: no such folder or file")),
        _ if is_absent => Failure::Run(format!(
            "{path}: holds no flow.jsonl: either not a run of `backflow train`, or one with --probe off"
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
    let beside_theory = first.zip(config.and_then(RunConfig::prediction)).map(|(first, prediction)| {
        Header::of(&GradFlow::of(std::slice::from_ref(first)).with_theory(prediction))
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
    // What was asked for last and could not be measured.
    if let Some((step, missing)) =
        latest(flow, |record| Some(&record.not_measured).filter(|list| !list.is_empty()))
    {
        lines.extend(missing.iter().map(|missing| format!("step {step}, {missing}")));
    }
    lines
}

/// The least and the greatest figure of a quantity, with where they are.
fn range(quantity: &Quantity, flow: &FlowStep) -> String {
    let number = |(path, figure)| match figure {
        Figure::Number(x) => Some((path, x)),
        Figure::Histogram(_) => None,
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

/// One line per tensor of a file.
fn tensors(path: &Path) -> Result<(), Failure> {
    let tensors = weights::read(path)?;
    let width = tensors.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(6);
    line(&format!(
        "{:width$}  {:>16}  {:>4}  {:>10}  {:>10}  {:>10}  {:>10}  {:>7}",
        "tensor", "shape", "type", "mean", "std", "rms", "max |x|", "zeros"
    ));
    for (name, x) in &tensors {
        // In f64, so that integers and switches have figures too.
        let stats = Stats::of(&x.to_dtype(DType::F64));
        let figures = [stats.mean, stats.std, stats.rms, stats.max].map(|x| short(Some(x)));
        line(&format!(
            "{name:width$}  {:>16}  {:>4}  {:>10}  {:>10}  {:>10}  {:>10}  {:>5.1} %",
            x.shape().to_string(),
            x.dtype().to_string(),
            figures[0],
            figures[1],
            figures[2],
            figures[3],
            stats.zero_share * 100.0
        ));
    }
    let elements: usize = tensors.iter().map(|(_, x)| x.elements()).sum();
    line(&format!("{} tensors, {} elements", tensors.len(), grouped(elements)));
    Ok(())
}

fn make(folder: &Path) -> Result<(), Failure> {
    let failed = |source| StoreError::Write { path: folder.to_owned(), source };
    Ok(std::fs::create_dir_all(folder).map_err(failed)?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    atomic::write(path, bytes).map_err(failed)?;
    line(&format!("written: {}", path.display()));
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
