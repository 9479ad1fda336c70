//! `backflow study --cell`: how gradients flow back through time in recurrent networks, beside theory, and which of them
//! learn what takes a memory.

mod results;
mod words;

use super::list::{self, List, MOST_STEPS};
use super::{NAME, STEPS, StudyOptions};
use crate::experiment::{Bar, Ended, Results};
use crate::failure::Failure;
use crate::interrupt;
use crate::options;
use crate::result_folder::{ResultFolder, free_folder};
use crate::setup::{DEFAULT_BATCH, usage};
use backflow_nn::Init;
use backflow_probe::text::{counted, grouped};
use backflow_train::study::{Cell, CellConfiguration, CellStudy, CellTraining, Problem};
use clap::Args;
use results::{CellsConfig, CellsResults};
use std::path::PathBuf;
use std::process::ExitCode;

/// The lengths of sequences, and the gains, that are studied unless others are asked for.
const LENGTHS: [u64; 2] = [20, 50];
const GAINS: [f64; 3] = [0.7, 1.0, 1.3];

/// Theory takes the singular values of the recurrent weights.
const WIDEST: usize = 1024;

#[derive(Args, Debug)]
pub(super) struct CellOptions {
    /// Recurrent layers instead of a multilayer perceptron: `rnn,irnn,lstm,gru`; irnn has relu and begins with the
    /// identity. With it, --steps are the lengths of sequences, --init may be `identity`, and --width is one.
    #[arg(
        long,
        value_parser = list::cells,
        value_name = "NAME,…",
        conflicts_with_all = ["model", "activation", "sigma_w", "depth", "data", "task", "standardize", "loss", "limit", "accumulate", "augment"]
    )]
    cell: Option<List<Cell>>,

    /// With --cell, what recurrent weights are multiplied by: `0.7,1,1.3`, or a range, `0.5..1.5@11` [default: 0.7,1,1.3].
    #[arg(long, value_parser = list::gains, allow_hyphen_values = true, value_name = "G,…", requires = "cell")]
    gain: Option<List<f64>>,

    /// With --cell, what networks are trained on: `adding` or `copying`; none: gradients are measured on random
    /// sequences, and nothing is trained [default: none].
    #[arg(long, value_parser = problem, value_name = "adding|copying|none", requires = "cell")]
    problem: Option<Asked>,

    /// With --problem, train each network for so many updates at most [default: 300].
    #[arg(long, value_parser = options::at_least_one::<u64>, allow_hyphen_values = true, value_name = "N", requires = "problem")]
    updates: Option<u64>,
}

impl CellOptions {
    pub(super) fn are_asked_for(&self) -> bool {
        self.cell.is_some()
    }
}

/// A problem, or none.
#[derive(Clone, Copy, Debug)]
struct Asked(Option<Problem>);

fn problem(text: &str) -> Result<Asked, String> {
    if text == "none" { Ok(Asked(None)) } else { text.parse().map(|problem| Asked(Some(problem))) }
}

pub(super) fn study(options: &StudyOptions) -> Result<ExitCode, Failure> {
    let study = options.study_of_cells()?;
    let configurations = options.cell_configurations()?;
    let mut results = options.results_of_cells(&study, &configurations);
    interrupt::listen()?;
    let folder = ResultFolder::create(PathBuf::from(&results.out), NAME, "study")?;
    let bar = Bar::new(!options.json, (configurations.len() as u64).saturating_mul(options.seeds));
    results.introduction().iter().for_each(|text| bar.line(text));
    bar.message(counted(configurations.len() as u64, "configuration"));
    let supervise = |networks| {
        bar.at(networks);
        interrupt::check()
    };
    let ended = study.examine(&configurations, &supervise, |finding| {
        results.findings.push(finding);
        Ok::<_, Ended>(results.save(&folder)?)
    });
    drop(bar);
    Ok(results.end(ended, &folder, options.json)?.unwrap_or(ExitCode::SUCCESS))
}

impl StudyOptions {
    fn study_of_cells(&self) -> Result<CellStudy, Failure> {
        let problem = self.cells.problem.and_then(|Asked(problem)| problem);
        let of_training = [
            ("--optimizer", self.optimizer.is_some()),
            ("--lr", self.lr.is_some()),
            ("--batch-size", self.batch_size.is_some()),
            ("--updates", self.cells.updates.is_some()),
        ];
        if let Some((option, _)) = of_training.iter().find(|(_, given)| *given && problem.is_none()) {
            return Err(usage(option, "only a training has one; say what to learn with --problem"));
        }
        let contender = self.contender()?;
        if contender.full_batch() {
            let what = format!(
                "{} takes all examples at once, and sequences are drawn anew for every update; take another",
                contender.spec()
            );
            return Err(usage("--optimizer", what));
        }
        let hidden = match self.width.as_ref().map(|List(widths)| &widths[..]) {
            None => CellStudy::new(1).hidden,
            Some(&[width]) if width <= WIDEST => width,
            Some(_) => {
                return Err(usage(
                    "--width",
                    format!("write one number of units up to {} with --cell", grouped(WIDEST)),
                ));
            }
        };
        let training = problem.map(|_| CellTraining {
            contender,
            updates: self.cells.updates.unwrap_or(STEPS),
            batch_size: self.batch_size.unwrap_or(DEFAULT_BATCH),
        });
        Ok(CellStudy { dtype: self.dtype, hidden, problem, training, ..CellStudy::new(self.seeds) })
    }

    /// Every combination: cells first, gains last. An irnn begins with the identity, so that it has no other weights.
    fn cell_configurations(&self) -> Result<Vec<CellConfiguration>, Failure> {
        let lengths = list::or(self.steps.as_ref(), &LENGTHS);
        if let Some(wrong) = lengths.iter().find(|&&steps| !(3..=MOST_STEPS as u64).contains(&steps)) {
            return Err(usage(
                "--steps",
                format!(
                    "{wrong}: with --cell it is the length of sequences, from 3 to {}",
                    grouped(MOST_STEPS)
                ),
            ));
        }
        let inits = list::or(self.init.as_ref(), &[Init::Orthogonal]);
        for rule in inits {
            if matches!(rule, Init::With(_)) || format!("{rule}:gain=1").parse::<Init>().is_err() {
                let what = "recurrent weights begin with the gain of --gain and without biases; write identity, \
                            orthogonal, or a rule of Xavier's, He's or LeCun's without settings";
                return Err(usage("--init", format!("{rule}: {what}")));
            }
        }
        let mut configurations = Vec::new();
        for &cell in list::or(self.cells.cell.as_ref(), &[]) {
            let inits = if cell == Cell::Irnn { &[Init::Identity][..] } else { inits };
            for &steps in lengths {
                for &init in inits {
                    for &gain in list::or(self.cells.gain.as_ref(), &GAINS) {
                        configurations.push(CellConfiguration { cell, steps: steps as usize, init, gain });
                    }
                }
            }
        }
        Ok(configurations)
    }

    /// Results of nothing yet.
    fn results_of_cells(&self, study: &CellStudy, configurations: &[CellConfiguration]) -> CellsResults {
        let training = study.training.as_ref();
        let leaves_out = |init: &Init| *init != Init::Identity;
        let is_irnn = configurations.iter().any(|of| of.cell == Cell::Irnn);
        let subject = study.problem.map_or("cells".to_owned(), |problem| problem.to_string());
        let out = self.out.clone().unwrap_or_else(|| free_folder(NAME, &subject));
        CellsResults {
            config: CellsConfig {
                problem: study.problem.map(|problem| problem.to_string()),
                hidden: study.hidden,
                examples: study.examples,
                seeds: self.seeds,
                dtype: self.dtype.to_string(),
                updates: training.map_or(0, |training| training.updates),
                optimizer: training.map(|training| training.contender.spec().to_owned()),
                lr: training.and_then(|training| training.contender.learning_rate().ok()),
                batch_size: training.map(|training| training.batch_size),
                threads: rayon::current_num_threads(),
                flush_to_zero: self.flush_to_zero,
            },
            problem: study.problem,
            left_out: is_irnn && self.init.as_ref().is_some_and(|List(inits)| inits.iter().any(leaves_out)),
            findings: Vec::new(),
            planned: configurations.len(),
            interrupted: false,
            out: out.display().to_string(),
        }
    }
}
