//! [`Data`]: examples of what `--data` says, and what is to be learned from them.

use crate::data_options::{DataOptions, TaskName};
use crate::failure::Failure;
use crate::network::Model;
use crate::setup::usage;
use crate::source::{Kind, Made, Source, View, WORDS};
use crate::task::{LossName, TaskOptions};
use crate::treatment::Treatment;
use backflow_data::formats::FormatError;
use backflow_data::formats::csv::CsvError;
use backflow_data::{
    ArrayError, DataError, Dataset, Format, Learned, Loaded, Mnist, Split, Text, adding, copying, load,
    stratified_train_validation_split, train_validation_split,
};
use backflow_nn::Samples;
use backflow_probe::text::grouped;
use backflow_tensor::spelling::did_you_mean;
use backflow_tensor::{Float, Rng};
use backflow_train::{NextToken, Regression, Task};
use std::path::Path;

/// The seed by which examples are held out: it is not that of a run, so that runs are judged by the same examples.
const SPLIT_SEED: u64 = 0;

/// The part of data without a test set that becomes one.
const TEST_PART: f64 = 0.2;

/// What to train on, and what to test on.
pub(crate) struct Data {
    pub(crate) train: Dataset,
    /// Held out of what there is to train on, if that was asked for.
    pub(crate) validation: Option<Dataset>,
    pub(crate) test: Dataset,
    pub(crate) goal: Goal,
    pub(crate) treatment: Treatment,
    found: Found,
}

/// What is said of data.
struct Found {
    /// What an example is.
    noun: &'static str,
    /// What lies at a path, unless it is a folder of images with a test set, of which the counts say enough.
    words: Option<String>,
    /// Whether the test set was split off.
    is_split: bool,
}

impl Found {
    fn of(noun: &'static str) -> Self {
        Self { noun, words: None, is_split: false }
    }
}

/// What is to be learned, as the data say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// Which class an example is of.
    Class,
    /// Which class each step is of; who remembers nothing has this loss.
    ClassOfEachStep { guess: f64 },
    /// Numbers; of a problem that is known by it, who always answers the mean has this loss.
    Numbers { guess: Option<f64> },
    /// The next byte at each step.
    NextToken,
}

impl Goal {
    /// The loss without learning, for problems that are known by it.
    pub(crate) fn guess(self) -> Option<f64> {
        match self {
            Self::Numbers { guess } => guess,
            Self::ClassOfEachStep { guess } => Some(guess),
            Self::Class | Self::NextToken => None,
        }
    }

    /// The loss that was asked for, if there is such a one.
    fn loss(self, asked: Option<LossName>) -> Result<LossName, Failure> {
        let wrong = |what| Err(usage("--loss", what));
        match (self, asked) {
            (Self::Numbers { .. }, None | Some(LossName::Mse)) => Ok(LossName::Mse),
            (Self::Numbers { .. }, _) => {
                wrong("numbers, not classes, are to be learned from these data, by mse")
            }
            (Self::NextToken, Some(LossName::Mse | LossName::Bce)) => {
                wrong("the next byte of a text is learned by cross-entropy")
            }
            (_, asked) => Ok(asked.unwrap_or_default()),
        }
    }

    /// Refuses another task than that of the data.
    fn require(self, asked: Option<TaskName>) -> Result<(), Failure> {
        let what = match (self, asked) {
            (Self::Class | Self::ClassOfEachStep { .. }, Some(TaskName::Regress)) => "classes are",
            (Self::Numbers { .. }, Some(TaskName::Classify)) => "numbers are",
            (Self::NextToken, Some(_)) => "the next byte is",
            _ => return Ok(()),
        };
        Err(usage("--task", format!("{what} to be learned from these data; leave the option out")))
    }
}

impl Data {
    /// As many to train on as `--limit` leaves of those that are not held out; all of the test set stays.
    pub(crate) fn load(
        options: &DataOptions,
        task: &TaskOptions,
        validation: Option<f64>,
    ) -> Result<Self, Failure> {
        let source = options.source();
        let data = match &source.kind {
            Kind::Path(path, view) => Self::at(path, options)?.viewed(*view)?,
            _ => Self::without_options(&source, options)?,
        };
        data.goal.require(options.task)?;
        for (set, purpose) in [(&data.train, "train on"), (&data.test, "test on")] {
            if set.is_empty() {
                return Err(Failure::Run(format!("{source}: holds no examples to {purpose}")));
            }
        }
        task.augment.check(&data.train).map_err(|error| usage("--augment", error))?;
        data.goal.loss(task.loss)?;
        let data = validation.into_iter().try_fold(data, Self::held_out)?;
        let train = task.limit.map_or_else(|| data.train.clone(), |limit| data.train.first(limit));
        Self { train, ..data }.treated(options)
    }

    /// What a word stands for, of which there is no file that an option could be for.
    fn without_options(source: &Source, options: &DataOptions) -> Result<Self, Failure> {
        if let Some(option) = options.of_files() {
            return Err(usage(
                option,
                format!("it is for tables, arrays and pictures, and not for {source}"),
            ));
        }
        match &source.kind {
            Kind::Adding(made) => Ok(Self::made(*made, adding, Goal::Numbers { guess: Some(1.0 / 6.0) })),
            Kind::Copying(made) => {
                let guess = 10.0 * Float::ln(8.0_f64) / (made.steps + 20) as f64;
                Ok(Self::made(*made, copying, Goal::ClassOfEachStep { guess }))
            }
            Kind::Text { file, steps } => {
                let Text { train, test } = Text::load(file, *steps)?;
                Ok(Self::of([train, test], Goal::NextToken, Found::of("windows of bytes")))
            }
            Kind::Embedded(view) | Kind::Path(_, view) => {
                let Mnist { train, test } = Mnist::embedded();
                Self::of([train, test], Goal::Class, Found::of("digits")).viewed(*view)
            }
        }
    }

    fn of([train, test]: [Dataset; 2], goal: Goal, found: Found) -> Self {
        let treatment = Treatment::of_pixels(train.has_pixels());
        Self { train, validation: None, test, goal, treatment, found }
    }

    /// Whatever lies at a path; where it has no test set, a part of it becomes that.
    fn at(path: &Path, options: &DataOptions) -> Result<Self, Failure> {
        if matches!(std::fs::exists(path), Ok(false)) {
            let name = path.display().to_string();
            let there_is = did_you_mean(&name, "name one with data, or one of", WORDS);
            return Err(Failure::Run(format!(
                "{name}: no such file or folder; {there_is} {}",
                WORDS.join(", ")
            )));
        }
        let Loaded { train, test, learned, format, columns, words } =
            load(path, &options.of_loading()).map_err(|error| with_option(&error))?;
        let goal = match learned {
            Learned::Classes => Goal::Class,
            Learned::Numbers => Goal::Numbers { guess: None },
            Learned::NextToken => Goal::NextToken,
        };
        let is_folder_of_images = format == Format::Cifar || format == Format::Idx && path.is_dir();
        let noun = match format {
            Format::Text => "windows of bytes",
            _ if is_folder_of_images => "images",
            _ => "examples",
        };
        let is_split = test.is_none();
        let [train, test] = match test {
            Some(test) => [train, test],
            None => parts(&train, TEST_PART, goal).ok_or_else(|| {
                Failure::Run(format!("{}: one example; there must be one to test on, too", path.display()))
            })?,
        };
        let found = Found { noun, words: Some(words).filter(|_| !is_folder_of_images), is_split };
        let data = Self::of([train, test], goal, found);
        let treatment = data.treatment.clone().reading(options, columns);
        Ok(Self { treatment, ..data }.flat_targets())
    }

    /// Grids of numbers as targets flat, as the outputs of a network are.
    fn flat_targets(self) -> Self {
        match (self.goal, self.train.target_shape()) {
            (Goal::Numbers { .. }, Some(shape)) if shape.rank() != 1 => {
                self.map(|set| set.with_target_shape([shape.elements()]))
            }
            _ => self,
        }
    }

    /// Examples to train on, and a tenth of as many of another stream to test on.
    fn made(made: Made, make: fn(usize, usize, &Rng) -> Dataset, goal: Goal) -> Self {
        let Made { steps, examples, seed } = made;
        let rng = Rng::seed_from_u64(seed);
        let (train, test) = (rng.split(0), rng.split(1));
        let sets = [make(steps, examples, &train), make(steps, examples.div_ceil(10), &test)];
        Self::of(sets, goal, Found::of("sequences"))
    }

    /// The same with a part of the training set held out.
    fn held_out(self, part: f64) -> Result<Self, Failure> {
        match parts(&self.train, part, self.goal) {
            Some([train, validation]) => Ok(Self { train, validation: Some(validation), ..self }),
            None => Err(usage("--validation", "there is one example to train on, and none to hold out")),
        }
    }

    /// The same with all sets treated as is asked for, by what is known of the training set.
    fn treated(self, options: &DataOptions) -> Result<Self, Failure> {
        if !options.standardize {
            return Ok(self);
        }
        let treatment = self.treatment.clone().standardizing(&self.train).ok_or_else(|| {
            usage("--standardize", "numbers are shifted and scaled, and the inputs of these data are tokens")
        })?;
        let data = self.map(|set| treatment.apply(set));
        Ok(Self { treatment, ..data })
    }

    /// Images as sequences, if they are to be.
    fn viewed(self, view: View) -> Result<Self, Failure> {
        let shape = match (view, self.train.image_shape()) {
            (View::AsIs, _) => return Ok(self),
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

    /// The same with another view of all sets.
    pub(crate) fn map(self, view: impl Fn(Dataset) -> Dataset) -> Self {
        let Self { train, validation, test, .. } = self;
        Self { train: view(train), validation: validation.map(&view), test: view(test), ..self }
    }

    /// The loss that is trained by: what was asked for, or what the data are for.
    pub(crate) fn loss(&self, options: &TaskOptions) -> LossName {
        self.goal.loss(options.loss).unwrap_or_default()
    }

    /// What is trained for.
    pub(crate) fn task(&self, options: &TaskOptions) -> Box<dyn Task<Model> + Sync> {
        match self.goal {
            Goal::Class | Goal::ClassOfEachStep { .. } => Box::new(self.loss(options).task()),
            Goal::Numbers { .. } => Box::new(Regression::mse()),
            Goal::NextToken => Box::new(NextToken::new()),
        }
    }

    /// The samples as a model line takes them: images with channels, rows and columns, unless they are sequences.
    pub(crate) fn samples(&self) -> Samples {
        let shape = self.train.input_shape();
        match self.goal {
            Goal::Class | Goal::Numbers { .. } => {
                let image = self.train.image_shape().filter(|_| shape.rank() == 1);
                let numbers = || self.train.target_shape().map_or(0, |shape| shape.elements());
                let outputs = if self.goal == Goal::Class { self.train.classes() } else { numbers() };
                Samples::new(&image.map_or_else(|| shape.to_vec(), Vec::from), outputs)
            }
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
            Goal::Numbers { .. } => {
                let what = "optimizers are ranked by accuracy, and numbers have none; `train` shows the loss of each";
                Err(usage("--data", what))
            }
            _ => Ok(()),
        }
    }

    /// What was found, and how many examples are for what.
    pub(crate) fn in_words(&self, source: &Source) -> Vec<String> {
        let [train, test] = [&self.train, &self.test].map(|set| grouped(set.len()));
        let held_out = self.validation.as_ref().map(|set| format!("{} to validate on, ", grouped(set.len())));
        let samples = self.samples();
        let steps = match (samples.words(), samples.shape()) {
            (Some(words), [steps]) => format!("; {} steps, each one of {words} tokens", grouped(*steps)),
            (_, [steps, numbers]) => format!("; {} steps of {numbers}", grouped(*steps)),
            _ => String::new(),
        };
        let Found { noun, words, is_split } = &self.found;
        let (held_out, split) = (
            held_out.unwrap_or_default(),
            if *is_split { "; there is no test set, so a fifth was split off" } else { "" },
        );
        let standardized = match self.treatment.is_standardizing() {
            true => "; inputs standardized by those to train on",
            false => "",
        };
        let counts = format!("{train} {noun} to train on, {held_out}{test} to test on");
        words.iter().cloned().chain([format!("{counts} ({source}){steps}{split}{standardized}")]).collect()
    }
}

/// The examples but a part of them, and that; `None` where there are not two. Of classes, each has its part.
fn parts(all: &Dataset, part: f64, goal: Goal) -> Option<[Dataset; 2]> {
    if all.len() < 2 {
        return None;
    }
    let Split { train, validation } = match goal {
        Goal::Class => stratified_train_validation_split(all.labels(), part, SPLIT_SEED),
        _ => train_validation_split(all.len(), part, SPLIT_SEED),
    };
    Some([all.subset(&train), all.subset(&validation)])
}

/// What is wrong with data, and the option that there is for it.
fn with_option(error: &DataError) -> Failure {
    let option = match error {
        DataError::PictureSize { expected: [rows, columns], .. } => format!("--resize {rows}x{columns}"),
        DataError::Format { source: FormatError::Csv(error), .. } => match error {
            CsvError::NoTarget { .. } | CsvError::TwoTargets { .. } | CsvError::ManyClasses { .. } => {
                "--target NAME|NUMBER".to_owned()
            }
            CsvError::Word { place, .. } if place.line == 1 => {
                "--header true, or --target NAME|NUMBER".to_owned()
            }
            CsvError::Word { .. } => "--target NAME|NUMBER".to_owned(),
            CsvError::NoNumber { .. } => "--task classify, or --target NAME|NUMBER".to_owned(),
            CsvError::NoClass { .. } => "--task regress, or --target NAME|NUMBER".to_owned(),
            CsvError::OneColumn { .. } => "--delimiter SIGN".to_owned(),
            _ => String::new(),
        },
        DataError::Names { .. } => "--target NAME".to_owned(),
        DataError::Arrays { source: ArrayError::NoClasses { .. } | ArrayError::Fraction { .. }, .. } => {
            "--task regress".to_owned()
        }
        _ => String::new(),
    };
    Failure::Run(if option.is_empty() { error.to_string() } else { format!("{error} ({option})") })
}
