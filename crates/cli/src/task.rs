//! What networks are trained for, and on how much at once: options that all trainings share.

use crate::options;
use backflow_data::Mnist;
use backflow_nn::loss::{binary_cross_entropy_with_logits, mse_loss};
use backflow_train::Classification;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Args, Clone, Debug)]
pub(crate) struct TaskOptions {
    /// How far outputs are from classes.
    #[arg(long, value_enum, default_value = "cross-entropy")]
    pub(crate) loss: LossName,

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
}

impl TaskOptions {
    pub(crate) fn task(&self) -> Classification {
        self.loss.task()
    }

    /// The digits with no more examples to train on than were asked for. All of the test set stays.
    pub(crate) fn limited(&self, digits: Mnist) -> Mnist {
        match self.limit {
            Some(limit) => Mnist { train: digits.train.first(limit), ..digits },
            None => digits,
        }
    }
}

/// The losses that classifiers are trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LossName {
    /// Of the outputs as logits: −mean ln softmax(outputs)[class].
    #[default]
    CrossEntropy,
    /// The mean square of the outputs less one-hot rows, over all elements.
    Mse,
    /// The mean binary cross entropy of a yes-or-no question for each class, with the outputs as logits.
    Bce,
}

impl LossName {
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
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self { loss: LossName::default(), limit: None, accumulate: 1 }
    }
}

impl From<&TaskOptions> for TaskConfig {
    fn from(options: &TaskOptions) -> Self {
        let TaskOptions { loss, limit, accumulate } = *options;
        Self { loss, limit, accumulate }
    }
}

impl TaskConfig {
    /// What is not as it would be without options, to be put behind a sentence: `, loss mse, batches in 4
    /// parts`. The data say how many examples there are.
    pub(crate) fn in_words(&self) -> String {
        let loss = (self.loss != LossName::default()).then(|| format!(", loss {}", self.loss));
        let parts = (self.accumulate > 1).then(|| format!(", batches in {} parts", self.accumulate));
        [loss, parts].into_iter().flatten().collect()
    }
}
