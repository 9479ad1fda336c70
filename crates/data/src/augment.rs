//! [`Augment`]: pictures a little different in every epoch, so that a model learns what stays the same.
//!
//! ```text
//! shift:n    x'[c, i, j] = x[c, i − a, j − b], 0 where that lies outside;  a and b each from −n to n, equally likely
//! flip       x'[c, i, j] = x[c, i, W − 1 − j] with probability ½, after the shift
//! ```
//!
//! A shift by up to n is what others call a random crop from the picture padded with n zeros (He et al. 2016,
//! "Deep residual learning for image recognition", with `shift:4,flip` on CIFAR-10). What is drawn for a
//! picture is a function of seed, epoch and the picture's place in the data set, and of nothing else.

use crate::dataset::Dataset;
use backflow_tensor::quote::quoted;
use backflow_tensor::spelling::did_you_mean;
use backflow_tensor::{DType, Element, Rng, Tensor};
use std::fmt;
use std::str::FromStr;

/// How pictures to train on are changed: [`Loader::augment`](crate::Loader::augment) does it. Nothing, unless
/// told otherwise. Written as `shift:2,flip`, either of the two, or `none`.
///
/// Zeros are numbers of the inputs as they are: black in pictures from 0 to 1, the mean in standardized ones.
///
/// ```
/// use backflow_data::Augment;
///
/// let augment: Augment = "flip,shift:2".parse()?;
/// assert_eq!(augment, Augment::none().shift(2).flip());
/// assert_eq!(augment.to_string(), "shift:2,flip");
/// assert!("filp".parse::<Augment>().unwrap_err().to_string().contains("did you mean flip?"));
/// # Ok::<(), backflow_data::AugmentError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augment {
    shift: u16,
    flip: bool,
}

impl Augment {
    /// Pictures as they are.
    #[must_use]
    pub const fn none() -> Self {
        Self { shift: 0, flip: false }
    }

    /// Shifts by up to so many pixels up or down, and by up to so many to the left or right.
    #[must_use]
    pub const fn shift(self, pixels: u16) -> Self {
        Self { shift: pixels, ..self }
    }

    /// Turns left and right around, every second time.
    #[must_use]
    pub const fn flip(self) -> Self {
        Self { flip: true, ..self }
    }

    /// Whether pictures stay as they are.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.shift == 0 && !self.flip
    }

    /// Whether these data can be changed so.
    ///
    /// # Errors
    /// If the inputs are not pictures of floating-point numbers, or a shift could leave nothing of one.
    pub fn check(self, data: &Dataset) -> Result<(), AugmentError> {
        let image = data.image_shape().filter(|_| data.input_dtype().is_float());
        match image {
            _ if self.is_none() => Ok(()),
            None => Err(AugmentError::NoImages { found: format!("{data:?}") }),
            Some([_, height, width]) if usize::from(self.shift) >= height.min(width) => {
                Err(AugmentError::TooFar { shift: self.shift, height, width })
            }
            Some(_) => Ok(()),
        }
    }

    /// Changes a batch of pictures, each by its own stream.
    pub(crate) fn change(self, batch: &mut Tensor, image: [usize; 3], streams: impl Iterator<Item = Rng>) {
        match batch.dtype() {
            DType::F64 => self.change_each(batch.as_mut_slice::<f64>(), image, streams),
            _ => self.change_each(batch.as_mut_slice::<f32>(), image, streams),
        }
    }

    fn change_each<T: Element + Default>(
        self,
        batch: &mut [T],
        [channels, height, width]: [usize; 3],
        streams: impl Iterator<Item = Rng>,
    ) {
        let reach = isize::try_from(self.shift).unwrap_or(0);
        for (picture, mut rng) in batch.chunks_exact_mut(channels * height * width).zip(streams) {
            let [down, right] = [(); 2].map(|()| rng.below(2 * reach.unsigned_abs() + 1) as isize - reach);
            let flips = self.flip && rng.below(2) == 1;
            for plane in picture.chunks_exact_mut(height * width) {
                shift(plane, width, down, right);
                if flips {
                    plane.chunks_exact_mut(width).for_each(<[T]>::reverse);
                }
            }
        }
    }
}

/// Moves the rows of `plane` down and its columns to the right, fewer than there are, with zeros behind them.
fn shift<T: Copy + Default>(plane: &mut [T], width: usize, down: isize, right: isize) {
    let (len, zero) = (plane.len(), T::default());
    // In one piece: what goes over the end of a row comes to lie where a zero will be.
    let by = down * width as isize + right;
    let distance = by.unsigned_abs();
    match by {
        0 => {}
        1.. => plane.copy_within(..len - distance, distance),
        _ => plane.copy_within(distance.., 0),
    }
    let rows = down.unsigned_abs() * width;
    let columns = right.unsigned_abs();
    if down > 0 { &mut plane[..rows] } else { &mut plane[len - rows..] }.fill(zero);
    if columns > 0 {
        for row in plane.chunks_exact_mut(width) {
            if right > 0 { &mut row[..columns] } else { &mut row[width - columns..] }.fill(zero);
        }
    }
}

/// What can be written, with an example of the pixels.
const WORDS: [&str; 3] = ["none", "shift:2", "flip"];

/// A word without its pixels.
fn name_of(word: &str) -> &str {
    word.split(':').next().unwrap_or_default()
}

impl FromStr for Augment {
    type Err = AugmentError;

    fn from_str(text: &str) -> Result<Self, AugmentError> {
        if text.trim() == WORDS[0] {
            return Ok(Self::none());
        }
        let (mut augment, mut seen) = (Self::none(), Vec::new());
        for word in text.split(',').map(str::trim) {
            let (name, pixels) = word.split_once(':').map_or((word, None), |(name, n)| (name, Some(n)));
            augment = match (name, pixels) {
                ("flip", None) => augment.flip(),
                ("shift", Some(pixels)) => augment.shift(
                    pixels.trim().parse().map_err(|_| AugmentError::Pixels { given: pixels.to_owned() })?,
                ),
                ("shift", None) => return Err(AugmentError::Pixels { given: String::new() }),
                _ => return Err(AugmentError::Unknown { given: word.to_owned() }),
            };
            if seen.contains(&name) {
                return Err(AugmentError::Repeated { name: name.to_owned() });
            }
            seen.push(name);
        }
        Ok(augment)
    }
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { shift: 0, flip: false } => f.write_str("none"),
            Self { shift: 0, flip: true } => f.write_str("flip"),
            Self { shift, flip } => write!(f, "shift:{shift}{}", if flip { ",flip" } else { "" }),
        }
    }
}

/// Why pictures cannot be changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// There is no such word.
    #[error(
        "there is no augmentation `{}`; {} {}; write shift:2,flip for both",
        quoted(given), did_you_mean(name_of(given), "there are", WORDS), WORDS.join(", ")
    )]
    Unknown {
        /// What was found.
        given: String,
    },
    /// What follows `shift:` is not a number of pixels.
    #[error(
        "`shift:{}`: by up to how many pixels? Write it like shift:2, with at most {}",
        quoted(given),
        u16::MAX
    )]
    Pixels {
        /// What was found.
        given: String,
    },
    /// A word is there twice.
    #[error("{name} is given twice")]
    Repeated {
        /// The word.
        name: String,
    },
    /// The inputs are not pictures.
    #[error("only pictures of floating-point numbers are augmented; the data set is {found}")]
    NoImages {
        /// The data set, in words.
        found: String,
    },
    /// Nothing of a picture might be left.
    #[error("a shift by {shift} can move pictures of {height} by {width} pixels out of sight; shift by less")]
    TooFar {
        /// How far.
        shift: u16,
        /// The rows of a picture.
        height: usize,
        /// The columns of a picture.
        width: usize,
    },
}
