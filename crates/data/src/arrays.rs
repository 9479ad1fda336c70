//! Data sets of arrays in files: NPY and IDX, a file each for inputs and targets; NPZ and safetensors, one file for all.
//!
//! [`labelled`](crate::ArrayError) says which arrays those can be; bytes are pixels, integers are classes, floats are numbers.

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::file::{DataFile, open};
use crate::formats::array::Array;
use crate::formats::idx::Idx;
use crate::formats::npy;
use crate::formats::npz::Npz;
use crate::formats::safetensors::Safetensors;
use crate::formats::targets::Goal;
use crate::formats::{FormatError, unpack_idx};
use crate::labelled::Labelled;
use backflow_tensor::quote::quoted;
use std::path::{Path, PathBuf};

/// What inputs and targets are called in files of several arrays; the names of a test set, where there are such.
const NAMES: [([&str; 2], Option<[&str; 2]>); 11] = [
    (["x", "y"], None),
    (["X", "y"], None),
    (["X", "Y"], None),
    (["x_train", "y_train"], Some(["x_test", "y_test"])),
    (["X_train", "y_train"], Some(["X_test", "y_test"])),
    (["train_images", "train_labels"], Some(["test_images", "test_labels"])),
    (["inputs", "targets"], None),
    (["images", "labels"], None),
    (["features", "labels"], None),
    (["data", "target"], None),
    (["arr_0", "arr_1"], None),
];

/// A training set, and a test set if there is one.
pub(crate) type Sets = (Dataset, Option<Dataset>);

/// Data sets of arrays in files.
impl Dataset {
    /// The arrays of two NPY files: inputs `[n, …]` and targets `[n]`, `[n, 1]` or, to be met, `[n, …]`.
    ///
    /// Inputs of type `u8` are pixels, 0 to 255 for 0 to 1, and stay bytes; all others become `f32`. Targets that are
    /// integers are classes, others are numbers, unless `goal` says otherwise: see
    /// [`formats::targets`](crate::formats::targets). Of an NPZ file with both see [`from_npz`](Self::from_npz).
    ///
    /// ```no_run
    /// use backflow_data::Dataset;
    ///
    /// let digits = Dataset::from_npy("x.npy", "y.npy", None)?;
    /// # Ok::<(), backflow_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// If a file is missing or damaged, the arrays do not fit each other, or a number is not finite.
    pub fn from_npy(
        inputs: impl AsRef<Path>,
        targets: impl AsRef<Path>,
        goal: Option<Goal>,
    ) -> Result<Self, DataError> {
        let files = [inputs.as_ref().to_owned(), targets.as_ref().to_owned()];
        of_files(&files, None, goal, read_npy).map(|(train, _)| train)
    }

    /// The arrays of two IDX files, of any type of elements, as [`from_npy`](Self::from_npy) takes them. Of a folder with
    /// the four files of MNIST see [`Mnist::load`](crate::Mnist::load).
    ///
    /// # Errors
    /// Like [`from_npy`](Self::from_npy).
    pub fn from_idx(
        inputs: impl AsRef<Path>,
        targets: impl AsRef<Path>,
        goal: Option<Goal>,
    ) -> Result<Self, DataError> {
        let files = [inputs.as_ref().to_owned(), targets.as_ref().to_owned()];
        of_files(&files, None, goal, read_idx).map(|(train, _)| train)
    }

    /// The arrays `x` and `y` of an NPZ file, or under other names that are common: `x_train`, `images`, `data`, `arr_0`, …
    /// The training set, if there are two; [`load`](crate::load) gives both. Otherwise like [`from_npy`](Self::from_npy).
    ///
    /// # Errors
    /// Like [`from_npy`](Self::from_npy), or if there are no arrays of such names.
    pub fn from_npz(path: impl AsRef<Path>, goal: Option<Goal>) -> Result<Self, DataError> {
        of_npz(&DataFile::need(path.as_ref(), "arrays")?, goal).map(|(train, _)| train)
    }

    /// The tensors `x` and `y` of a safetensors file, or under the names that [`from_npz`](Self::from_npz) knows.
    ///
    /// # Errors
    /// Like [`from_npz`](Self::from_npz).
    pub fn from_safetensors(path: impl AsRef<Path>, goal: Option<Goal>) -> Result<Self, DataError> {
        of_safetensors(&DataFile::need(path.as_ref(), "tensors")?, goal).map(|(train, _)| train)
    }
}

/// The array of a file of one.
type Read = fn(&Path) -> Result<Array, DataError>;

pub(crate) fn read_npy(path: &Path) -> Result<Array, DataError> {
    let (mut file, len) = open(path)?;
    let array =
        npy::read(&mut file, len).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    array.map_err(|error| DataError::Format { path: path.to_owned(), source: error.into() })
}

pub(crate) fn read_idx(path: &Path) -> Result<Array, DataError> {
    let file = DataFile::need(path, "array")?;
    let bytes = unpack_idx(&file.bytes).map_err(|error| file.failed(error))?;
    Idx::parse(&bytes).map(|idx| Array::of_idx(&idx)).map_err(|error| file.failed(error))
}

/// The files of inputs and of targets.
pub(crate) type Pair = [PathBuf; 2];

/// Sets whose inputs and targets have files of their own.
pub(crate) fn of_files(
    train: &Pair,
    test: Option<&Pair>,
    goal: Option<Goal>,
    read: Read,
) -> Result<Sets, DataError> {
    let both = |[inputs, targets]: &Pair| Ok::<_, DataError>([read(inputs)?, read(targets)?]);
    let failed = |source| DataError::Arrays { path: train[0].clone(), source };
    Labelled::pair(both(train)?, test.map(both).transpose()?, goal).map_err(failed)
}

/// The files of arrays that are called so, and those of the test set if they are there; of all known names those that
/// `are_there` says.
pub(crate) fn known_names(
    are_there: impl Fn(&[&str; 2]) -> bool,
) -> Option<([&'static str; 2], Option<[&'static str; 2]>)> {
    let (train, test) = NAMES.into_iter().find(|(train, _)| are_there(train))?;
    Some((train, test.filter(are_there)))
}

pub(crate) fn of_npz(file: &DataFile, goal: Option<Goal>) -> Result<Sets, DataError> {
    let npz = Npz::parse(&file.bytes).map_err(|error| file.failed(error))?;
    let names: Vec<&str> = npz.names().collect();
    sets(file, &names, goal, |name| npz.array(name).map(|array| array.map_err(FormatError::from)))
}

pub(crate) fn of_safetensors(file: &DataFile, goal: Option<Goal>) -> Result<Sets, DataError> {
    let tensors = Safetensors::parse(&file.bytes).map_err(|error| file.failed(error))?;
    sets(file, &tensors.names(), goal, |name| {
        tensors.array(name).map(|array| array.map_err(FormatError::from))
    })
}

/// The arrays under the first of the names that are there.
fn sets(
    file: &DataFile,
    names: &[&str],
    goal: Option<Goal>,
    array: impl Fn(&str) -> Option<Result<Array, FormatError>>,
) -> Result<Sets, DataError> {
    let are_there = |pair: &[&str; 2]| pair.iter().all(|name| names.contains(name));
    let Some((train, test)) = known_names(are_there) else {
        let some: Vec<&str> = names.iter().take(20).copied().collect();
        return Err(DataError::Contents {
            path: file.path.clone(),
            expected: "the arrays x and y".to_owned(),
            found: match &some[..] {
                [] => "no arrays".to_owned(),
                some => format!("the arrays {}", quoted(&some.join(", "))),
            },
        });
    };
    let read = |[inputs, targets]: [&str; 2]| {
        let one = |name| {
            let missing = || DataError::Contents {
                path: file.path.clone(),
                expected: format!("an array {name}"),
                found: "none".to_owned(),
            };
            array(name).ok_or_else(missing)?.map_err(|error| file.failed(error))
        };
        Ok::<_, DataError>([one(inputs)?, one(targets)?])
    };
    let test = test.map(read).transpose()?;
    let failed = |source| DataError::Arrays { path: file.path.clone(), source };
    Labelled::pair(read(train)?, test, goal).map_err(failed)
}
