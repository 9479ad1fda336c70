//! CIFAR-10 and CIFAR-100 from the files of their binary versions.
//!
//! ```text
//! cifar-10-batches-bin     data_batch_1.bin … data_batch_5.bin    test_batch.bin    batches.meta.txt
//! cifar-100-binary         train.bin                              test.bin          fine_label_names.txt
//! ```
//!
//! A. Krizhevsky, "Learning multiple layers of features from tiny images", technical report, University of
//! Toronto, 2009.

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::file::DataFile;
use crate::formats::cifar::{IMAGE, Pictures};
use std::path::Path;

/// Small photographs: rows of 3,072 pixels between 0 and 1, all reds before all greens before all blues, with
/// what they show as label. [`Dataset::as_images`] gives them the shape `[3, 32, 32]`.
///
/// ```no_run
/// use backflow_data::Cifar;
///
/// let cifar = Cifar::load("data/cifar-10-batches-bin")?;
/// assert_eq!((cifar.train.len(), cifar.test.len()), (50_000, 10_000));
/// assert_eq!(cifar.class_names[3], "cat");
/// # Ok::<(), backflow_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cifar {
    /// The examples to learn from.
    pub train: Dataset,
    /// The examples to judge by.
    pub test: Dataset,
    /// What each class is; of CIFAR-100 the fine ones. Both data sets know it as well.
    pub class_names: Vec<String>,
}

/// One of the two sets.
struct Form {
    train: &'static [&'static str],
    test: &'static str,
    class_names: &'static str,
    /// How many classes each label before a picture chooses from; the last label is the one that counts.
    labels: &'static [u8],
}

const FORMS: [Form; 2] = [
    Form {
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
        class_names: "batches.meta.txt",
        labels: &[10],
    },
    Form { train: &["train.bin"], test: "test.bin", class_names: "fine_label_names.txt", labels: &[20, 100] },
];

impl Cifar {
    /// Whether a file of training images lies in this directory under the name that one of the two sets has
    /// for it.
    #[must_use]
    pub fn is_in(directory: impl AsRef<Path>) -> bool {
        Form::of(directory.as_ref()).is_some()
    }

    /// Loads CIFAR-10 or CIFAR-100, with its fine labels, whichever lies in the directory.
    ///
    /// # Errors
    /// If a file is missing, unreadable or damaged; the error names the file.
    pub fn load(directory: impl AsRef<Path>) -> Result<Self, DataError> {
        let directory = directory.as_ref();
        let Some(form) = Form::of(directory) else {
            let names = FORMS.iter().map(|form| form.train[0].to_owned()).collect();
            return Err(DataError::Missing { what: TRAINING, directory: directory.to_owned(), names });
        };
        let train = form.images(directory, TRAINING, form.train)?;
        let test = form.images(directory, "test images", &[form.test])?;
        let class_names = form.class_names(directory)?;
        let [train, test] = [train, test].map(|set| set.with_class_names(class_names.clone()));
        Ok(Self { train, test, class_names })
    }
}

const TRAINING: &str = "training images";

impl Form {
    fn of(directory: &Path) -> Option<&'static Self> {
        FORMS.iter().find(|form| form.train.iter().any(|name| directory.join(name).is_file()))
    }

    fn classes(&self) -> usize {
        self.labels.last().map_or(0, |&classes| classes.into())
    }

    /// The pictures of these files, one file after another.
    fn images(&self, directory: &Path, what: &'static str, names: &[&str]) -> Result<Dataset, DataError> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for name in names {
            let DataFile { path, bytes } = find(directory, what, name)?;
            let pictures = Pictures::parse(&bytes, self.labels)
                .map_err(|error| DataError::Format { path, source: error.into() })?;
            pixels.reserve_exact(bytes.len());
            for (label, picture) in pictures.iter() {
                labels.push(label);
                pixels.extend_from_slice(picture);
            }
        }
        let images = Dataset::from_pixels(pixels, IMAGE.iter().product(), &labels, self.classes());
        Ok(images.with_image_shape(IMAGE))
    }

    /// One name a line; empty lines, as the file of CIFAR-10 ends with, are none.
    fn class_names(&self, directory: &Path) -> Result<Vec<String>, DataError> {
        let DataFile { path, bytes } = find(directory, "names of the classes", self.class_names)?;
        let classes = self.classes();
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        // One more is enough to know that there are too many.
        let names: Vec<String> = lines.take(classes + 1).map(str::to_owned).collect();
        if names.len() == classes {
            return Ok(names);
        }
        let found = if names.len() > classes { "more".to_owned() } else { names.len().to_string() };
        Err(DataError::Contents {
            path,
            expected: format!("the names of {classes} classes, one a line"),
            found,
        })
    }
}

/// The file of this name.
fn find(directory: &Path, what: &'static str, name: &str) -> Result<DataFile, DataError> {
    DataFile::read(directory.join(name))?.ok_or_else(|| DataError::Missing {
        what,
        directory: directory.to_owned(),
        names: vec![name.to_owned()],
    })
}
