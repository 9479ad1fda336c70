//! The images of `--data`: which files a folder has, and what they are in words.

use crate::failure::Failure;
use crate::setup::usage;
use crate::task::TaskOptions;
use backflow_data::{Cifar, Dataset, Mnist};
use backflow_probe::text::grouped;
use backflow_tensor::spelling::did_you_mean;
use std::borrow::Cow;
use std::path::Path;

/// The word for the digits that the program has with it.
const EMBEDDED: &str = "embedded";

/// What to train on, and what to test on.
pub(crate) struct Images {
    pub(crate) train: Dataset,
    pub(crate) test: Dataset,
}

impl Images {
    /// As many to train on as `--limit` leaves; all of the test set stays.
    pub(crate) fn load(data: &Path, task: &TaskOptions) -> Result<Self, Failure> {
        let is_missing = matches!(std::fs::exists(data), Ok(false));
        let images = match data.to_str() {
            Some(EMBEDDED) => Self::from(Mnist::embedded()),
            Some(name) if is_missing => {
                let there_is = did_you_mean(name, "name a folder with images, or", [EMBEDDED]);
                return Err(Failure::Run(format!("{name}: no such folder; {there_is} {EMBEDDED}")));
            }
            _ if Cifar::is_in(data) => {
                let Cifar { train, test, .. } = Cifar::load(data)?;
                Self { train, test }
            }
            _ => Self::from(Mnist::load(data)?),
        };
        for (set, purpose) in [(&images.train, "train on"), (&images.test, "test on")] {
            if set.is_empty() {
                return Err(Failure::Run(format!("{}: holds no images to {purpose}", data.display())));
            }
        }
        task.augment.check(&images.train).map_err(|error| usage("--augment", error))?;
        let train = task.limit.map_or_else(|| images.train.clone(), |limit| images.train.first(limit));
        Ok(Self { train, ..images })
    }

    /// The same with another view of both sets.
    pub(crate) fn map(self, view: impl Fn(Dataset) -> Dataset) -> Self {
        Self { train: view(self.train), test: view(self.test) }
    }

    /// The shape of an input as a model line takes it: channels, rows and columns, if they are images.
    pub(crate) fn input(&self) -> Vec<usize> {
        self.train.image_shape().map_or_else(|| self.train.input_shape().to_vec(), Vec::from)
    }

    pub(crate) fn in_words(&self, data: &Path) -> String {
        let [train, test] = [&self.train, &self.test].map(|set| grouped(set.len()));
        let what = if data.as_os_str() == EMBEDDED { "digits" } else { "images" };
        format!("{train} {what} to train on, {test} to test on ({})", data.display())
    }
}

impl From<Mnist> for Images {
    fn from(Mnist { train, test }: Mnist) -> Self {
        Self { train, test }
    }
}

/// What a folder of data, or `embedded`, is called without what lies above it.
pub(crate) fn data_name(data: &Path) -> Cow<'_, str> {
    data.file_name().map_or("data".into(), |name| name.to_string_lossy())
}
