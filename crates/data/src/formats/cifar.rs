//! The binary files of CIFAR-10 and CIFAR-100: pictures one after another, without a header.
//!
//! ```text
//! CIFAR-10     label 0 to 9                                   then the picture: 3,073 bytes each
//! CIFAR-100    coarse label 0 to 19, fine label 0 to 99       then the picture: 3,074 bytes each
//! a picture    1,024 reds, 1,024 greens, 1,024 blues; each 32 rows of 32, so [3, 32, 32] in row-major order
//! ```
//!
//! Nothing says what such a file is but its length and its labels; both are looked at before a picture is
//! handed out. Parsing copies nothing. Source: the section "Binary version" of A. Krizhevsky's page about
//! CIFAR.

/// The channels, rows and columns of a picture.
pub const IMAGE: [usize; 3] = [3, 32, 32];

/// The bytes of a picture.
const PIXELS: usize = 3 * 32 * 32;

/// Why bytes are not such a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CifarError {
    /// There is no picture, or not all of the last one.
    #[error(
        "byte {found}: the data end here but {expected} bytes are needed, as a label with its picture takes \
         {record}; the file is cut short, fetch it again, or it is not CIFAR's binary version"
    )]
    Truncated {
        /// The number of bytes that would be whole pictures.
        expected: usize,
        /// The number of bytes there are.
        found: usize,
        /// The bytes of one picture with what stands before it.
        record: usize,
    },
    /// A label names no class.
    #[error(
        "byte {offset}: picture {picture} has the label {value}, expected 0 to {}; the file is damaged or not \
         CIFAR's binary version", classes.saturating_sub(1)
    )]
    Label {
        /// Where the label stands.
        offset: usize,
        /// Which picture, counted from 0.
        picture: usize,
        /// The label.
        value: u8,
        /// The number of classes.
        classes: u8,
    },
}

/// Pictures with their labels, of which all are classes.
///
/// ```
/// use backflow_data::formats::cifar::Pictures;
///
/// let file = [&[9][..], &[128; 3072], &[0], &[255; 3072]].concat();
/// let pictures = Pictures::parse(&file, &[10])?;
/// assert_eq!(pictures.iter().map(|(label, _)| label).collect::<Vec<_>>(), [9, 0]);
/// assert!(Pictures::parse(&file[1..], &[10]).is_err());
/// # Ok::<(), backflow_data::formats::cifar::CifarError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pictures<'a> {
    bytes: &'a [u8],
    labels: usize,
}

impl<'a> Pictures<'a> {
    /// The pictures in a file that has one label before each for every entry of `classes`, which says how many
    /// classes that label chooses from: `[10]` for CIFAR-10, `[20, 100]` for CIFAR-100.
    ///
    /// # Errors
    /// If there is no picture, if the file ends within one, or if a label is none.
    pub fn parse(bytes: &'a [u8], classes: &[u8]) -> Result<Self, CifarError> {
        let pictures = Self { bytes, labels: classes.len() };
        let (record, found) = (pictures.record(), bytes.len());
        let whole = found.checked_next_multiple_of(record).unwrap_or(usize::MAX).max(record);
        if found < whole {
            return Err(CifarError::Truncated { expected: whole, found, record });
        }
        for (picture, bytes) in bytes.chunks_exact(record).enumerate() {
            let mut labels = bytes.iter().zip(classes).enumerate();
            if let Some((at, (&value, &classes))) = labels.find(|(_, (value, classes))| value >= classes) {
                let offset = picture.saturating_mul(record).saturating_add(at);
                return Err(CifarError::Label { offset, picture, value, classes });
            }
        }
        Ok(pictures)
    }

    /// The label right before each picture, and its pixels.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u8, &'a [u8])> {
        let labels = self.labels;
        self.bytes.chunks_exact(self.record()).map(move |bytes| {
            let (labels, pixels) = bytes.split_at_checked(labels).unwrap_or_default();
            (labels.last().copied().unwrap_or_default(), pixels)
        })
    }

    /// The bytes of one picture with what stands before it.
    fn record(&self) -> usize {
        self.labels.saturating_add(PIXELS)
    }
}
