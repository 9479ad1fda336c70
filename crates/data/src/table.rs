//! [`Csv`]: a table of text as a data set, with what its columns are called.

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::file::DataFile;
use crate::formats::csv::{CsvOptions, Table};
use crate::formats::targets::{Classes, Targets};
use crate::labelled::of_classes;
use backflow_tensor::Tensor;
use std::path::Path;

/// The rows of a CSV file: the columns but one are features, that one is what they should lead to.
///
/// [`formats::csv`](crate::formats::csv) says what is found by itself and what is refused. Targets that are numbers have the
/// shape `[1]`, as a model's output has.
///
/// ```no_run
/// use backflow_data::Csv;
/// use backflow_data::formats::csv::CsvOptions;
///
/// let train = Csv::load("wine-train.csv", &CsvOptions::default())?;
/// assert_eq!(train.dataset.features(), 11);
/// // The test set's classes have the numbers of the training set's.
/// let test = Csv::load("wine-test.csv", &CsvOptions { classes: train.classes.clone(), ..CsvOptions::default() })?;
/// # Ok::<(), backflow_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Csv {
    /// The rows, with the names of classes, if targets are classes.
    pub dataset: Dataset,
    /// The classes, if targets are some, for a test set to be read with.
    pub classes: Option<Classes>,
    /// The names of the features, if there is a header.
    pub columns: Option<Vec<String>>,
    /// The name of the target, if there is a header.
    pub target: Option<String>,
}

impl Csv {
    /// Reads the file at `path`, which may be compressed by gzip.
    ///
    /// # Errors
    /// If it cannot be read, or is no such table; the error names the file, the line and the column.
    pub fn load(path: impl AsRef<Path>, options: &CsvOptions) -> Result<Self, DataError> {
        Self::of(&DataFile::need(path.as_ref(), "table")?, options)
    }

    pub(crate) fn of(file: &DataFile, options: &CsvOptions) -> Result<Self, DataError> {
        let text = file.unpacked()?;
        let table = Table::parse(&text, options).map_err(|error| file.failed(error))?;
        let Table { columns, target, width, features, targets } = table;
        let rows = features.len() / width.max(1);
        let inputs = Tensor::from_vec(features, [rows, width]);
        let (dataset, classes) = match targets {
            Targets::Numbers(numbers) => {
                (Dataset::from_tensors(&inputs, &Tensor::from_vec(numbers, [rows, 1])), None)
            }
            Targets::Classes(labels, classes) => {
                let dataset = Dataset::from_tensors(&inputs, &Tensor::from(labels));
                (of_classes(dataset, &classes), Some(classes))
            }
        };
        Ok(Self { dataset, classes, columns, target })
    }
}

impl Dataset {
    /// The rows of a CSV file; see [`Csv::load`], which also tells what columns are called.
    ///
    /// # Errors
    /// Like [`Csv::load`].
    pub fn from_csv(path: impl AsRef<Path>, options: &CsvOptions) -> Result<Self, DataError> {
        Csv::load(path, options).map(|csv| csv.dataset)
    }
}
