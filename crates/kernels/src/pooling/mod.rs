//! Largest elements and means over windows of images, and their gradients.
//!
//! ```text
//! max   y[n, i, j, c] = max x[n, h, w, c]           over the pixels h, w of window i, j, and where it is
//! mean  y[n, i, j, c] = Σ x[n, h, w, c] / share     over the same
//! ```
//!
//! Channels lie innermost, and lanes are channels: all windows of a pixel are alike, so nothing is gathered. Which
//! pixels a window takes is a table per axis ([`Span`]), so that padding, dilation and windows of several sizes
//! are no matter of the loops.
//!
//! **Determinism.** The sum of a window runs along its rows and then over them; a pixel in several windows gets
//! their gradients in the order of the windows. Threads share images.

mod max;
mod mean;

use crate::Float;
use crate::isa::Work;
use crate::parallel::{self, GRAIN, Rows};
pub use max::{max, max_backward};
pub use mean::{mean, mean_backward};

/// The pixels that a window takes along an axis: `first`, `first + step`, …, `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: usize,
    /// How many; at least 1.
    pub count: usize,
    /// By what a mean divides, for this axis.
    pub share: usize,
}

/// Windows over images `[batch, height, width, channels]`.
#[derive(Clone, Debug)]
pub struct Windows {
    /// Images.
    pub batch: usize,
    /// Channels of each.
    pub channels: usize,
    /// Height and width.
    pub image: [usize; 2],
    /// Pixels between neighbours in a window.
    pub step: [usize; 2],
    /// The windows from top to bottom, and from left to right.
    pub spans: [Vec<Span>; 2],
}

impl Windows {
    /// Elements of an image.
    fn image_len(&self) -> usize {
        self.image[0] * self.image[1] * self.channels
    }

    /// Elements of its result: one per window and channel.
    fn pooled_len(&self) -> usize {
        self.spans[0].len() * self.spans[1].len() * self.channels
    }

    /// Images for one thread at a time.
    fn grain(&self) -> usize {
        (GRAIN / self.image_len().max(self.pooled_len()).max(1)).max(1)
    }

    /// Calls `f` with the number of each image and its part of the result, which has a part for each.
    fn each_image<T: Send>(&self, result: &mut [T], f: impl Fn(usize, &mut [T]) + Sync) {
        let len = result.len() / self.batch.max(1);
        if len > 0 {
            parallel::for_each(Rows::new(result, len), self.grain(), |Rows { first, data, .. }| {
                data.chunks_exact_mut(len).enumerate().for_each(|(nth, part)| f(first + nth, part));
            });
        }
    }

    /// The part of an image.
    fn part<'a, T>(&self, of: &'a [T], image: usize) -> &'a [T] {
        let len = of.len() / self.batch;
        &of[image * len..][..len]
    }

    #[track_caller]
    fn check(&self, name: &str, images: usize, pooled: usize) {
        assert!(
            images == self.batch * self.image_len() && pooled == self.batch * self.pooled_len(),
            "{name}: {images} and {pooled} elements for {self:?}"
        );
        for axis in [0, 1] {
            let last = |span: &Span| span.first + (span.count - 1) * self.step[axis];
            let fits = |span: &Span| span.count > 0 && span.share > 0 && last(span) < self.image[axis];
            assert!(
                self.spans[axis].iter().all(fits),
                "{name}: a window is empty or leaves the image: {self:?}"
            );
        }
    }

    /// A pixel of a window by its row and column there. What goes over all of them is written as loops, for the compiler
    /// leaves closures out of loops.
    #[inline(always)]
    fn pixel(&self, [rows, columns]: [Span; 2], row: usize, column: usize) -> usize {
        (rows.first + row * self.step[0]) * self.image[1] + columns.first + column * self.step[1]
    }
}

/// What is done with some neighbouring channels of a window.
trait Channels {
    /// Comes before a row of windows, which reach up to this element of the image.
    #[inline(always)]
    fn reach(&mut self, _end: usize) {}

    /// `LANES` channels of a window: `channel` is the number of the first, `window` where it is in the result.
    fn lanes<const LANES: usize>(
        &mut self,
        windows: &Windows,
        spans: [Span; 2],
        window: usize,
        channel: usize,
    );
}

/// All windows of an image, their channels side by side.
struct Image<'a, C> {
    windows: &'a Windows,
    channels: C,
}

impl<C: Channels> Work for Image<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let (windows, channels) = (self.windows, self.windows.channels);
        let mut window = 0;
        for &rows in &windows.spans[0] {
            let last = rows.first + (rows.count - 1) * windows.step[0];
            self.channels.reach((last + 1) * windows.image[1] * channels);
            for &columns in &windows.spans[1] {
                let (spans, mut channel) = ([rows, columns], 0);
                // Constant numbers of lanes, so that what is found stays in registers.
                macro_rules! in_lanes {
                    ($($lanes:literal)*) => {$(
                        while channels - channel >= $lanes {
                            self.channels.lanes::<$lanes>(windows, spans, window + channel, channel);
                            channel += $lanes;
                        }
                    )*};
                }
                in_lanes!(32 8 4 1);
                window += channels;
            }
        }
        self.channels.reach(windows.image_len());
    }
}

/// The elements from a place on.
#[inline(always)]
fn lanes<T, const LANES: usize>(slice: &[T], first: usize) -> &[T; LANES] {
    slice[first..first + LANES].try_into().expect("of this length")
}

#[inline(always)]
fn lanes_mut<T, const LANES: usize>(slice: &mut [T], first: usize) -> &mut [T; LANES] {
    (&mut slice[first..first + LANES]).try_into().expect("of this length")
}

/// Sums that are 0 up to where windows have reached, so that they are still in cache when something is added.
struct Sums<'a, T> {
    data: &'a mut [T],
    reached: usize,
}

impl<'a, T: Float> Sums<'a, T> {
    fn new(data: &'a mut [T]) -> Self {
        Self { data, reached: 0 }
    }

    #[inline(always)]
    fn reach(&mut self, end: usize) {
        if end > self.reached {
            self.data[self.reached..end].fill(T::ZERO);
            self.reached = end;
        }
    }
}
