//! `backflow inspect`: what a run has recorded, or what a file of weights holds.

use crate::failure::Failure;
use crate::figures::{grouped, short};
use crate::setup::FLUSHED;
use crate::terminal::line;
use backflow_probe::report::{Header, Report};
use backflow_probe::tensorboard::EventFile;
use backflow_probe::{FlowStep, GradFlow, Stats};
use backflow_tensor::DType;
use backflow_train::{RunFolder, TrainError, atomic, weights};
use clap::Args;
use serde::Deserialize;
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

/// What of a run's configuration is told. Earlier versions did not write it.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    flush_to_zero: bool,
}

pub(crate) fn run(options: &InspectOptions) -> Result<(), Failure> {
    if options.path.is_file() {
        return tensors(&options.path);
    }
    let flow = RunFolder::read_flow(&options.path)?;
    let wanted = options.step.unwrap_or(u64::MAX);
    let Some(index) = flow.iter().rposition(|record| record.step <= wanted) else {
        return Err(Failure::Run(format!(
            "{}: no step was looked at up to step {wanted}",
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
    if let Some(samples) = &record.samples {
        line(&samples.to_string());
    }
    let asked = RunFolder::read_config::<Asked>(&options.path);
    if asked.is_some_and(|asked| asked.flush_to_zero) {
        line(FLUSHED);
    }
    line("");
    line(GradFlow::of(&flow[index..=index]).to_string().trim_end());

    let title = options.path.display().to_string();
    if let Some(file) = &options.report {
        write(file, Report::new(&flow, &header(&flow, title.clone())).html().as_bytes())?;
    }
    if let Some(folder) = &options.svg {
        let header = header(&flow, title);
        make(folder)?;
        for (name, text) in Report::new(&flow, &header).svgs() {
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

/// What is said of a run: its last record's verdicts.
fn header(flow: &[FlowStep], path: String) -> Header {
    let last = GradFlow::of(&flow[flow.len().saturating_sub(1)..]);
    Header { title: "A training run".to_owned(), setup: vec![path], ..Header::of(&last) }
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
    let failed = |source| TrainError::Write { path: folder.to_owned(), source };
    Ok(std::fs::create_dir_all(folder).map_err(failed)?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |source| TrainError::Write { path: path.to_owned(), source };
    atomic::write(path, bytes).map_err(failed)?;
    line(&format!("written: {}", path.display()));
    Ok(())
}
