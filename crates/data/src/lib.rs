//! File formats, data sets, preprocessing and loaders.
//!
//! The road of the data, one module per station:
//!
//! 1. [`formats`]: bytes to arrays. Parsers that a hostile file cannot crash, stall or bloat.
//! 2. [`Mnist`], [`Cifar`]: files to a training and a test set of pictures, checked against each other. 5,000
//!    real digits come with the library ([`Mnist::embedded`]), so that every example runs without a download.
//!    [`Pictures`] are folders of PNG and JPEG files, [`Csv`] a table, [`Text`] a file byte by byte; NPY, NPZ, IDX and
//!    safetensors hold arrays ([`Dataset::from_npy`] and its like). [`load()`] finds out what lies at a path. [`adding`] and
//!    [`copying`] are made, to see what a network remembers.
//! 3. [`Dataset`]: examples in memory, with inputs and targets of any shape and type, cheap to clone.
//! 4. [`Standardize`], [`MinMax`], [`one_hot`]: fitted on the training set, applied to any.
//! 5. [`train_validation_split`], [`KFold`]: which examples train and which validate.
//! 6. [`Loader`]: batches of tensors, in an order that is a function of seed and epoch alone; with [`Augment`],
//!    of pictures that are a little different in every epoch.
//!
//! ```
//! use backflow_data::{Loader, Mnist, Standardize};
//!
//! let Mnist { train, test } = Mnist::embedded();
//! let scale = Standardize::fit_global(&train);
//! let (train, test) = (scale.transform(train), scale.transform(test));
//!
//! let loader = Loader::new(&train, 64).shuffle(7);
//! let first = loader.epoch(0).next().unwrap();
//! assert_eq!(first.inputs.shape(), [64, 784]);
//! assert_eq!(first.targets.shape(), [64]);
//! # assert_eq!(test.len(), 1000);
//! ```
//!
//! What the crate refuses to do: download anything, read anything lazily from disk, hide randomness. Data
//! must fit in memory; errors in files are values of [`DataError`], errors in the calling program panic.

#![forbid(unsafe_code)]

mod adding;
mod arrays;
mod augment;
mod batch;
mod cifar;
mod column;
mod copying;
mod dataset;
mod digits;
mod error;
#[cfg(feature = "ndarray")]
mod exchange;
mod file;
mod format;
pub mod formats;
mod from_fn;
mod labelled;
mod load;
mod loader;
mod mnist;
mod pictures;
mod preprocess;
mod split;
mod table;
mod text;

pub use adding::adding;
pub use augment::{Augment, AugmentError};
pub use batch::Batch;
pub use cifar::Cifar;
pub use copying::copying;
pub use dataset::Dataset;
pub use error::DataError;
#[cfg(feature = "ndarray")]
pub use exchange::{from_ndarray, to_ndarray};
pub use format::Format;
pub use labelled::ArrayError;
pub use load::{Learned, LoadOptions, Loaded, load};
pub use loader::{Epoch, Loader};
pub use mnist::Mnist;
pub use pictures::{PictureOptions, Pictures};
pub use preprocess::{MinMax, Standardize, one_hot};
pub use split::{KFold, Split, stratified_train_validation_split, train_validation_split};
pub use table::Csv;
pub use text::Text;
