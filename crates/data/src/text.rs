//! [`Text`]: the bytes of a text in windows, to predict the next of.

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::file::DataFile;
use backflow_tensor::Tensor;
use std::path::Path;

/// A text, byte by byte: what language models of characters learn (Sutskever et al. 2011, "Generating text with recurrent
/// neural networks"). Its last tenth is held out.
///
/// Both sets are windows `[steps + 1]` of class ids, bytes, of 256 classes, without targets: a model sees `steps` of them and
/// predicts the next of each. Windows share a byte with the next one, so that each byte but the first is predicted once;
/// what fills no window at the end of a set is left out.
///
/// ```
/// use backflow_data::Text;
///
/// let text = Text::of(b"To be, or not to be, that is the question:", 3).unwrap();
/// assert_eq!((text.train.len(), text.test.len()), (12, 1));
/// assert_eq!(text.train.input_shape().to_vec(), [4]);
/// ```
#[derive(Clone, Debug)]
pub struct Text {
    /// The windows of all but the last tenth.
    pub train: Dataset,
    /// Those of the last tenth.
    pub test: Dataset,
}

impl Text {
    /// The classes: all bytes.
    pub const CLASSES: usize = 256;

    /// Reads the file at `path`, of any encoding.
    ///
    /// # Errors
    /// If it cannot be read, or its last tenth has not the bytes of one window.
    pub fn load(path: impl AsRef<Path>, steps: usize) -> Result<Self, DataError> {
        let path = path.as_ref();
        let file = DataFile::need(path, "text")?;
        Self::of(&file.bytes, steps).ok_or_else(|| Self::too_short(&file, steps))
    }

    pub(crate) fn too_short(file: &DataFile, steps: usize) -> DataError {
        DataError::Contents {
            path: file.path.clone(),
            expected: format!("at least {} bytes for windows of {steps} steps, or fewer steps", least(steps)),
            found: format!("{} bytes", file.bytes.len()),
        }
    }

    /// The windows of these bytes; `None` if the last tenth of them has not the bytes of one, or there are no steps.
    #[must_use]
    pub fn of(bytes: &[u8], steps: usize) -> Option<Self> {
        let (train, test) = bytes.split_at(bytes.len() - bytes.len() / 10);
        let is_enough = steps > 0 && test.len() > steps;
        is_enough.then(|| Self { train: windows(train, steps), test: windows(test, steps) })
    }
}

/// How many bytes are enough.
fn least(steps: usize) -> usize {
    steps.saturating_add(1).saturating_mul(10)
}

fn windows(bytes: &[u8], steps: usize) -> Dataset {
    let count = (bytes.len() - 1) / steps;
    let windows = (0..count).flat_map(|nth| &bytes[nth * steps..=(nth + 1) * steps]);
    let ids = windows.map(|&byte| i64::from(byte)).collect();
    Dataset::unlabelled(&Tensor::from_vec(ids, [count, steps + 1])).with_classes(Text::CLASSES)
}
