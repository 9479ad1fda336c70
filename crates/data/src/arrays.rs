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
use crate::labelled::{ArrayError, Labelled};
use backflow_tensor::quote::{quoted, told};
use backflow_tensor::spelling::did_you_mean_name;
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
        of_npz(&DataFile::need(path.as_ref(), "arrays")?, None, goal).map(|(train, _)| train)
    }

    /// The tensors `x` and `y` of a safetensors file, or under the names that [`from_npz`](Self::from_npz) knows.
    ///
    /// # Errors
    /// Like [`from_npz`](Self::from_npz).
    pub fn from_safetensors(path: impl AsRef<Path>, goal: Option<Goal>) -> Result<Self, DataError> {
        of_safetensors(&DataFile::need(path.as_ref(), "tensors")?, None, goal).map(|(train, _)| train)
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
    let failed = |source| match (test, source) {
        // The path says it.
        (Some([path, _]), ArrayError::Test(source)) => {
            DataError::Arrays { path: path.clone(), source: *source }
        }
        (_, source) => DataError::Arrays { path: train[0].clone(), source },
    };
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

/// The arrays of a file, of which `target` may name that of the targets.
pub(crate) fn of_npz(file: &DataFile, target: Option<&str>, goal: Option<Goal>) -> Result<Sets, DataError> {
    let npz = Npz::parse(&file.bytes).map_err(|error| file.failed(error))?;
    let names: Vec<&str> = npz.names().collect();
    sets(file, &names, target, goal, |name| npz.array(name).map(|array| array.map_err(FormatError::from)))
}

/// The tensors of a file, like the arrays of [`of_npz`].
pub(crate) fn of_safetensors(
    file: &DataFile,
    target: Option<&str>,
    goal: Option<Goal>,
) -> Result<Sets, DataError> {
    let tensors = Safetensors::parse(&file.bytes).map_err(|error| file.failed(error))?;
    sets(file, &tensors.names(), target, goal, |name| {
        tensors.array(name).map(|array| array.map_err(FormatError::from))
    })
}

/// The names of inputs and targets of two sets of arrays.
type Names<'a> = ([&'a str; 2], Option<[&'a str; 2]>);

/// The arrays under the first of the names that are there, or under `target` and the name of inputs that goes with it.
fn sets(
    file: &DataFile,
    names: &[&str],
    target: Option<&str>,
    goal: Option<Goal>,
    array: impl Fn(&str) -> Option<Result<Array, FormatError>>,
) -> Result<Sets, DataError> {
    let (train, test) = match target {
        None => known_names(|pair| pair.iter().all(|name| names.contains(name))),
        Some(target) => names_with(target, names),
    }
    .ok_or_else(|| no_names(file, names, target))?;
    let read = |[inputs, targets]: [&str; 2]| {
        let one = |name| {
            let missing = || no_names(file, names, target);
            array(name).ok_or_else(missing)?.map_err(|error| file.failed(error))
        };
        Ok::<_, DataError>([one(inputs)?, one(targets)?])
    };
    let test = test.map(read).transpose()?;
    let failed = |source| DataError::Arrays { path: file.path.clone(), source };
    Labelled::pair(read(train)?, test, goal).map_err(failed)
}

/// The names of which `target` is that of the targets: known ones, or this one beside the only other array, or beside the
/// only other one under a name that inputs have.
fn names_with<'a>(target: &'a str, names: &[&'a str]) -> Option<Names<'a>> {
    let is_there = |name: &&str| names.contains(name);
    let are_there = |pair: &[&'static str; 2]| pair.iter().all(is_there);
    if !is_there(&target) {
        return None;
    }
    if let Some((train, test)) = NAMES.into_iter().find(|(train, _)| train[1] == target && are_there(train)) {
        return Some((train, test.filter(are_there)));
    }
    // Those of a test set go with its own inputs.
    if let Some(test) = NAMES.into_iter().filter_map(|(_, test)| test).find(|test| test[1] == target) {
        return are_there(&test).then_some((test, None));
    }
    let only = |names: &mut dyn Iterator<Item = &'a str>| names.next().filter(|_| names.next().is_none());
    let mut others = names.iter().copied().filter(|name| *name != target);
    let is_of_inputs = |name: &&str| NAMES.iter().any(|([inputs, _], _)| inputs == name);
    let inputs = only(&mut others)
        .or_else(|| only(&mut names.iter().copied().filter(|name| *name != target && is_of_inputs(name))));
    inputs.map(|inputs| ([inputs, target], None))
}

/// No arrays under names that are known, or none of the name that was asked for, or none of inputs beside it.
fn no_names(file: &DataFile, names: &[&str], target: Option<&str>) -> DataError {
    let there_are = "there are".to_owned();
    let (problem, there_are, what_to_do) = match target {
        None => ("no arrays x and y".to_owned(), there_are, "; say which holds the targets"),
        Some(target) if names.contains(&target) => {
            let problem = format!("no array x beside the targets {}", quoted(target));
            (problem, there_are, "; call that of the inputs x")
        }
        Some(target) => {
            let problem = format!("no array \"{}\" to be the target", quoted(target));
            (problem, did_you_mean_name(target, "there are", names.iter().copied()), "")
        }
    };
    // More than a screen is no help.
    let some: Vec<&str> = names.iter().take(50).copied().collect();
    let problem = match &some[..] {
        [] => format!("{problem}; there are none"),
        some => format!("{problem}; {there_are} {}{what_to_do}", told(&some.join(", "))),
    };
    DataError::Names { path: file.path.clone(), problem }
}
