//! A band of an image with its border, copied so that every window lies inside it.

use super::Images;
use crate::Float;

/// The rows and columns of an image that some windows look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Band {
    /// The first row and column; below 0 in the border.
    pub(super) first: [isize; 2],
    /// How many rows and columns.
    pub(super) size: [usize; 2],
}

impl Band {
    /// Whether all of it lies in an image of this size.
    pub(super) fn is_inside(&self, input: [usize; 2]) -> bool {
        (0..2).all(|axis| {
            self.first[axis] >= 0 && self.first[axis] + self.size[axis] as isize <= input[axis] as isize
        })
    }

    /// Copies image `n`, of this size and so many channels, to `out`, channels innermost; zeros where there is
    /// nothing.
    pub(super) fn copy<T: Float>(
        &self,
        x: &Images<'_, T>,
        n: usize,
        input: [usize; 2],
        channels: usize,
        out: &mut [T],
    ) {
        let [height, width] = self.size;
        let inside = |axis: usize| {
            let from = (-self.first[axis]).clamp(0, self.size[axis] as isize) as usize;
            let to = (input[axis] as isize - self.first[axis]).clamp(from as isize, self.size[axis] as isize);
            from..to as usize
        };
        let (rows, columns) = (inside(0), inside(1));
        for y in 0..height {
            let out = &mut out[y * width * channels..(y + 1) * width * channels];
            if !rows.contains(&y) || columns.is_empty() {
                out.fill(T::ZERO);
                continue;
            }
            out[..columns.start * channels].fill(T::ZERO);
            out[columns.end * channels..].fill(T::ZERO);
            let out = &mut out[columns.start * channels..columns.end * channels];
            let row = (self.first[0] + y as isize) as usize;
            let column = (self.first[1] + columns.start as isize) as usize;
            let [image, channel, down, right] = x.strides;
            let from = x.offset + n * image + row * down + column * right;
            if channel == 1 && (right == channels || columns.len() == 1) {
                out.copy_from_slice(&x.data[from..from + out.len()]);
            } else if channel == 1 {
                for (pixel, out) in out.chunks_exact_mut(channels).enumerate() {
                    let from = from + pixel * right;
                    out.copy_from_slice(&x.data[from..from + channels]);
                }
            } else {
                turn(&x.data[from..], [channel, right], channels, out);
            }
        }
    }
}

/// Pixels turned to channels innermost, some channels at a time, so that what is read in lines is used.
fn turn<T: Float>(from: &[T], [channel, right]: [usize; 2], channels: usize, out: &mut [T]) {
    const SIDE: usize = 16;
    let pixels = out.len() / channels;
    for first in (0..channels).step_by(SIDE) {
        for pixel in 0..pixels {
            let out = &mut out[pixel * channels..(pixel + 1) * channels];
            for c in first..(first + SIDE).min(channels) {
                out[c] = from[pixel * right + c * channel];
            }
        }
    }
}
