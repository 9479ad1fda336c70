//! What is recorded of a run while it goes on, and what it came to: figures that are printed and logged.

use crate::evaluate::Evaluation;
use crate::metric::{Metrics, of_test, of_validation};
use serde::Serialize;

/// One training step, as it is reported and logged. It has no metrics: they would cost a look at all outputs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepRecord {
    /// Counted from 1 over all epochs.
    pub step: u64,
    /// Counted from 1.
    pub epoch: u64,
    /// Mean loss over the terms of the batch before the update.
    pub loss: f64,
    /// The learning rate of the update.
    pub learning_rate: f64,
    /// The norm of all gradients together, before clipping.
    pub gradient_norm: f64,
}

/// One epoch: a pass over the training set, and the test that followed it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: u64,
    /// Mean of the losses of the epoch's terms, each before the update that it took part in.
    pub train_loss: f64,
    /// Loss on the test set after the epoch.
    pub test_loss: f64,
    /// The task's metrics on the test set after the epoch; in files `accuracy` is `test_accuracy`.
    #[serde(flatten, serialize_with = "of_test")]
    pub metrics: Metrics,
    /// Loss and metrics on the examples that were [held out](crate::Trainer::validate), after the epoch; in files
    /// `validation_loss` and, of `accuracy`, `validation_accuracy`.
    #[serde(flatten, serialize_with = "of_validation")]
    pub validation: Option<Evaluation>,
}

/// What a training run came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many steps were made.
    pub steps: u64,
    /// The record of every epoch.
    pub epochs: Vec<EpochRecord>,
}
