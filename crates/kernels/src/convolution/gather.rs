//! Sums over windows: the product that is behind a convolution and behind its gradient in the input.

use super::Images;
use super::band::Band;
use super::channelwise::Row;
use super::panels::Filters;
use super::slices::{self, Slice};
use crate::Float;
use crate::matmul::{Gathered, GatheredBase, Level, MOST_ROWS};
use crate::parallel::{Parts, for_ranges};
use std::cell::RefCell;
use std::ops::Range;

/// Windows over images: the value at `(i, j)` is a sum over taps `(a, b)` and channels, of pixels
/// `(i·stride + a·dilation − before, j·…)`; pixels outside are 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) batch: usize,
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
    pub(super) taps: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    pub(super) before: [isize; 2],
    pub(super) channels: usize,
    pub(super) columns: usize,
    /// Whether column `c` is a sum over taps of channel `c` alone.
    pub(super) per_channel: bool,
}

/// Elements between images, rows and pixels of the result; channels lie side by side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) pixel: usize,
}

/// Multiply-adds of a piece of work that a thread gets: 40 µs.
const GRAIN: usize = 1 << 22;
/// Multiply-adds in a nanosecond, about.
const PER_NANOSECOND: usize = 100;
/// Elements of a band that is copied with its border: 256 KiB of `f32`, in the second-level cache.
const BAND: usize = 1 << 16;

thread_local! {
    /// Bands of this thread, kept so that a training step asks for no memory.
    static BANDS: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) };
}

impl Window {
    /// The rows and columns that the windows of some rows look at.
    pub(super) fn band(&self, rows: &Range<usize>) -> Band {
        let reach = |axis: usize, count: usize| {
            (count - 1) * self.stride[axis] + (self.taps[axis] - 1) * self.dilation[axis] + 1
        };
        Band {
            first: [(rows.start * self.stride[0]) as isize - self.before[0], -self.before[1]],
            size: [reach(0, rows.len()), reach(1, self.output[1])],
        }
    }

    /// How many rows of windows are computed from one band.
    pub(super) fn rows_of_band(&self) -> usize {
        let row = self.band(&(0..1)).size[1] * self.channels;
        let (most, overlap) = (BAND / row, (self.taps[0] - 1) * self.dilation[0]);
        // At least as many as the border is high, or it would be copied more often than used.
        let rows = most.saturating_sub(overlap) / self.stride[0];
        rows.max(overlap + 1).min(self.output[0])
    }

    fn terms(&self) -> usize {
        self.taps[0] * self.taps[1] * if self.per_channel { 1 } else { self.channels }
    }
}

/// Computes all sums, of channels `first..` of each pixel of `out`.
pub(super) fn run<T: Float>(
    window: &Window,
    x: Images<'_, T>,
    filters: &Filters<'_, T>,
    bias: Option<&[T]>,
    out: &mut [T],
    first: usize,
    places: Places,
) {
    let level = Level::current();
    let packed = if window.per_channel {
        filters.per_channel(window.taps, window.channels)
    } else {
        let width = 2 * level.lanes;
        let panels = window.columns.div_ceil(width);
        let mut packed = vec![T::ZERO; panels * width * window.terms()];
        filters.pack(window.taps, window.channels, window.columns, width, &mut packed);
        packed
    };
    let product =
        Product { window, x, packed: &packed, bias, out: Parts::new(out), first, places, level: &level };
    // Pieces are rows of windows, of one image each.
    let [height, row_length] = window.output;
    let per_row = row_length * window.terms() * window.columns;
    let rows = (GRAIN / per_row.max(1)).clamp(1, window.rows_of_band());
    let each = height.div_ceil(rows);
    let nanoseconds = window.batch * height * per_row / PER_NANOSECOND;
    for_ranges(nanoseconds, window.batch * each, 1, &|range| {
        for piece in range {
            let from = piece % each * rows;
            product.rows(piece / each, from..height.min(from + rows));
        }
    });
}

struct Product<'a, T: 'static> {
    window: &'a Window,
    x: Images<'a, T>,
    packed: &'a [T],
    bias: Option<&'a [T]>,
    out: Parts<'a, T>,
    first: usize,
    places: Places,
    level: &'a Level<T>,
}

impl<T: Float> Product<'_, T> {
    /// The sums of some rows of windows of an image.
    fn rows(&self, n: usize, rows: Range<usize>) {
        let Window { input, channels, .. } = *self.window;
        let band = self.window.band(&rows);
        let [image, channel, down, right] = self.x.strides;
        // Channels have no stride where there is one.
        let is_innermost = channel == 1 || channels == 1;
        if is_innermost && band.is_inside(input) {
            let [y, x] = band.first.map(|first| first as usize);
            let from = self.x.offset + n * image + y * down + x * right;
            return self.band(n, &rows, &self.x.data[from..], down, right);
        }
        let len = band.size[0] * band.size[1] * channels;
        with_buffer(len, |buffer: &mut [T]| {
            band.copy(&self.x, n, input, channels, buffer);
            let row = band.size[1] * channels;
            self.band(n, &rows, buffer, row, channels);
        });
    }

    /// The same, of a band whose rows and pixels are so many elements apart.
    fn band(&self, n: usize, rows: &Range<usize>, from: &[T], down: usize, right: usize) {
        if self.window.per_channel {
            return self.channelwise(n, rows, from, down, right);
        }
        // SAFETY: all windows of these rows lie in the band.
        unsafe { self.sums(n, rows, from.as_ptr(), down, right) }
    }

    fn channelwise(&self, n: usize, rows: &Range<usize>, from: &[T], down: usize, right: usize) {
        let Window { output, taps, stride, dilation, channels, .. } = *self.window;
        let place = |tap: usize| tap / taps[1] * dilation[0] * down + tap % taps[1] * dilation[1] * right;
        let places: Vec<usize> = (0..taps[0] * taps[1]).map(place).collect();
        for (y, row) in rows.clone().enumerate() {
            let start = n * self.places.image + row * self.places.row + self.first;
            let len = (output[1] - 1) * self.places.pixel + channels;
            Row {
                from: &from[y * stride[0] * down..],
                taps: &places,
                step: stride[1] * right,
                weights: self.packed,
                bias: self.bias,
                // SAFETY: no other piece has this row of windows, and none of another phase is computed now.
                out: unsafe { self.out.part(start..start + len) },
                pixel: self.places.pixel,
                pixels: output[1],
                channels,
            }
            .compute();
        }
    }

    /// The sums of a band whose first pixel is at `from`, with rows and pixels so many elements apart.
    ///
    /// # Safety
    /// All windows of the rows can be read there.
    unsafe fn sums(&self, n: usize, rows: &Range<usize>, from: *const T, down: usize, right: usize) {
        let Self { window, places, level, .. } = self;
        let [row_dilation, dilation] = window.dilation;
        let slices = slices::all(window.taps, window.channels, row_dilation * down, dilation * right);
        let pixels = rows.len() * window.output[1];
        let start = n * places.image + rows.start * places.row + self.first;
        let tile_rows = level.gathered.len();
        let width = 2 * level.lanes;
        for slice in &slices {
            let mut pixel = 0;
            while pixel < pixels {
                let count = tile_rows.min(pixels - pixel);
                let mut a = [from; MOST_ROWS];
                let mut places_of = [0; MOST_ROWS];
                for i in 0..MOST_ROWS {
                    let at = pixel + i.min(count - 1);
                    let (y, x) = (at / window.output[1], at % window.output[1]);
                    a[i] = from.wrapping_add(y * window.stride[0] * down + x * window.stride[1] * right);
                    places_of[i] = start + y * places.row + x * places.pixel;
                }
                // SAFETY: passed on.
                unsafe { self.tiles(slice, count, a, &places_of, width) };
                pixel += tile_rows;
            }
        }
    }

    /// All columns of some pixels.
    ///
    /// # Safety
    /// As `sums`.
    unsafe fn tiles(
        &self,
        slice: &Slice,
        rows: usize,
        a: [*const T; MOST_ROWS],
        places: &[usize; MOST_ROWS],
        width: usize,
    ) {
        let terms = self.window.terms();
        let mut column = 0;
        while column < self.window.columns {
            let cols = width.min(self.window.columns - column);
            let panel = &self.packed[column * terms..];
            // SAFETY: no other thread has these rows of windows, and the result is as large as they say.
            let c = places
                .map(|place| unsafe { self.out.part(place + column..place + column + cols) }.as_mut_ptr());
            let base = match self.bias {
                _ if slice.first > 0 => GatheredBase::Result,
                Some(bias) => GatheredBase::Row(bias[column..].as_ptr()),
                None => GatheredBase::Nothing,
            };
            let b = panel[slice.first * width..].as_ptr();
            let segments = &slice.segments;
            let tile = Gathered { rows, cols, a, a_step: 1, segments, steps: slice.len, b, c, base };
            let kernels = self.level.gathered[rows - 1];
            // SAFETY: rows of the left operand are windows, which the caller vouches for; the panel has all
            // terms; the rest as above.
            unsafe { kernels[usize::from(cols > self.level.lanes)](&tile) };
            column += width;
        }
    }
}

/// Lends out so many elements of this thread's buffer, whose values are whatever was there.
pub(super) fn with_buffer<T: Float, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    // An `f64` is as large as any element.
    let mut lent = BANDS.take();
    if lent.len() < len {
        lent.resize(len, 0.0);
    }
    // SAFETY: the buffer has `len` elements of eight bytes, initialised; every pattern of bits is an `f32` or
    // `f64`, the only types that are `Float`.
    let elements = unsafe { std::slice::from_raw_parts_mut(lent.as_mut_ptr().cast::<T>(), len) };
    let result = f(elements);
    BANDS.replace(lent);
    result
}
