//! What can go wrong with data from outside: one error type, which names the file.

use crate::format::Format;
use crate::formats::FormatError;
use crate::labelled::ArrayError;
use backflow_tensor::quote::quoted;
use std::io;
use std::path::PathBuf;

/// Why a data set could not be loaded. Nothing is left half loaded: there is a data set, or there is this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// None of the names that a file may have exists.
    #[error(
        "{}: no file with the {what}; looked for {}; put one of them there, or train on the embedded digits",
        directory.display(), names.join(", ")
    )]
    Missing {
        /// What the file holds.
        what: &'static str,
        /// Where it was looked for.
        directory: PathBuf,
        /// Under which names.
        names: Vec<String>,
    },
    /// Several files could be meant.
    #[error("{}: several files with the {what}: {}; give each data set a folder of its own", directory.display(), names.join(", "))]
    Several {
        /// What they hold.
        what: &'static str,
        /// Where they are.
        directory: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// The operating system could not read a file.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is longer than any data set of this kind.
    #[error(
        "{}: longer than {limit} bytes, which is more than this reader takes; is it the right file?",
        path.display()
    )]
    FileTooLong {
        /// The file.
        path: PathBuf,
        /// The most bytes a file may have.
        limit: u64,
    },
    /// A file is damaged, or of another format.
    #[error("{}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with its bytes.
        source: FormatError,
    },
    /// A file is valid but holds some other array than the one needed.
    #[error("{}: holds {found}, expected {expected}; is it the right file?", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// Arrays are no data set.
    #[error("{}: {source}", path.display())]
    Arrays {
        /// The file, or that of the inputs.
        path: PathBuf,
        /// What is wrong with them.
        source: ArrayError,
    },
    /// A file of several arrays has none under the names of inputs and targets.
    #[error("{}: {problem}", path.display())]
    Names {
        /// The file.
        path: PathBuf,
        /// Which are missing, and which there are.
        problem: String,
    },
    /// A test set has other columns than its training set, or in another order.
    #[error(
        "{}: a column \"{}\", where {} has \"{}\"; both need the same columns in one order",
        path.display(), quoted(found), train.display(), quoted(expected)
    )]
    Columns {
        /// The file of the test set.
        path: PathBuf,
        /// What a column is called.
        found: String,
        /// That of the training set.
        train: PathBuf,
        /// What the column is called there.
        expected: String,
    },
    /// A folder, whose subfolders should hold the pictures of a class each, has none.
    #[error("{}: no pictures; put those of each class, PNG or JPEG, into a folder of its own below", folder.display())]
    NoPictures {
        /// The folder.
        folder: PathBuf,
    },
    /// Pictures are of several sizes.
    #[error(
        "{}: {} by {} pixels, but {} has {} by {}; resize them all to one size",
        path.display(), found[1], found[0], first.display(), expected[1], expected[0]
    )]
    PictureSize {
        /// The picture.
        path: PathBuf,
        /// Its rows and columns.
        found: [usize; 2],
        /// The first picture.
        first: PathBuf,
        /// The rows and columns of that.
        expected: [usize; 2],
    },
    /// A class of the test set is none of the training set's.
    #[error("{}: a class that the training set has not; {} has no folder of this name", folder.display(), train.display())]
    UnknownClassFolder {
        /// The folder of the class.
        folder: PathBuf,
        /// That of the training set.
        train: PathBuf,
    },
    /// A file or folder holds nothing that is known here.
    #[error(
        "{}: {found}; known are CSV, NPY, NPZ, safetensors and IDX files, text, and folders of IDX files as MNIST's, of \
         CIFAR's, of pictures by class, or with x.npy and y.npy or train.csv", path.display()
    )]
    Unknown {
        /// The file or folder.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// An option says something that these data have not.
    #[error("{}: {option} is asked for, but this is {format}, which {why}", path.display())]
    Option {
        /// The file or folder.
        path: PathBuf,
        /// What was asked for.
        option: &'static str,
        /// What was found.
        format: Format,
        /// Why there is none.
        why: &'static str,
    },
    /// There are not as many labels as images.
    #[error(
        "{}: {labels} labels, but {} holds {images} images; the two files do not belong together",
        labels_path.display(), images_path.display()
    )]
    CountMismatch {
        /// The file of images.
        images_path: PathBuf,
        /// How many images it holds.
        images: usize,
        /// The file of labels.
        labels_path: PathBuf,
        /// How many labels it holds.
        labels: usize,
    },
    /// A label names no class.
    #[error(
        "{}: label {index} is {value}, expected 0 to {}; the file is damaged or not a label file",
        path.display(), classes - 1
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// Which label, counted from 0.
        index: usize,
        /// Its value.
        value: i64,
        /// The number of classes.
        classes: usize,
    },
}
