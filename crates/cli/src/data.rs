//! [`Data`]: examples of what `--data` says, and what is to be learned from them.

use crate::failure::Failure;
use crate::network::Model;
use crate::setup::usage;
use crate::source::{Kind, Made, Source, View, WORDS};
use crate::task::{LossName, TaskOptions};
use backflow_data::{Cifar, Dataset, Mnist, Text, adding, copying};
use backflow_nn::Samples;
use backflow_probe::text::grouped;
use backflow_tensor::spelling::did_you_mean;
use backflow_tensor::{Float, Rng};
use backflow_train::{NextToken, Regression, Task};
use std::path::Path;

/// What to train on, and what to test on.
pub(crate) struct Data {
    pub(crate) train: Dataset,
    pub(crate) test: Dataset,
    pub(crate) goal: Goal,
}

/// What is to be learned, as the data say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// Which class an example is of.
    Class,
    /// Which class each step is of; who remembers nothing has this loss.
    ClassOfEachStep { guess: f64 },
    /// A number; who always answers the mean has this loss.
    Number { guess: f64 },
    /// The next byte at each step.
    NextToken,
}

impl Goal {
    /// The loss without learning, for problems that are known by it.
    pub(crate) fn guess(self) -> Option<f64> {
        match self {
            Self::Number { guess } | Self::ClassOfEachStep { guess } => Some(guess),
            Self::Class | Self::NextToken => None,
        }
    }

    /// The loss that was asked for, if there is such a one.
    fn loss(self, asked: Option<LossName>) -> Result<LossName, Failure> {
        let wrong = |what| Err(usage("--loss", what));
        match (self, asked) {
            (Self::Number { .. }, None | Some(LossName::Mse)) => Ok(LossName::Mse),
            (Self::Number { .. }, _) => {
                wrong("numbers, not classes, are to be learned from these data, by mse")
            }
            (Self::NextToken, Some(LossName::Mse | LossName::Bce)) => {
                wrong("the next byte of a text is learned by cross-entropy")
            }
            (_, asked) => Ok(asked.unwrap_or_default()),
        }
    }
}

impl Data {
    /// As many to train on as `--limit` leaves; all of the test set stays.
    pub(crate) fn load(source: &Source, options: &TaskOptions) -> Result<Self, Failure> {
        let data = match &source.kind {
            Kind::Images { folder, view } => {
                let images = match folder {
                    None => Self::from(Mnist::embedded()),
                    Some(folder) => images(folder)?,
                };
                images.viewed(*view)?
            }
            Kind::Adding(made) => Self::made(*made, adding, Goal::Number { guess: 1.0 / 6.0 }),
            Kind::Copying(made) => {
                let guess = 10.0 * Float::ln(8.0_f64) / (made.steps + 20) as f64;
                Self::made(*made, copying, Goal::ClassOfEachStep { guess })
            }
            Kind::Text { file, steps } => {
                let Text { train, test } = Text::load(file, *steps)?;
                Self { train, test, goal: Goal::NextToken }
            }
        };
        for (set, purpose) in [(&data.train, "train on"), (&data.test, "test on")] {
            if set.is_empty() {
                return Err(Failure::Run(format!("{source}: holds no examples to {purpose}")));
            }
        }
        options.augment.check(&data.train).map_err(|error| usage("--augment", error))?;
        data.goal.loss(options.loss)?;
        let train = options.limit.map_or_else(|| data.train.clone(), |limit| data.train.first(limit));
        Ok(Self { train, ..data })
    }

    /// Examples to train on, and a tenth of as many of another stream to test on.
    fn made(made: Made, make: fn(usize, usize, &Rng) -> Dataset, goal: Goal) -> Self {
        let Made { steps, examples, seed } = made;
        let rng = Rng::seed_from_u64(seed);
        let (train, test) = (rng.split(0), rng.split(1));
        Self { train: make(steps, examples, &train), test: make(steps, examples.div_ceil(10), &test), goal }
    }

    /// Images as sequences, if they are to be.
    fn viewed(self, view: View) -> Result<Self, Failure> {
        let shape = match (view, self.train.image_shape()) {
            (View::Images, _) => return Ok(self),
            (View::Rows, Some([1, rows, columns])) => [rows, columns],
            (View::Pixels, Some([1, rows, columns])) => [rows * columns, 1],
            (_, found) => {
                let channels = found.map_or(0, |[channels, ..]| channels);
                let what = "steps are rows or pixels of images with one channel, and these have";
                return Err(usage("--data", format!("{what} {channels}")));
            }
        };
        Ok(self.map(|set| set.with_input_shape(shape)))
    }

    /// The same with another view of both sets.
    pub(crate) fn map(self, view: impl Fn(Dataset) -> Dataset) -> Self {
        Self { train: view(self.train), test: view(self.test), ..self }
    }

    /// The loss that is trained by: what was asked for, or what the data are for.
    pub(crate) fn loss(&self, options: &TaskOptions) -> LossName {
        self.goal.loss(options.loss).unwrap_or_default()
    }

    /// What is trained for.
    pub(crate) fn task(&self, options: &TaskOptions) -> Box<dyn Task<Model> + Sync> {
        match self.goal {
            Goal::Class | Goal::ClassOfEachStep { .. } => Box::new(self.loss(options).task()),
            Goal::Number { .. } => Box::new(Regression::mse()),
            Goal::NextToken => Box::new(NextToken::new()),
        }
    }

    /// The samples as a model line takes them: images with channels, rows and columns, unless they are sequences.
    pub(crate) fn samples(&self) -> Samples {
        let shape = self.train.input_shape();
        match self.goal {
            Goal::Class => {
                let image = self.train.image_shape().filter(|_| shape.rank() == 1);
                Samples::new(&image.map_or_else(|| shape.to_vec(), Vec::from), self.train.classes())
            }
            Goal::Number { .. } => Samples::new(&shape, 1),
            Goal::ClassOfEachStep { .. } => Samples::of_tokens(shape[0], self.train.classes()).each_step(),
            // The last has no next one.
            Goal::NextToken => Samples::of_tokens(shape[0] - 1, self.train.classes()).each_step().causal(),
        }
    }

    /// Refuses data for a command that is about which class an example is of.
    pub(crate) fn require_classes(&self, command: &str) -> Result<(), Failure> {
        match self.goal {
            Goal::Class => Ok(()),
            _ => Err(usage(
                "--data",
                format!("{command} is about classes of examples, which these data have not"),
            )),
        }
    }

    /// Refuses data for a command that ranks by accuracy.
    pub(crate) fn require_accuracy(&self) -> Result<(), Failure> {
        match self.goal {
            Goal::Number { .. } => {
                let what = "optimizers are ranked by accuracy, and numbers have none; `train` shows the loss of each";
                Err(usage("--data", what))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn in_words(&self, source: &Source) -> String {
        let [train, test] = [&self.train, &self.test].map(|set| grouped(set.len()));
        let samples = self.samples();
        let steps = match (samples.words(), samples.shape()) {
            (Some(words), [steps]) => format!("; {} steps, each one of {words} tokens", grouped(*steps)),
            (_, [steps, numbers]) => format!("; {} steps of {numbers}", grouped(*steps)),
            _ => String::new(),
        };
        let what = match source.kind {
            Kind::Images { folder: None, .. } => "digits",
            Kind::Images { .. } => "images",
            Kind::Text { .. } => "windows of bytes",
            Kind::Adding(_) | Kind::Copying(_) => "sequences",
        };
        format!("{train} {what} to train on, {test} to test on ({source}){steps}")
    }
}

/// The images of a folder.
fn images(folder: &Path) -> Result<Data, Failure> {
    if matches!(std::fs::exists(folder), Ok(false)) {
        let name = folder.display().to_string();
        let there_is = did_you_mean(&name, "name a folder with images, or one of", WORDS);
        return Err(Failure::Run(format!("{name}: no such folder; {there_is} {}", WORDS.join(", "))));
    }
    if Cifar::is_in(folder) {
        let Cifar { train, test, .. } = Cifar::load(folder)?;
        return Ok(Data { train, test, goal: Goal::Class });
    }
    Ok(Mnist::load(folder)?.into())
}

impl From<Mnist> for Data {
    fn from(Mnist { train, test }: Mnist) -> Self {
        Self { train, test, goal: Goal::Class }
    }
}
