//! What networks are trained for, and on how much at once: options that all trainings share.

use crate::data::Data;
use crate::options;
use backflow_data::Augment;
use backflow_nn::loss::{binary_cross_entropy_with_logits, mse_loss};
use backflow_train::Classification;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TaskOptions {
    /// How far outputs are from what is right [default: cross-entropy; of numbers, as in adding, mse].
    #[arg(long, value_enum)]
    pub(crate) loss: Option<LossName>,

    /// Train on the first N examples only, or on all if there are fewer.
    #[arg(long, value_parser = options::at_least_one::<usize>, allow_hyphen_values = true, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// Cut each batch into K parts that run one after another and are put together before the update, which
    /// takes less memory; the result is that of the whole batch but for rounding.
    #[arg(
        long,
        default_value_t = 1,
        value_parser = options::at_least_one::<usize>,
        allow_hyphen_values = true,
        value_name = "K"
    )]
    pub(crate) accumulate: usize,

    /// Change the images to train on, anew in each epoch: `shift:2` by up to 2 pixels each way, zeros moved in;
    /// `flip` left and right, every second time; `shift:2,flip` both.
    #[arg(
        long,
        default_value_t = Augment::none(),
        value_parser = options::augment,
        value_name = "none|shift:N,flip"
    )]
    pub(crate) augment: Augment,
}

/// The losses that networks are trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LossName {
    /// Of the outputs as logits: −mean ln softmax(outputs)[class].
    #[default]
    CrossEntropy,
    /// The mean square of the outputs less numbers, or less one-hot rows of classes, over all elements.
    Mse,
    /// The mean binary cross entropy of a yes-or-no question for each class, with the outputs as logits.
    Bce,
}

impl LossName {
    /// Of classes.
    pub(crate) fn task(self) -> Classification {
        match self {
            Self::CrossEntropy => Classification::new(),
            Self::Mse => Classification::one_hot(mse_loss),
            Self::Bce => Classification::one_hot(binary_cross_entropy_with_logits),
        }
    }
}

impl fmt::Display for LossName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CrossEntropy => "cross-entropy",
            Self::Mse => "mse",
            Self::Bce => "bce",
        })
    }
}

/// The same in what a run or an experiment was asked for. Files of earlier programs have none of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TaskConfig {
    pub(crate) loss: LossName,
    pub(crate) limit: Option<usize>,
    pub(crate) accumulate: usize,
    /// In its own words.
    #[serde(skip_serializing_if = "is_none", serialize_with = "write", deserialize_with = "read")]
    pub(crate) augment: Augment,
}

fn is_none(augment: &Augment) -> bool {
    augment.is_none()
}

fn write<S: Serializer>(augment: &Augment, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(augment)
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Augment, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self { loss: LossName::default(), limit: None, accumulate: 1, augment: Augment::none() }
    }
}

impl TaskConfig {
    /// What was asked for, with the loss that the data ask for otherwise.
    pub(crate) fn new(options: &TaskOptions, data: &Data) -> Self {
        let TaskOptions { limit, accumulate, augment, .. } = *options;
        Self { loss: data.loss(options), limit, accumulate, augment }
    }

    /// What is not as it would be without options, to be put behind a sentence: `, loss mse, batches in 4
    /// parts`. The data say how many examples there are.
    pub(crate) fn in_words(&self) -> String {
        let loss = (self.loss != LossName::default()).then(|| format!(", loss {}", self.loss));
        let parts = (self.accumulate > 1).then(|| format!(", batches in {} parts", self.accumulate));
        let augment = (!self.augment.is_none()).then(|| format!(", images augmented by {}", self.augment));
        [loss, parts, augment].into_iter().flatten().collect()
    }
}
