//! Real digits that travel inside the library, for examples and tests that need no download.
//!
//! 5,000 pictures of MNIST's training set, 500 of each digit, split into 4,000 to train on and 1,000 to test
//! on. `embedded/README.md` beside this crate's sources says where they come from, under which terms, and how
//! the split was made; `scripts/make_embedded_digits.py` makes the files.

use crate::file::DataFile;
use crate::mnist::Mnist;
use std::borrow::Cow;

/// One of the embedded files, under the path that messages would show.
macro_rules! embedded {
    ($name:literal) => {
        DataFile {
            path: concat!("embedded/", $name).into(),
            bytes: Cow::Borrowed(include_bytes!(concat!("../embedded/", $name))),
        }
    };
}

impl Mnist {
    /// 4,000 digits to train on and 1,000 to test on, with as many of each class: a small MNIST.
    ///
    /// The test digits belong to MNIST's *training* set and there are a fifteenth as many to train on, so
    /// accuracies measured here are not MNIST accuracies. Unpacking takes some 20 ms; keep the result.
    ///
    /// ```
    /// let digits = backflow_data::Mnist::embedded();
    /// assert_eq!((digits.train.len(), digits.test.len()), (4000, 1000));
    /// assert_eq!(digits.train.class_counts(), [400; 10]);
    /// assert_eq!(digits.train.image_shape(), Some([1, 28, 28]));
    /// ```
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "the bytes are part of the program; tests read them")]
    pub fn embedded() -> Self {
        Self::from_files([
            embedded!("train-images-idx3-ubyte.gz"),
            embedded!("train-labels-idx1-ubyte.gz"),
            embedded!("t10k-images-idx3-ubyte.gz"),
            embedded!("t10k-labels-idx1-ubyte.gz"),
        ])
        .expect("the embedded digits are intact")
    }
}
