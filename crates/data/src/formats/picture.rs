//! PNG and JPEG: one picture as bytes, grey or red, green and blue.
//!
//! The decoding is the `image` crate's. Here it is bounded: a file that claims more pixels than its bytes could stand for is
//! refused before room is made for them. What it refuses: transparency that says something (an alpha channel that is opaque
//! everywhere is left out; of another nobody knows what lies behind it), 16 bits per channel, and JPEGs without an end, whose
//! missing pixels a decoder would make up. Colour profiles and the camera's orientation are not applied, as by Pillow's
//! `open`. Palettes are looked up.

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder};
use image::imageops::{FilterType, resize};
use image::{ColorType, GrayImage, ImageDecoder, ImageError, Limits, RgbImage};
use std::io::Cursor;

/// What every PNG file begins with.
pub const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// What every JPEG file begins with.
pub const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

/// The most bytes of pixels that a byte of a file can stand for: deflate makes 1,032 of one; JPEG needs a bit for each block
/// of 64 numbers, of which there are 18 for 1,024 pixels of three colours when colours are sampled by fours.
const MOST: usize = 1400;

/// And besides, for the smallest of files.
const BESIDES: usize = 1 << 16;

/// Why bytes are not a picture that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file is neither PNG nor JPEG.
    #[error("neither a PNG nor a JPEG file; convert it, or move it out of the folder")]
    Unknown,
    /// The decoder rejected the data.
    #[error("{}; the file is damaged", backflow_tensor::quote::told(&source.to_string()))]
    Damaged {
        /// What the decoder said.
        source: ImageError,
    },
    /// A JPEG file has no end.
    #[error("the picture has no end; the file is cut short, fetch it again")]
    Truncated,
    /// There are more pixels than the bytes can stand for.
    #[error("{columns} by {rows} pixels from {bytes} bytes; the file is damaged or made to exhaust memory")]
    TooLarge {
        /// The rows that the file announces.
        rows: u32,
        /// The columns.
        columns: u32,
        /// The bytes there are.
        bytes: usize,
    },
    /// Pixels are not opaque.
    #[error(
        "some pixels are transparent, and nobody knows what lies behind them; put the picture on a background"
    )]
    Transparent,
    /// Pixels are not bytes.
    #[error("16 bits per channel, and pixels are bytes; convert the picture to 8 bits")]
    Depth,
}

/// The pixels of one picture.
///
/// ```
/// use backflow_data::formats::picture::{Picture, PictureError};
///
/// assert!(matches!(Picture::decode(b"GIF89a"), Err(PictureError::Unknown)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// How many rows of pixels there are.
    pub rows: usize,
    /// How many pixels a row has.
    pub columns: usize,
    /// 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// Row after row; the channels of a pixel lie side by side.
    pub pixels: Vec<u8>,
}

/// Whether these bytes begin like a PNG or a JPEG file.
#[must_use]
pub fn is_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(&PNG) || bytes.starts_with(&JPEG)
}

impl Picture {
    /// The picture in a PNG or JPEG file; the bytes tell which.
    ///
    /// # Errors
    /// If the file is another or damaged, or its pixels are transparent or not bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, PictureError> {
        let most = bytes.len().saturating_mul(MOST).saturating_add(BESIDES);
        let room = u64::try_from(most).unwrap_or(u64::MAX);
        if bytes.starts_with(&PNG) {
            let mut limits = Limits::no_limits();
            // Rows of both filters, and what accompanies the pixels.
            limits.max_alloc = Some(room.saturating_mul(2));
            Self::of(PngDecoder::with_limits(Cursor::new(bytes), limits), bytes, room)
        } else if bytes.starts_with(&JPEG) {
            require_end(bytes)?;
            Self::of(JpegDecoder::new(Cursor::new(bytes)), bytes, room)
        } else {
            Err(PictureError::Unknown)
        }
    }

    fn of<D: ImageDecoder>(
        decoder: Result<D, ImageError>,
        bytes: &[u8],
        room: u64,
    ) -> Result<Self, PictureError> {
        let damaged = |source| PictureError::Damaged { source };
        let decoder = decoder.map_err(damaged)?;
        let (color_type, (columns, rows)) = (decoder.color_type(), decoder.dimensions());
        let len =
            Some(decoder.total_bytes()).filter(|&len| len <= room).and_then(|len| usize::try_from(len).ok());
        let Some(len) = len else { return Err(PictureError::TooLarge { rows, columns, bytes: bytes.len() }) };
        let (channels, has_alpha) = match color_type {
            ColorType::L8 => (1, false),
            ColorType::La8 => (1, true),
            ColorType::Rgb8 => (3, false),
            ColorType::Rgba8 => (3, true),
            _ => return Err(PictureError::Depth),
        };
        let mut pixels = vec![0; len];
        decoder.read_image(&mut pixels).map_err(damaged)?;
        if has_alpha {
            pixels = match channels {
                1 => without_alpha::<2, 1>(&pixels),
                _ => without_alpha::<4, 3>(&pixels),
            }
            .ok_or(PictureError::Transparent)?;
        }
        let [rows, columns] = [rows, columns].map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        Ok(Self { rows, columns, channels, pixels })
    }

    /// The picture with so many rows and columns, at least one of each, whatever that does to its proportions: each new pixel
    /// is the mean of those around it with weights that fall off linearly, over as many as it replaces (Pillow's `BILINEAR`,
    /// PyTorch's `bilinear` with `antialias`).
    #[must_use]
    pub fn resized(self, rows: usize, columns: usize) -> Self {
        if [self.rows, self.columns] == [rows, columns] {
            return self;
        }
        let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let (own, asked) = ((size(self.columns), size(self.rows)), (size(columns.max(1)), size(rows.max(1))));
        let pixels = match self.channels {
            1 => GrayImage::from_raw(own.0, own.1, self.pixels)
                .map(|image| resize(&image, asked.0, asked.1, FilterType::Triangle).into_raw()),
            _ => RgbImage::from_raw(own.0, own.1, self.pixels)
                .map(|image| resize(&image, asked.0, asked.1, FilterType::Triangle).into_raw()),
        };
        // A picture has as many pixels as its rows and columns say.
        Self { rows, columns, channels: self.channels, pixels: pixels.unwrap_or_default() }
    }
}

/// Pixels of `N` bytes without the last of each, if that is 255 everywhere.
fn without_alpha<const N: usize, const M: usize>(pixels: &[u8]) -> Option<Vec<u8>> {
    let (pixels, _) = pixels.as_chunks::<N>();
    let is_opaque = pixels.iter().all(|pixel| pixel.last() == Some(&u8::MAX));
    is_opaque.then(|| pixels.iter().flat_map(|pixel| pixel.iter().copied().take(M)).collect())
}

/// Within the pixels of a JPEG a byte of 255 is followed by 0 or by a restart: what follows the begin of the last scan as ff d9
/// is the end of the picture.
fn require_end(bytes: &[u8]) -> Result<(), PictureError> {
    let scan = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap_or_default();
    let behind = bytes.get(scan..).unwrap_or_default();
    match behind.windows(2).any(|pair| pair == [0xff, 0xd9]) {
        true => Ok(()),
        false => Err(PictureError::Truncated),
    }
}
