//! [`Pictures`]: a folder of pictures, whose subfolders are the classes.
//!
//! ```text
//! folder/cat/0.png, …    folder/dog/0.jpg, …                             a data set
//! folder/train/cat/0.png, …    folder/test/cat/0.png, …                  a training set and a test set
//! ```
//!
//! The test set may also be called `testing`, `val`, `valid`, `validation` or `dev`; of several the first of these is taken.
//! Classes are in the order of their names, and so are the pictures of each. Pixels stay bytes until there is a batch of
//! them. What it refuses: pictures of several sizes, unless one size is asked for, and files that are no pictures; names that
//! begin with a point and what Windows leaves in folders are passed over.

use crate::column::Column;
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::file::DataFile;
use crate::formats::picture::Picture;
use crate::labelled::planes;
use backflow_tensor::{Shape, Tensor};
use std::path::{Path, PathBuf};

/// How pictures are to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PictureOptions {
    /// The rows and columns that each picture is made to have; without them all must have the same.
    pub resize: Option<[usize; 2]>,
}

/// Pictures in PNG or JPEG files, one folder per class: rows of pixels between 0 and 1, of colours all reds before all greens
/// before all blues. [`Dataset::as_images`] gives them the shape `[1, rows, columns]` or `[3, rows, columns]`.
///
/// Where any picture has colours, grey ones get three equal channels.
///
/// ```no_run
/// use backflow_data::{PictureOptions, Pictures};
///
/// let animals = Pictures::load("data/animals", &PictureOptions { resize: Some([64, 64]) })?;
/// assert_eq!(animals.train.class_names().unwrap(), ["cat", "dog"]);
/// # Ok::<(), backflow_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pictures {
    /// The examples to learn from.
    pub train: Dataset,
    /// The examples to judge by, if the folder has them apart.
    pub test: Option<Dataset>,
}

/// What the folder of the training set is called.
const TRAIN: [&str; 2] = ["train", "training"];
/// What that of the test set is called; of several the first.
const TEST: [&str; 6] = ["test", "testing", "val", "valid", "validation", "dev"];

impl Pictures {
    /// Loads all pictures below a folder.
    ///
    /// # Errors
    /// If there are none, a file is none or damaged, or sizes differ; the error names the file.
    pub fn load(folder: impl AsRef<Path>, options: &PictureOptions) -> Result<Self, DataError> {
        let folder = folder.as_ref();
        let (train, test) = halves(folder)?;
        let class_names = folders(&train)?;
        let no_pictures = |folder: &Path| DataError::NoPictures { folder: folder.to_owned() };
        let mut all = Loading { options, first: None, colours: false };
        let train_half = all.half(&train, &class_names, true)?;
        let test_half = match &test {
            None => None,
            Some(test) => {
                let unknown = folders(test)?.into_iter().find(|name| !class_names.contains(name));
                if let Some(class) = unknown {
                    return Err(DataError::UnknownClassFolder { folder: test.join(class), train });
                }
                Some(all.half(test, &class_names, false)?)
            }
        };
        let Some((_, size)) = &all.first else { return Err(no_pictures(folder)) };
        if let Some((test, _)) =
            test.as_ref().zip(test_half.as_ref()).filter(|(_, half)| half.labels.is_empty())
        {
            return Err(no_pictures(test));
        }
        let dataset = |half: Half| half.dataset(*size, all.colours, &class_names);
        Ok(Self { train: dataset(train_half), test: test_half.map(dataset) })
    }

    /// Whether a folder has subfolders with pictures in them, in one of the two layouts.
    #[must_use]
    pub fn is_in(folder: impl AsRef<Path>) -> bool {
        let has_pictures = |folder: &Path| {
            let names = folders(folder).unwrap_or_default();
            names.iter().any(|name| {
                let files = files(&folder.join(name)).unwrap_or_default();
                files.iter().any(|file| has_picture_name(file))
            })
        };
        halves(folder.as_ref()).is_ok_and(|(train, _)| has_pictures(&train))
    }
}

/// Whether a name ends as those of pictures do.
pub(crate) fn has_picture_name(path: &Path) -> bool {
    let end = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    matches!(&*end, "png" | "jpg" | "jpeg" | "jpe" | "jfif")
}

/// The folder of the training set, and that of the test set if they are apart.
fn halves(folder: &Path) -> Result<(PathBuf, Option<PathBuf>), DataError> {
    let names = folders(folder)?;
    let find = |known: &[&str]| {
        known.iter().find(|known| names.iter().any(|name| name == **known)).map(|name| folder.join(name))
    };
    Ok(match find(&TRAIN) {
        // A folder of that name alone may be a class, if others stand beside it.
        Some(train) if names.iter().all(|name| TRAIN.contains(&&**name) || TEST.contains(&&**name)) => {
            (train, find(&TEST))
        }
        _ => (folder.to_owned(), None),
    })
}

/// The names of the folders in a folder, sorted.
fn folders(folder: &Path) -> Result<Vec<String>, DataError> {
    let mut names: Vec<String> =
        entries(folder)?.into_iter().filter(|path| path.is_dir()).filter_map(name).collect();
    names.sort_unstable();
    Ok(names)
}

/// The files in a folder, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let is_file = |path: &PathBuf| {
        !path.is_dir() && !matches!(name(path.clone()).as_deref(), Some("Thumbs.db" | "desktop.ini"))
    };
    let mut files: Vec<PathBuf> = entries(folder)?.into_iter().filter(is_file).collect();
    files.sort_unstable();
    Ok(files)
}

/// What is in a folder and is not hidden.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::Io { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed));
    let is_seen = |path: &Result<PathBuf, DataError>| {
        path.as_ref().map_or(true, |path| !name(path.clone()).is_some_and(|name| name.starts_with('.')))
    };
    paths.filter(is_seen).collect()
}

fn name(path: PathBuf) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// What all pictures must have in common.
struct Loading<'a> {
    options: &'a PictureOptions,
    /// The first picture, and its rows and columns.
    first: Option<(PathBuf, [usize; 2])>,
    /// Whether any has colours.
    colours: bool,
}

/// The pictures of a training or test set.
#[derive(Default)]
struct Half {
    /// In planes, one picture after another.
    pixels: Vec<u8>,
    /// How many channels each picture has.
    channels: Vec<u8>,
    labels: Vec<i64>,
}

impl Loading<'_> {
    fn half(&mut self, folder: &Path, class_names: &[String], is_complete: bool) -> Result<Half, DataError> {
        let mut half = Half::default();
        for (label, class) in class_names.iter().enumerate() {
            let folder = folder.join(class);
            let files = if folder.is_dir() { files(&folder)? } else { Vec::new() };
            if files.is_empty() && is_complete {
                return Err(DataError::NoPictures { folder });
            }
            for path in files {
                let picture = self.picture(&path)?;
                half.pixels.extend(planes(&picture.pixels, picture.rows * picture.columns, picture.channels));
                half.channels.push(picture.channels as u8);
                half.labels.push(label as i64);
            }
        }
        Ok(half)
    }

    /// One picture, of the size that all have.
    fn picture(&mut self, path: &Path) -> Result<Picture, DataError> {
        let file = DataFile::need(path, "picture")?;
        let mut picture = Picture::decode(&file.bytes).map_err(|error| file.failed(error))?;
        if let Some([rows, columns]) = self.options.resize {
            picture = picture.resized(rows, columns);
        }
        self.colours |= picture.channels > 1;
        let found = [picture.rows, picture.columns];
        let (first, size) = self.first.get_or_insert_with(|| (path.to_owned(), found));
        if *size != found {
            let (first, expected) = (first.clone(), *size);
            return Err(DataError::PictureSize { path: path.to_owned(), found, first, expected });
        }
        Ok(picture)
    }
}

impl Half {
    fn dataset(self, [rows, columns]: [usize; 2], colours: bool, class_names: &[String]) -> Dataset {
        let Self { pixels, channels, labels } = self;
        let size = rows * columns;
        let (pixels, image) = match colours {
            false => (pixels, [1, rows, columns]),
            true if channels.iter().all(|&channels| channels == 3) => (pixels, [3, rows, columns]),
            true => (in_colours(&pixels, &channels, size), [3, rows, columns]),
        };
        let inputs = Column::of_pixels(pixels, Shape::new(&[image.iter().product()]));
        let dataset = Dataset::of_columns(labels.len(), inputs, Column::of_tensor(&Tensor::from(labels)));
        dataset.with_image_shape(image).with_classes(class_names.len()).with_class_names(class_names.to_vec())
    }
}

/// Pictures of one or three channels with three channels each.
fn in_colours(mut pixels: &[u8], channels: &[u8], size: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(channels.len() * size * 3);
    for &channels in channels {
        let (picture, rest) = pixels.split_at(size * usize::from(channels));
        (0..3 / channels).for_each(|_| all.extend_from_slice(picture));
        pixels = rest;
    }
    all
}
