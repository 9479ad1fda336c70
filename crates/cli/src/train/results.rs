//! [`TrainResults`]: what a run came to.

use crate::network::Model;
use crate::profile::ProfileFigures;
use crate::written::Written;
use backflow_probe::FlowRow;
use backflow_probe::text::short;
use backflow_tensor::Module;
use backflow_train::{EpochRecord, Metrics, Summary};
use serde::Serialize;
use std::path::Path;

/// What the run came to: the object of `--json`, and `summary.json`.
#[derive(Debug, Serialize)]
pub(super) struct TrainResults {
    params: usize,
    steps: u64,
    epochs: u64,
    train_loss: f64,
    pub(super) test_loss: f64,
    #[serde(flatten, serialize_with = "of_test")]
    metrics: Metrics,
    /// Of what was held out, with `--validation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_loss: Option<f64>,
    #[serde(flatten, serialize_with = "of_validation")]
    validation_metrics: Metrics,
    /// What a network without memory gets, of problems that are known by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) guess_loss: Option<f64>,
    #[serde(flatten)]
    pub(super) text: Option<Written>,
    /// Of training and testing, without loading the data.
    seconds: f64,
    out: String,
    history: Vec<EpochRecord>,
    /// What flowed through the layers in the last epoch: means over the steps that were looked at.
    layers: Vec<FlowRow>,
    /// Where the time of a step went, with `--profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) profile: Option<ProfileFigures>,
}

/// Figures on the test set, under the names that they have in files.
fn of_test<S: serde::Serializer>(metrics: &Metrics, serializer: S) -> Result<S::Ok, S::Error> {
    metrics.prefixed("test_").serialize(serializer)
}

/// The same of what was held out.
fn of_validation<S: serde::Serializer>(metrics: &Metrics, serializer: S) -> Result<S::Ok, S::Error> {
    metrics.prefixed("validation_").serialize(serializer)
}

impl TrainResults {
    pub(super) fn new(
        summary: Summary,
        model: &Model,
        seconds: f64,
        out: &Path,
        layers: Vec<FlowRow>,
    ) -> Self {
        let Summary { steps, epochs } = summary;
        let last = epochs.last();
        let figure = |of: fn(&EpochRecord) -> f64| last.map_or(f64::NAN, of);
        let validation = last.and_then(|epoch| epoch.validation.as_ref());
        Self {
            params: model.parameter_count(),
            steps,
            epochs: epochs.len() as u64,
            train_loss: figure(|epoch| epoch.train_loss),
            test_loss: figure(|epoch| epoch.test_loss),
            metrics: last.map(|epoch| epoch.metrics.clone()).unwrap_or_default(),
            validation_loss: validation.map(|found| found.loss),
            validation_metrics: validation.map(|found| found.metrics.clone()).unwrap_or_default(),
            seconds,
            out: out.display().to_string(),
            history: epochs,
            layers,
            profile: None,
            guess_loss: None,
            text: None,
        }
    }

    /// Loss and figures on the test set, in words.
    pub(super) fn on_test(&self) -> String {
        let metrics = self.metrics.iter().map(|(name, figure)| format!(", {name} {figure:.4}"));
        format!("loss {}{}", short(Some(self.test_loss)), metrics.collect::<String>())
    }
}
