//! [`DataOptions`]: which data, and how they are read and treated: options of all commands that have data.

use crate::options;
use crate::source::Source;
use backflow_data::LoadOptions;
use backflow_data::formats::targets::Goal;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DataOptions {
    /// The data. What lies at a path is found out: a table (CSV); arrays (NPZ, safetensors, NPY, IDX); a folder with a
    /// folder of PNG or JPEG pictures for each class, with the four IDX files of MNIST, or of CIFAR-10 or CIFAR-100; a text.
    /// `embedded` are digits; `rows`, `pixels`, `rows:DIR`, `pixels:DIR` are images as sequences; `adding:T=100`,
    /// `copying:T=100` are made, with `n=10000,seed=0`; `text:FILE,steps=64` is a file byte by byte [default: embedded].
    #[arg(long, value_parser = Source::parser(), value_name = "FILE|DIR|WORD[:…]")]
    pub(crate) data: Option<Source>,

    /// What is to be learned: the column of a table, by name or, counted from 1, number; the array of a file of several
    /// [default: the last column; y].
    #[arg(long, value_name = "NAME|NUMBER", requires = "data")]
    pub(crate) target: Option<String>,

    /// Whether classes or numbers are to be learned, where data could mean either [default: found out].
    #[arg(long, value_enum)]
    pub(crate) task: Option<TaskName>,

    /// Shift and scale inputs to mean 0 and deviation 1 over the examples that are trained on: each feature, or all pixels
    /// of pictures together.
    #[arg(long)]
    pub(crate) standardize: bool,

    /// Make all pictures of a folder one size, of so many rows and columns.
    #[arg(long, value_parser = options::rows_and_columns, value_name = "HxW", requires = "data")]
    pub(crate) resize: Option<[usize; 2]>,

    /// Whether the first line of a table names its columns [default: found out].
    #[arg(long, value_name = "true|false", requires = "data")]
    pub(crate) header: Option<bool>,

    /// The sign between the cells of a table, as `;` or tab [default: found out].
    #[arg(long, value_parser = options::delimiter, value_name = "SIGN", requires = "data")]
    pub(crate) delimiter: Option<u8>,
}

/// What can be learned of data that could mean either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TaskName {
    /// Which class an example is of.
    Classify,
    /// Numbers, to be met as closely as possible.
    Regress,
}

impl DataOptions {
    pub(crate) fn source(&self) -> Source {
        self.data.clone().unwrap_or_default()
    }

    /// How a file or folder is to be read.
    pub(crate) fn of_loading(&self) -> LoadOptions {
        let goal = self.task.map(|task| match task {
            TaskName::Classify => Goal::Classify,
            TaskName::Regress => Goal::Regress,
        });
        let Self { target, resize, header, delimiter, .. } = self.clone();
        LoadOptions { target, goal, resize, header, delimiter, steps: None }
    }

    /// An option that is for files and folders alone, if one was given.
    pub(crate) fn of_files(&self) -> Option<&'static str> {
        let Self { target, resize, header, delimiter, .. } = self;
        let given = [
            ("--target", target.is_some()),
            ("--resize", resize.is_some()),
            ("--header", header.is_some()),
            ("--delimiter", delimiter.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(option, _)| option)
    }

    /// Whether any of these was given.
    pub(crate) fn are_given(&self) -> bool {
        self.data.is_some() || self.task.is_some() || self.standardize || self.of_files().is_some()
    }
}

/// The same in what a run or an experiment was asked for, beside the data. Files of earlier programs have none of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DataConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<TaskName>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    standardize: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    resize: Option<[usize; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delimiter: Option<char>,
    /// The part that was held out of the examples to train on.
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<f64>,
}

impl DataConfig {
    pub(crate) fn new(options: &DataOptions, validation: Option<f64>) -> Self {
        let DataOptions { data: _, target, task, standardize, resize, header, delimiter } = options.clone();
        Self { target, task, standardize, resize, header, delimiter: delimiter.map(char::from), validation }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is not as it would be without options, to be put behind the name of the data.
    pub(crate) fn in_words(&self) -> String {
        let Self { target, resize, standardize, validation, .. } = self;
        let parts = [
            target.as_ref().map(|target| format!(", to learn {target}")),
            resize.map(|[rows, columns]| format!(", resized to {rows}x{columns}")),
            standardize.then(|| ", standardized".to_owned()),
            validation.map(|part| format!(", {part} of it held out")),
        ];
        parts.into_iter().flatten().collect()
    }
}
