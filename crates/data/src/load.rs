//! [`load`]: a data set from a path, whatever lies there.

use crate::arrays;
use crate::cifar::Cifar;
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::file::DataFile;
use crate::format::{Format, Found};
use crate::formats::csv::CsvOptions;
use crate::formats::targets::Goal;
use crate::mnist::Mnist;
use crate::pictures::{PictureOptions, Pictures};
use crate::table::Csv;
use crate::text::Text;
use backflow_tensor::quote::{clipped, told};
use std::path::Path;

/// What is to be known of data beyond what they say. Each is for some formats, and refused for the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Of a table, the column of targets by its name or its number, counted from 1; the last if not said. Of a file of
    /// several arrays, the name of that of the targets.
    pub target: Option<String>,
    /// Whether classes or numbers are to be learned; found if not said. Of a text it is the next byte.
    pub goal: Option<Goal>,
    /// Of pictures, the rows and columns that each is made to have.
    pub resize: Option<[usize; 2]>,
    /// Of a table, whether the first line names the columns; found if not said.
    pub header: Option<bool>,
    /// Of a table, what stands between cells; found if not said.
    pub delimiter: Option<u8>,
    /// Of a text, how many steps a window has; 64 if not said.
    pub steps: Option<usize>,
}

/// What is to be learned from data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Which class an example is of.
    Classes,
    /// Numbers, in the shape of the targets.
    Numbers,
    /// The next byte of a text.
    NextToken,
}

/// A data set, and what it was found to be.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The examples to learn from, with the [names of their classes](Dataset::class_names) if there are any.
    pub train: Dataset,
    /// The examples to judge by, if the source has them apart; otherwise see [`Split`](crate::Split).
    pub test: Option<Dataset>,
    /// What is to be learned.
    pub learned: Learned,
    /// What lies at the path.
    pub format: Format,
    /// Of a table with a header, the names of the inputs, and of the target.
    pub columns: Option<(Vec<String>, String)>,
    /// The same in one line for people, without the path.
    pub words: String,
}

/// How many steps a window of text has.
const STEPS: usize = 64;

/// Loads what lies at a path: a file or folder of any [`Format`], which its content tells.
///
/// ```no_run
/// use backflow_data::{LoadOptions, load};
///
/// let loaded = load("iris.csv", &LoadOptions::default())?;
/// println!("{}", loaded.words);
/// # Ok::<(), backflow_data::DataError>(())
/// ```
///
/// ```text
/// CSV: 150 examples of 4 numbers (sepal length, sepal width, petal length, petal width), to learn species, which of 3
/// classes (setosa, versicolor, virginica)
/// ```
///
/// # Errors
/// If nothing is there or nothing that is known, if it is damaged, or an option is not for its format.
pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Loaded, DataError> {
    let path = path.as_ref();
    let found = Found::at(path)?;
    let format = found.format();
    options.check(path, format)?;
    let mut columns = None;
    let target = options.target.as_deref();
    let (train, test) = match &found {
        Found::Table { train: file, test } => {
            let train = Csv::of(file, &options.csv())?;
            let test = test.as_ref().map(|test| table_of_test(test, &train, file, options)).transpose()?;
            columns = train.columns.zip(train.target);
            (train.dataset, test)
        }
        Found::Npy { train, test } => arrays::of_files(train, test.as_ref(), options.goal, arrays::read_npy)?,
        Found::IdxFiles { train, test } => {
            arrays::of_files(train, test.as_ref(), options.goal, arrays::read_idx)?
        }
        Found::Npz(file) => arrays::of_npz(file, target, options.goal)?,
        Found::Safetensors(file) => arrays::of_safetensors(file, target, options.goal)?,
        Found::IdxFolder => {
            let Mnist { train, test } = Mnist::load(path)?;
            (train, Some(test))
        }
        Found::Cifar => {
            let Cifar { train, test, .. } = Cifar::load(path)?;
            (train, Some(test))
        }
        Found::Pictures => {
            let Pictures { train, test } = Pictures::load(path, &PictureOptions { resize: options.resize })?;
            (train, test)
        }
        Found::Text(file) => {
            let steps = options.steps.unwrap_or(STEPS);
            let Text { train, test } =
                Text::of(&file.bytes, steps).ok_or_else(|| Text::too_short(file, steps))?;
            (train, Some(test))
        }
    };
    let learned = match format {
        Format::Text => Learned::NextToken,
        _ if train.classes() > 0 => Learned::Classes,
        _ => Learned::Numbers,
    };
    let words = words(format, &train, test.as_ref(), learned, columns.as_ref());
    Ok(Loaded { train, test, learned, format, columns, words })
}

/// The table of a test set: with the classes of its training set, and its columns.
fn table_of_test(
    file: &DataFile,
    train: &Csv,
    train_file: &DataFile,
    options: &LoadOptions,
) -> Result<Dataset, DataError> {
    // Without classes, the training set's targets are numbers.
    let goal = Some(if train.classes.is_some() { Goal::Classify } else { Goal::Regress });
    let test = Csv::of(file, &CsvOptions { goal, classes: train.classes.clone(), ..options.csv() })?;
    let (width, found) = (train.dataset.features(), test.dataset.features());
    if found != width {
        return Err(DataError::Contents {
            path: file.path.clone(),
            expected: format!("{width} features like the training set's"),
            found: found.to_string(),
        });
    }
    let names = |csv: &Csv| {
        let columns = csv.columns.iter().flatten();
        columns.chain(&csv.target).cloned().collect::<Vec<_>>()
    };
    match names(train).into_iter().zip(names(&test)).find(|(expected, found)| expected != found) {
        None => Ok(test.dataset),
        Some((expected, found)) => {
            let (path, train) = (file.path.clone(), train_file.path.clone());
            Err(DataError::Columns { path, found, train, expected })
        }
    }
}

impl LoadOptions {
    fn csv(&self) -> CsvOptions {
        let Self { target, goal, header, delimiter, .. } = self.clone();
        CsvOptions { header, delimiter, target, goal, classes: None }
    }

    /// Refuses what the format has no use for: who asks for it means something else.
    fn check(&self, path: &Path, format: Format) -> Result<(), DataError> {
        let is_table = format == Format::Csv;
        let has_names = is_table || matches!(format, Format::Npz | Format::Safetensors);
        let has_classes_only =
            matches!(format, Format::Cifar | Format::Pictures) || format == Format::Idx && path.is_dir();
        let wrong = [
            (
                self.target.is_some() && !has_names,
                "a name of the target",
                "has no columns or arrays with names",
            ),
            (self.header.is_some() && !is_table, "a header", "has no lines"),
            (self.delimiter.is_some() && !is_table, "a delimiter", "has no cells"),
            (self.resize.is_some() && format != Format::Pictures, "another size", "is not resized"),
            (self.steps.is_some() && format != Format::Text, "a number of steps", "is not cut into windows"),
            (self.goal.is_some() && format == Format::Text, "a goal", "is learned byte by byte"),
            (self.goal == Some(Goal::Regress) && has_classes_only, "numbers to learn", "has classes"),
        ];
        match wrong.into_iter().find(|(is_wrong, ..)| *is_wrong) {
            None => Ok(()),
            Some((_, option, why)) => Err(DataError::Option { path: path.to_owned(), option, format, why }),
        }
    }
}

/// The most characters of a list of names, and of one name.
const LIST: usize = 120;
const NAME: usize = 40;

fn words(
    format: Format,
    train: &Dataset,
    test: Option<&Dataset>,
    learned: Learned,
    columns: Option<&(Vec<String>, String)>,
) -> String {
    let list = |names: &[String]| {
        let some: Vec<&str> = names.iter().take(LIST).map(String::as_str).collect();
        clipped(&some.join(", "), LIST).into_owned()
    };
    let counts = match test {
        Some(test) => {
            format!("{} to train on and {} to test on", counted(train.len(), "example"), test.len())
        }
        None => counted(train.len(), "example"),
    };
    let inputs = match (format, train.image_shape()) {
        (Format::Text, _) => format!("{} bytes", train.features().saturating_sub(1)),
        (_, Some([channels, rows, columns])) => {
            let colours = if channels == 1 { String::new() } else { format!(" in {channels} channels") };
            format!("{columns} by {rows} pixels{colours}")
        }
        _ => match (columns, &train.input_shape()[..]) {
            (Some((names, _)), _) => format!("{} ({})", counted(train.features(), "number"), list(names)),
            (None, [_]) => counted(train.features(), "number"),
            (None, shape) => format!("{} numbers", by(shape)),
        },
    };
    let target = columns.map(|(_, name)| &**name).filter(|name| !name.is_empty());
    let target = target.map(|name| clipped(name, NAME).into_owned());
    let goal = match learned {
        Learned::NextToken => "the next byte".to_owned(),
        Learned::Numbers => match (target, train.target_shape().map_or(1, |shape| shape.elements())) {
            (Some(name), _) => format!("{name}, a number"),
            (None, 1) => "a number".to_owned(),
            (None, _) => {
                format!("{} numbers", train.target_shape().map_or(String::new(), |shape| by(&shape)))
            }
        },
        Learned::Classes => {
            let names = train.class_names().map_or(String::new(), |names| format!("({})", list(names)));
            let name = target.map_or(String::new(), |name| format!("{name}, "));
            format!("{name}which of {} {names}", counted(train.classes(), "class")).trim_end().to_owned()
        }
    };
    told(&format!("{format}: {counts} of {inputs}, to learn {goal}")).into_owned()
}

/// A shape as people write it: 3x32x32.
fn by(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

fn counted(count: usize, what: &str) -> String {
    match (count, what.ends_with('s')) {
        (1, _) => format!("1 {what}"),
        (_, true) => format!("{count} {what}es"),
        _ => format!("{count} {what}s"),
    }
}
