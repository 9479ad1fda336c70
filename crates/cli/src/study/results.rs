//! What a study came to: what its page is drawn from, and the object of `study.json` and `--json`.
//!
//! Numbers that are not finite are null.

use super::twins::Twin;
use super::words;
use crate::data_options::DataConfig;
use crate::experiment::Results;
use crate::network::ModelConfig;
use crate::task::TaskConfig;
use backflow_nn::Samples;
use backflow_probe::text::{counted, grouped, rate};
use backflow_probe::{FiniteWidth, Per, Table, Theory, Verdict};
use backflow_report::{StudyPage, study_table};
use backflow_train::comparison::Spread;
use backflow_train::study::{Axes, Finding, Flow, Learned, LearnedOfSeed, LossPoint, TrainableDepths};
use serde::Serialize;

/// What was asked for, defaults filled in.
#[derive(Debug, Serialize)]
pub(crate) struct StudyConfig {
    pub(crate) data: String,
    #[serde(skip_serializing_if = "DataConfig::is_default")]
    pub(crate) data_options: DataConfig,
    /// How many examples the flow was measured on.
    pub(crate) examples: usize,
    /// Seeds 0, 1, … up to this number.
    pub(crate) seeds: u64,
    pub(crate) dtype: String,
    /// Of the training; 0 without one.
    pub(crate) steps: u64,
    pub(crate) optimizer: Option<String>,
    pub(crate) lr: Option<f64>,
    pub(crate) batch_size: Option<usize>,
    #[serde(flatten)]
    pub(crate) task: TaskConfig,
    pub(crate) threads: usize,
    pub(crate) flush_to_zero: bool,
    /// Lines with their placeholders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) models: Vec<String>,
}

/// All there is to tell so far.
#[derive(Debug)]
pub(crate) struct StudyResults {
    pub(crate) config: StudyConfig,
    /// The data in words.
    pub(crate) data: Vec<String>,
    /// How many numbers an example has, and how many classes there are.
    pub(crate) ends: [usize; 2],
    /// The shape of an input as lines take it.
    pub(crate) input: Vec<usize>,
    pub(crate) findings: Vec<Finding>,
    /// Where trainable networks end by theory, where configurations make a map.
    pub(crate) depths: Vec<TrainableDepths>,
    /// Which of them are one network by two words.
    pub(crate) twins: Vec<Twin>,
    pub(crate) planned: usize,
    pub(crate) interrupted: bool,
    pub(crate) out: String,
}

impl StudyResults {
    /// Data and conditions in words.
    pub(crate) fn introduction(&self) -> Vec<String> {
        let config = &self.config;
        let mut texts = self.data.clone();
        let several = config.models.len() > 1;
        texts.extend(config.models.iter().enumerate().map(|(nth, line)| match several {
            true => format!("line {}: {line}", nth + 1),
            false => line.clone(),
        }));
        texts.push(format!(
            "{}, {} of each, {}; flow at initialisation, measured on {}",
            counted(self.planned as u64, "configuration"),
            counted(config.seeds, "network"),
            config.dtype,
            counted(config.examples as u64, "training example")
        ));
        if let (Some(optimizer), Some(lr), Some(batch_size)) =
            (&config.optimizer, config.lr, config.batch_size)
        {
            texts.push(format!(
                "then {} of {optimizer}, learning rate {}, batch size {}",
                counted(config.steps, "training step"),
                rate(lr),
                grouped(batch_size)
            ));
        }
        if let Some(last) = texts.last_mut() {
            last.push_str(&config.task.in_words());
        }
        texts
    }
}

impl StudyResults {
    /// Takes one more configuration.
    pub(crate) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
        self.twins.extend(Twin::of_last(&self.findings, self.ends));
    }

    fn configurations(&self) -> Vec<FindingJson<'_>> {
        let object = |finding| FindingJson::new(finding, &self.input, self.ends[1]);
        let mut objects: Vec<FindingJson<'_>> = self.findings.iter().map(object).collect();
        for twin in &self.twins {
            let object = &mut objects[twin.later];
            let place = if twin.differing.is_empty() {
                &mut object.same_network_as
            } else {
                &mut object.same_hidden_layers_as
            };
            *place = Some(twin.earlier);
        }
        objects
    }
}

impl Results for StudyResults {
    const NAME: &'static str = super::NAME;
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
        study_table(&self.findings)
    }

    fn page(&self, notes: &[String]) -> String {
        let page = StudyPage {
            subject: self.data.join("; "),
            setup: self.introduction(),
            notes,
            findings: &self.findings,
            depths: &self.depths,
            json: Some("study.json"),
        };
        page.html()
    }

    fn json<'a>(&'a self, notes: &'a [String]) -> impl Serialize + 'a {
        Json {
            version: env!("CARGO_PKG_VERSION"),
            config: &self.config,
            configurations: self.configurations(),
            trainable_depths: &self.depths,
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
    config: &'a StudyConfig,
    configurations: Vec<FindingJson<'a>>,
    /// Theory's `6 xi_c` over variances of weights, where configurations make a map; infinite depths are null.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    trainable_depths: &'a [TrainableDepths],
    notes: &'a [String],
    planned_configurations: usize,
    interrupted: bool,
    out: &'a str,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    /// The line with its placeholders filled, and what it was planned for.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<ModelConfig>,
    /// The line as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    norm: Option<String>,
    /// Whether something goes past branches.
    #[serde(skip_serializing_if = "Option::is_none")]
    skip: Option<bool>,
    init: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<usize>,
    /// The first configuration, counted from 0, that is the same network by other words.
    #[serde(skip_serializing_if = "Option::is_none")]
    same_network_as: Option<usize>,
    /// The first configuration that is the same network but for the first layer, or the last, or both.
    #[serde(skip_serializing_if = "Option::is_none")]
    same_hidden_layers_as: Option<usize>,
    /// `null` where theory has nothing to say, or finite width decides.
    theory_slope: Option<f64>,
    theory_delta_rms: &'a [Option<f64>],
    /// What else theory says of a line, such as what it knows nothing of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    theory_notes: Vec<String>,
    /// What chance decides, with the slopes that are to be expected; `null` where it decides nothing.
    finite_width: Option<&'a FiniteWidth>,
    /// Layers over which what tells inputs apart falls to 1/e; `null` if infinite.
    depth_scale: Option<f64>,
    /// The number of hidden layers in these; up to some 6 train.
    depth_in_scales: Option<f64>,
    #[serde(flatten)]
    flow: FlowJson<'a>,
    /// Only with a training.
    #[serde(skip_serializing_if = "Option::is_none")]
    training: Option<LearnedJson<'a>>,
}

impl<'a> FindingJson<'a> {
    fn new(finding: &'a Finding, input: &[usize], classes: usize) -> Self {
        let (configuration, line) = (&finding.configuration, finding.configuration.line());
        let Axes { activation, norm, skip, depth, width } = configuration.axes();
        let theory = finding.theory.as_ref();
        Self {
            model: line.map(|line| ModelConfig::new(line.text(), &Samples::new(input, classes))),
            template: line.map(|line| &*line.template),
            activation: activation.map(|activation| activation.to_string()),
            norm: norm.map(|norm| norm.to_string()),
            skip,
            init: configuration.init.to_string(),
            depth,
            width,
            same_network_as: None,
            same_hidden_layers_as: None,
            theory_slope: finding.theory_slope,
            theory_delta_rms: &finding.theory_delta_rms,
            theory_notes: line.and(theory).map(Theory::notes).unwrap_or_default(),
            finite_width: finding.finite_width(),
            depth_scale: finding
                .depth_in_scales()
                .and(theory.and_then(Theory::perceptron))
                .and_then(|it| it.depth_scale),
            depth_in_scales: finding.depth_in_scales(),
            flow: FlowJson::new(&finding.initial, line.is_some()),
            training: finding.learned.as_ref().map(|learned| LearnedJson::new(learned, line.is_some())),
        }
    }
}

#[derive(Serialize)]
struct FlowJson<'a> {
    /// The layers that the lists are about, by their paths in the network of a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<&'a [String]>,
    /// How many of them are judged; the others are the outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    judged_layers: Option<usize>,
    slope_decades_per_layer: Option<f64>,
    /// Per what these slopes are.
    #[serde(skip_serializing_if = "Option::is_none")]
    slope_per: Option<Per>,
    /// The slope of the deltas in f64, only where f32 comes near its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow_slope_decades_per_layer: Option<f64>,
    slope_by_seed: &'a [Option<f64>],
    delta_rms: &'a [f64],
    /// The same in f64, only where f32 comes near its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow_delta_rms: Option<&'a [f64]>,
    activation_rms: &'a [f64],
    /// Of the second hidden layer over the last, root mean squares; `null` for fewer than three.
    weight_gradient_ratio: Option<f64>,
    saturated_share: Option<f64>,
    /// The worst.
    verdict: &'static str,
    /// All of them, with their evidence.
    verdicts: &'a [Verdict],
}

impl<'a> FlowJson<'a> {
    fn new(flow: &'a Flow, is_line: bool) -> Self {
        Self {
            layers: is_line.then_some(&flow.layers),
            judged_layers: is_line.then_some(flow.judged),
            slope_decades_per_layer: flow.slope,
            slope_per: is_line.then_some(flow.per),
            shadow_slope_decades_per_layer: flow.shadow_slope,
            slope_by_seed: &flow.slope_by_seed,
            delta_rms: &flow.delta_rms,
            shadow_delta_rms: flow.shadow_delta_rms.as_deref(),
            activation_rms: &flow.activation_rms,
            weight_gradient_ratio: flow.weight_gradient_ratio,
            saturated_share: flow.saturated_share,
            verdict: flow.verdicts.first().map_or("NOT JUDGED", Verdict::name),
            verdicts: &flow.verdicts,
        }
    }
}

#[derive(Serialize)]
struct LearnedJson<'a> {
    initial_loss: f64,
    final_loss: Option<f64>,
    test_accuracy: Option<Spread>,
    initial_accuracy: f64,
    /// The accuracy of always naming the commonest class.
    chance: f64,
    networks: usize,
    learning: usize,
    diverged: usize,
    learns: bool,
    by_seed: &'a [LearnedOfSeed],
    /// The training loss along the way.
    curve: &'a [LossPoint],
    /// The flow after the training.
    flow: Option<FlowJson<'a>>,
}

impl<'a> LearnedJson<'a> {
    fn new(learned: &'a Learned, is_line: bool) -> Self {
        Self {
            initial_loss: learned.initial_loss,
            final_loss: learned.final_loss,
            test_accuracy: learned.test_accuracy,
            initial_accuracy: learned.initial_accuracy,
            chance: learned.chance,
            networks: learned.networks,
            learning: learned.learning,
            by_seed: &learned.by_seed,
            curve: &learned.curve,
            diverged: learned.diverged,
            learns: learned.learns(),
            flow: learned.flow.as_ref().map(|flow| FlowJson::new(flow, is_line)),
        }
    }
}
