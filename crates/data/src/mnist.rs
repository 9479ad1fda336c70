//! MNIST and everything distributed in its form: four IDX files, gzipped or not.
//!
//! Loading checks what the format cannot: that images and labels belong together, that every label is a
//! digit, that the test set's pictures have the size of the training set's. It downloads nothing.
//! Fashion-MNIST and KMNIST, which kept the names and the ten classes, load as well.
//!
//! Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
//! recognition", Proceedings of the IEEE 86(11), 1998.

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::formats::gzip::MAX_OUTPUT_LEN;
use crate::formats::idx::{ElementType, Idx};
use crate::formats::unpack_idx;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// No file may be longer than this, compressed or not.
const MAX_FILE_LEN: u64 = MAX_OUTPUT_LEN as u64;

/// Handwritten digits: pictures as rows of pixels between 0 and 1, the digit as label.
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
    /// The number of rows of a picture.
    pub height: usize,
    /// The number of columns of a picture.
    pub width: usize,
}

impl Mnist {
    /// The number of classes: the digits 0 to 9.
    pub const CLASSES: usize = 10;

    /// Loads the four files from a directory.
    ///
    /// Names are those of the original distribution, `train-images-idx3-ubyte` and so on, or with a dot,
    /// `train-images.idx3-ubyte`; each may end in `.gz`. Whether a file is compressed is seen from its bytes.
    ///
    /// # Errors
    /// If a file is missing, unreadable, damaged, or does not fit the others; the error names the file.
    pub fn load(directory: impl AsRef<Path>) -> Result<Self, DataError> {
        let directory = directory.as_ref();
        Self::from_files([
            MnistFile::find(directory, "training images", "train-images", "idx3-ubyte")?,
            MnistFile::find(directory, "training labels", "train-labels", "idx1-ubyte")?,
            MnistFile::find(directory, "test images", "t10k-images", "idx3-ubyte")?,
            MnistFile::find(directory, "test labels", "t10k-labels", "idx1-ubyte")?,
        ])
    }

    /// From training images, training labels, test images, test labels.
    pub(crate) fn from_files(files: [MnistFile; 4]) -> Result<Self, DataError> {
        let [train_images, train_labels, test_images, test_labels] = files;
        let (train, height, width) = labelled_images(&train_images, &train_labels, None)?;
        let (test, ..) = labelled_images(&test_images, &test_labels, Some([height, width]))?;
        Ok(Self { train, test, height, width })
    }
}

/// A file's bytes and what to call it in messages.
#[derive(Debug)]
pub(crate) struct MnistFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Cow<'static, [u8]>,
}

impl MnistFile {
    /// Reads the first file there is among the four names.
    fn find(directory: &Path, what: &'static str, stem: &str, kind: &str) -> Result<Self, DataError> {
        let names = [
            format!("{stem}-{kind}"),
            format!("{stem}-{kind}.gz"),
            format!("{stem}.{kind}"),
            format!("{stem}.{kind}.gz"),
        ];
        for name in &names {
            let path = directory.join(name);
            match read(&path, MAX_FILE_LEN) {
                Ok(Some(bytes)) => return Ok(Self { path, bytes: Cow::Owned(bytes) }),
                Ok(None) => return Err(DataError::FileTooLong { path, limit: MAX_FILE_LEN }),
                Err(source) if source.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(DataError::Io { path, source }),
            }
        }
        Err(DataError::Missing { what, directory: directory.to_owned(), names: names.into() })
    }

    /// The bytes of the IDX array in this file, which must have `rank` axes, and its shape.
    fn array(&self, rank: usize, what: &str) -> Result<(Cow<'_, [u8]>, Vec<usize>), DataError> {
        let failed = |source| DataError::Format { path: self.path.clone(), source };
        let file = unpack_idx(&self.bytes).map_err(failed)?;
        let idx = Idx::parse(&file).map_err(|error| failed(error.into()))?;
        if idx.element_type() != ElementType::U8 || idx.shape().len() != rank {
            return Err(DataError::Contents {
                path: self.path.clone(),
                expected: format!("{what} (U8, {rank}-dimensional)"),
                found: format!("{:?} of shape {:?}", idx.element_type(), idx.shape()),
            });
        }
        let shape = idx.shape().iter().map(|&size| size as usize).collect();
        let header_len = file.len() - idx.as_bytes().len();
        let elements = match file {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[header_len..]),
            Cow::Owned(mut bytes) => {
                bytes.drain(..header_len);
                Cow::Owned(bytes)
            }
        };
        Ok((elements, shape))
    }
}

/// All bytes of a file, or nothing if they are more than `limit`.
fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    // A device or a pipe has no length that could be known before.
    let len = file.metadata()?.len();
    if len > limit {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(len as usize);
    let read = file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((read as u64 <= limit).then_some(bytes))
}

/// One half of MNIST, with the height and width of its pictures.
fn labelled_images(
    images: &MnistFile,
    labels: &MnistFile,
    expected_size: Option<[usize; 2]>,
) -> Result<(Dataset, usize, usize), DataError> {
    let (pixels, shape) = images.array(3, "images")?;
    let (n_images, height, width) = (shape[0], shape[1], shape[2]);
    if let Some(expected) = expected_size.filter(|&expected| expected != [height, width]) {
        return Err(DataError::Contents {
            path: images.path.clone(),
            expected: format!("images of {} by {} pixels like the training set's", expected[0], expected[1]),
            found: format!("images of {height} by {width}"),
        });
    }
    let (digits, _) = labels.array(1, "labels")?;
    if digits.len() != n_images {
        return Err(DataError::CountMismatch {
            images_path: images.path.clone(),
            images: n_images,
            labels_path: labels.path.clone(),
            labels: digits.len(),
        });
    }
    if let Some(index) = digits.iter().position(|&digit| usize::from(digit) >= Mnist::CLASSES) {
        let (path, value) = (labels.path.clone(), digits[index]);
        return Err(DataError::Label { path, index, value, classes: Mnist::CLASSES });
    }
    Ok((Dataset::from_pixels(pixels.into_owned(), height * width, &digits, Mnist::CLASSES), height, width))
}

#[cfg(test)]
mod tests {
    use super::read;
    use std::io::Write;
    use std::path::Path;

    #[test]
    fn a_file_may_be_as_long_as_the_limit_and_no_longer() {
        for (len, fits) in [(0, true), (9, true), (10, true), (11, false)] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&vec![7; len]).unwrap();
            assert_eq!(read(file.path(), 10).unwrap(), fits.then(|| vec![7; len]), "{len} bytes");
        }
        if cfg!(unix) {
            // It says that it has no length, and has no end.
            assert_eq!(read(Path::new("/dev/zero"), 10).unwrap(), None);
        }
    }
}
