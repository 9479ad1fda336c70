//! MNIST and everything distributed in its form: four IDX files, gzipped or not.
//!
//! Loading checks what the format cannot: that images and labels belong together, that every label is a
//! class, that the test set's pictures have the size of the training set's. It downloads nothing.
//! Pictures may be of any size; those with colours have four axes, `[pictures, channels, rows, columns]`.
//! Fashion-MNIST and KMNIST, which kept the names and the ten classes, load as well; so do EMNIST, whose
//! pictures lie on their sides and whose letters are the classes 1 to 26, as in its files, and QMNIST.
//!
//! Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
//! recognition", Proceedings of the IEEE 86(11), 1998.

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::file::DataFile;
use crate::formats::idx::{ElementType, Idx};
use crate::formats::unpack_idx;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

/// Handwritten digits: pictures as rows of pixels between 0 and 1, the digit as label.
/// [`Dataset::as_images`] gives them the shape `[1, 28, 28]`.
///
/// ```no_run
/// use backflow_data::Mnist;
///
/// let mnist = Mnist::load("data/mnist")?;
/// assert_eq!((mnist.train.len(), mnist.test.len()), (60_000, 10_000));
/// # Ok::<(), backflow_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mnist {
    /// The examples to learn from.
    pub train: Dataset,
    /// The examples to judge by.
    pub test: Dataset,
}

impl Mnist {
    /// The number of classes of digits, 0 to 9, which a data set has at least.
    pub const CLASSES: usize = 10;

    /// Loads the four files from a directory.
    ///
    /// Names are those of the original distribution, `train-images-idx3-ubyte` and so on, or with a dot,
    /// `train-images.idx3-ubyte`; of images with colours `idx4` is in the place of `idx3`. Each may end in
    /// `.gz`, and something may stand before all of them, as in `emnist-letters-train-images-idx3-ubyte.gz`.
    /// Whether a file is compressed is seen from its bytes. A folder of such a name is passed over.
    ///
    /// # Errors
    /// If a file is missing, unreadable, damaged, or does not fit the others; the error names the file.
    pub fn load(directory: impl AsRef<Path>) -> Result<Self, DataError> {
        let directory = directory.as_ref();
        let (train_images, prefix) = DataFile::first(directory)?;
        let find =
            |what, stems: &[&str], kinds: &[&str]| DataFile::find(directory, what, &prefix, stems, kinds);
        let train_labels = find("training labels", &["train-labels"], &LABELS)?;
        let test_images = find("test images", &["t10k-images", "test-images"], &IMAGES)?;
        let test_labels = find("test labels", &["t10k-labels", "test-labels"], &LABELS)?;
        Self::from_files([train_images, train_labels, test_images, test_labels])
    }

    /// Whether a file of training images lies in this directory under one of the names that such have.
    #[must_use]
    pub fn is_in(directory: impl AsRef<Path>) -> bool {
        let names = names("", &["train-images"], &IMAGES);
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let mut files = entries.filter(|entry| !entry.path().is_dir()).map(|entry| entry.file_name());
        files.any(|file| {
            let file = file.to_string_lossy();
            !file.starts_with('.') && names.iter().any(|name| file.ends_with(&**name))
        })
    }

    /// From training images, training labels, test images, test labels.
    pub(crate) fn from_files(files: [DataFile; 4]) -> Result<Self, DataError> {
        let [train_images, train_labels, test_images, test_labels] = files;
        let labels = train_labels.labels()?;
        let classes = classes(&labels);
        let train = Labels { file: &train_labels, labels, classes };
        let test = Labels { file: &test_labels, labels: test_labels.labels()?, classes };
        let train = labelled_images(&train_images, &train, None)?;
        let test = labelled_images(&test_images, &test, train.image_shape())?;
        Ok(Self { train, test })
    }
}

/// How the names of files of images end; the second are those with colours.
const IMAGES: [&str; 2] = ["idx3-ubyte", "idx4-ubyte"];
/// How the names of files of labels end; the second are QMNIST's.
const LABELS: [&str; 2] = ["idx1-ubyte", "idx2-int"];

/// The names that a file may have.
fn names(prefix: &str, stems: &[&str], kinds: &[&str]) -> Vec<String> {
    let pairs = stems.iter().flat_map(|stem| kinds.iter().map(move |kind| (stem, kind)));
    let plain =
        pairs.flat_map(|(stem, kind)| ["-", "."].map(|separator| format!("{prefix}{stem}{separator}{kind}")));
    plain.flat_map(|name| [name.clone(), name + ".gz"]).collect()
}

/// How many classes there are: those of digits, or as many as the labels say, if each of these but 0 has several
/// examples. A label that stands alone is damage, not a class.
fn classes(labels: &[i64]) -> usize {
    let mut examples = [0_u8; 256];
    for &label in labels {
        if let Some(examples) = usize::try_from(label).ok().and_then(|label| examples.get_mut(label)) {
            *examples = examples.saturating_add(1);
        }
    }
    let after_first = examples[1..].iter().take_while(|&&examples| examples > 1).count();
    Mnist::CLASSES.max(1 + after_first)
}

/// The labels of one half, and how many classes there are.
struct Labels<'a> {
    file: &'a DataFile,
    labels: Vec<i64>,
    classes: usize,
}

impl DataFile {
    /// The training images, and what stands before the names of all files.
    fn first(directory: &Path) -> Result<(Self, String), DataError> {
        const STEMS: [&str; 1] = ["train-images"];
        let what = "training images";
        let missing = match Self::find(directory, what, "", &STEMS, &IMAGES) {
            Err(missing @ DataError::Missing { .. }) => missing,
            found => return Ok((found?, String::new())),
        };
        let names = names("-", &STEMS, &IMAGES);
        let entries = std::fs::read_dir(directory).into_iter().flatten();
        let found = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        // What begins with a point is no file of anyone's own.
        let found = found.filter(|found| !found.starts_with('.') && !directory.join(found).is_dir());
        let prefix = |found: String| {
            let name = names.iter().find(|name| found.ends_with(&**name))?;
            Some(found[..=found.len() - name.len()].to_owned())
        };
        // The same file may be there packed and unpacked.
        let prefixes: Vec<String> = found.filter_map(prefix).collect::<BTreeSet<_>>().into_iter().collect();
        match &prefixes[..] {
            [] => Err(missing),
            [only] => Ok((Self::find(directory, what, only, &STEMS, &IMAGES)?, only.clone())),
            _ => {
                let names =
                    prefixes.iter().map(|prefix| format!("{prefix}{}-{}", STEMS[0], IMAGES[0])).collect();
                Err(DataError::Several { what, directory: directory.to_owned(), names })
            }
        }
    }

    /// Reads the first file there is among these names.
    fn find(
        directory: &Path,
        what: &'static str,
        prefix: &str,
        stems: &[&str],
        kinds: &[&str],
    ) -> Result<Self, DataError> {
        let names = names(prefix, stems, kinds);
        for name in &names {
            if let Some(file) = Self::read(directory.join(name))? {
                return Ok(file);
            }
        }
        // Those of the original distribution; the others are theirs, changed.
        Err(DataError::Missing { what, directory: directory.to_owned(), names: names[..4].to_vec() })
    }

    /// The labels in this file: a byte each, or as QMNIST has them, eight numbers each of which the first is
    /// the class.
    fn labels(&self) -> Result<Vec<i64>, DataError> {
        let (bytes, found) = self.contents()?;
        match (found.element_type, &found.shape[..]) {
            (ElementType::U8, [_]) => Ok(bytes.iter().map(|&label| i64::from(label)).collect()),
            (ElementType::I32, [_, QMNIST_COLUMNS]) => {
                let rows = bytes.as_chunks::<{ 4 * QMNIST_COLUMNS }>().0.iter();
                Ok(rows.map(|row| i64::from(i32::from_be_bytes([row[0], row[1], row[2], row[3]]))).collect())
            }
            _ => Err(self.unexpected("labels (U8, 1-dimensional)", &found)),
        }
    }

    /// The pixels in this file, and how many pictures of how many channels, rows and columns they are.
    fn images(&self) -> Result<(Cow<'_, [u8]>, [usize; 4]), DataError> {
        let (bytes, found) = self.contents()?;
        let shape = match (found.element_type, &found.shape[..]) {
            (ElementType::U8, &[images, height, width]) => [images, 1, height, width],
            // Colours of a pixel side by side, which would be read as pictures three pixels wide.
            (ElementType::U8, &[_, rows, _, colours]) if colours <= MOST_COLOURS && rows > MOST_COLOURS => {
                return Err(self.unexpected("images with the axes pictures, channels, rows, columns", &found));
            }
            (ElementType::U8, &[images, channels, height, width]) => [images, channels, height, width],
            _ => return Err(self.unexpected("images (U8, 3- or 4-dimensional)", &found)),
        };
        Ok((bytes, shape))
    }

    fn unexpected(&self, expected: &str, Found { element_type, shape }: &Found) -> DataError {
        let found = format!("{element_type:?} of shape {shape:?}");
        DataError::Contents { path: self.path.clone(), expected: expected.to_owned(), found }
    }

    /// The elements of the IDX array in this file, as bytes, and what they are.
    fn contents(&self) -> Result<(Cow<'_, [u8]>, Found), DataError> {
        let failed = |source| DataError::Format { path: self.path.clone(), source };
        let file = unpack_idx(&self.bytes).map_err(failed)?;
        let idx = Idx::parse(&file).map_err(|error| failed(error.into()))?;
        let shape = idx.shape().iter().map(|&size| size as usize).collect();
        let found = Found { element_type: idx.element_type(), shape };
        let header_len = file.len() - idx.as_bytes().len();
        let elements = match file {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[header_len..]),
            Cow::Owned(mut bytes) => {
                bytes.drain(..header_len);
                Cow::Owned(bytes)
            }
        };
        Ok((elements, found))
    }
}

/// What an IDX file holds.
struct Found {
    element_type: ElementType,
    shape: Vec<usize>,
}

/// The digit, where it comes from, and who wrote it.
const QMNIST_COLUMNS: usize = 8;

/// Red, green, blue and opacity.
const MOST_COLOURS: usize = 4;

/// One half of MNIST.
fn labelled_images(
    images: &DataFile,
    Labels { file, labels, classes }: &Labels<'_>,
    expected: Option<[usize; 3]>,
) -> Result<Dataset, DataError> {
    let (pixels, [n_images, image @ ..]) = images.images()?;
    if let Some(expected) = expected.filter(|&expected| expected != image) {
        return Err(DataError::Contents {
            path: images.path.clone(),
            expected: format!("images of {} pixels like the training set's", by(expected)),
            found: format!("images of {}", by(image)),
        });
    }
    if labels.len() != n_images {
        return Err(DataError::CountMismatch {
            images_path: images.path.clone(),
            images: n_images,
            labels_path: file.path.clone(),
            labels: labels.len(),
        });
    }
    let class = |&label: &i64| u8::try_from(label).ok().filter(|&label| usize::from(label) < *classes);
    let Some(classes_of) = labels.iter().map(class).collect::<Option<Vec<u8>>>() else {
        let index = labels.iter().position(|label| class(label).is_none()).unwrap_or_default();
        return Err(DataError::Label {
            path: file.path.clone(),
            index,
            value: labels[index],
            classes: *classes,
        });
    };
    let images = Dataset::from_pixels(pixels.into_owned(), image.iter().product(), &classes_of, *classes);
    Ok(images.with_image_shape(image))
}

/// The size of a picture in words.
fn by([channels, height, width]: [usize; 3]) -> String {
    match channels {
        1 => format!("{height} by {width}"),
        _ => format!("{channels} by {height} by {width}"),
    }
}
