//! What a study of recurrent cells came to: what its page is drawn from, and the object of `study.json` and `--json`.
//!
//! Numbers that are not finite are null.

use super::words;
use crate::experiment::Results;
use backflow_probe::text::{counted, grouped, rate};
use backflow_probe::{Table, TimeLine, TimeTheory, Verdict};
use backflow_report::{CellsPage, cells_table};
use backflow_train::study::{CellFinding, CellLearned, Problem};
use serde::Serialize;

/// What was asked for, defaults filled in.
#[derive(Debug, Serialize)]
pub(super) struct CellsConfig {
    /// `null`: random sequences.
    pub(super) problem: Option<String>,
    /// Units of the recurrent layer.
    pub(super) hidden: usize,
    /// How many sequences the flow was measured on.
    pub(super) examples: usize,
    pub(super) seeds: u64,
    pub(super) dtype: String,
    /// Of the training, at most; 0 without one.
    pub(super) updates: u64,
    pub(super) optimizer: Option<String>,
    pub(super) lr: Option<f64>,
    pub(super) batch_size: Option<usize>,
    pub(super) threads: usize,
    pub(super) flush_to_zero: bool,
}

/// All there is to tell so far.
#[derive(Debug)]
pub(super) struct CellsResults {
    pub(super) config: CellsConfig,
    pub(super) problem: Option<Problem>,
    /// Whether weights were asked for that an irnn does not have.
    pub(super) left_out: bool,
    pub(super) findings: Vec<CellFinding>,
    pub(super) planned: usize,
    pub(super) interrupted: bool,
    pub(super) out: String,
}

impl CellsResults {
    /// Conditions in words.
    pub(super) fn introduction(&self) -> Vec<String> {
        let config = &self.config;
        let on = match self.problem {
            None => "of normal numbers, the loss at the last step".to_owned(),
            Some(problem) => format!("of the {problem} problem"),
        };
        let mut texts = vec![format!(
            "{}, {} of each, {} units, {}; flow at initialisation, measured on {} {on}",
            counted(self.planned as u64, "configuration"),
            counted(config.seeds, "network"),
            grouped(config.hidden),
            config.dtype,
            counted(config.examples as u64, "sequence"),
        )];
        if let (Some(optimizer), Some(lr), Some(batch_size)) =
            (&config.optimizer, config.lr, config.batch_size)
        {
            texts.push(format!(
                "then up to {} of {optimizer}, learning rate {}, batch size {}, gradients clipped to norm 1",
                counted(config.updates, "update"),
                rate(lr),
                grouped(batch_size)
            ));
        }
        texts
    }
}

impl Results for CellsResults {
    const NAME: &'static str = crate::study::NAME;
    const NOUN: &'static str = "configuration";
    const CURVES: &'static str = "Curves";

    fn done(&self) -> usize {
        self.findings.len()
    }

    fn planned(&self) -> u64 {
        self.planned as u64
    }

    fn interrupted(&mut self) -> &mut bool {
        &mut self.interrupted
    }

    fn out(&self) -> &str {
        &self.out
    }

    fn notes(&self) -> Vec<String> {
        words::notes(self)
    }

    fn table(&self) -> Table {
        cells_table(&self.findings)
    }

    fn page(&self, notes: &[String]) -> String {
        let json = Some("study.json");
        CellsPage { setup: self.introduction(), notes, findings: &self.findings, json }.html()
    }

    fn json<'a>(&'a self, notes: &'a [String]) -> impl Serialize + 'a {
        let object = |finding| FindingJson::new(finding, self.problem);
        Json {
            version: env!("CARGO_PKG_VERSION"),
            config: &self.config,
            configurations: self.findings.iter().map(object).collect(),
            notes,
            planned_configurations: self.planned,
            interrupted: self.interrupted,
            out: &self.out,
        }
    }
}

#[derive(Serialize)]
struct Json<'a> {
    version: &'static str,
    config: &'a CellsConfig,
    configurations: Vec<FindingJson<'a>>,
    notes: &'a [String],
    planned_configurations: usize,
    interrupted: bool,
    out: &'a str,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    cell: String,
    steps: usize,
    init: String,
    gain: f64,
    slope_decades_per_step: Option<f64>,
    slope_by_seed: &'a [Option<f64>],
    /// The line of the slope.
    line: Option<&'a TimeLine>,
    delta_rms: &'a [f64],
    /// `null` where theory knows no more than a bound.
    theory_slope: Option<f64>,
    theory_delta_decades: &'a [f64],
    /// Which theory it is, or why there is none.
    theory: &'static str,
    /// `null` of gated cells.
    bound_slope: Option<f64>,
    /// The worst.
    verdict: &'static str,
    verdicts: &'a [Verdict],
    #[serde(skip_serializing_if = "Option::is_none")]
    training: Option<TrainingJson<'a>>,
}

#[derive(Serialize)]
struct TrainingJson<'a> {
    /// The loss of who remembers nothing, of which a tenth is to be reached.
    baseline: f64,
    by_seed: &'a [CellLearned],
    learns: bool,
}

impl<'a> FindingJson<'a> {
    fn new(finding: &'a CellFinding, problem: Option<Problem>) -> Self {
        let of = &finding.configuration;
        let training = |learns| {
            Some(TrainingJson { baseline: problem?.baseline(of.steps), by_seed: &finding.learned, learns })
        };
        Self {
            cell: of.cell.to_string(),
            steps: of.steps,
            init: of.weights().to_string(),
            gain: of.gain,
            slope_decades_per_step: finding.line.as_ref().map(|line| line.slope),
            slope_by_seed: &finding.slope_by_seed,
            line: finding.line.as_ref(),
            delta_rms: &finding.delta_rms,
            theory_slope: finding.predicted_slope,
            theory_delta_decades: &finding.predicted_decades,
            theory: match finding.theory {
                TimeTheory::Linear => "linear",
                TimeTheory::MeanField { .. } => "mean-field",
                TimeTheory::RandomWalks => "random-walks",
                TimeTheory::Gates => "gates",
                TimeTheory::Unknown(reason) => reason,
            },
            bound_slope: finding.bound_slope,
            verdict: finding.verdicts.first().map_or("NOT JUDGED", Verdict::name),
            verdicts: &finding.verdicts,
            training: finding.learns().and_then(training),
        }
    }
}
