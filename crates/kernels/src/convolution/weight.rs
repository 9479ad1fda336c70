//! The gradient of the weights: sums over pixels.

use super::channelwise::WeightRow;
use super::gather::{Window, with_buffer};
use super::{Images, Sizes};
use crate::Float;
use crate::matmul::{DEPTH, Gathered, GatheredBase, Level, MOST_ROWS, Segment};
use crate::parallel;
use std::ops::Range;

/// Multiply-adds of a piece of work, at least: 80 µs.
const GRAIN: usize = 1 << 23;
/// Multiply-adds in a nanosecond, about.
const PER_NANOSECOND: usize = 100;
/// Pieces that the work is cut into, if its sizes allow.
const PIECES: usize = 16;
/// Elements of all blocks' sums together, at most.
const SUMS: usize = 1 << 22;
/// Rows that pieces are multiples of: of the tiles of all instruction sets.
const TILES: usize = 84;

/// `dw`, as the weights lie: `[out_channels, in_channels / groups, height, width]`.
///
/// # Panics
/// If an operand leaves its slice, or `dw` has the wrong length.
#[track_caller]
pub fn weight<T: Float>(sizes: &Sizes, x: Images<'_, T>, dy: Images<'_, T>, dw: &mut [T]) {
    sizes.check();
    let Sizes { batch, in_channels, out_channels, groups, input, kernel, output, .. } = *sizes;
    x.check("x", [batch, in_channels, input[0], input[1]]);
    dy.check("dy", [batch, out_channels, output[0], output[1]]);
    let taps = kernel[0] * kernel[1];
    let each = sizes.in_group() * taps;
    assert!(dw.len() == out_channels * each, "convolution: dw of {} elements for {sizes:?}", dw.len());
    if sizes.input_len() * sizes.output_len() == 0 {
        return dw.fill(T::ZERO);
    }
    let per_channel = sizes.is_channelwise();
    let groups = if per_channel { 1 } else { groups };
    let (channels, columns) = (in_channels / groups, out_channels / groups);
    let window = Window {
        batch,
        input,
        output,
        taps: kernel,
        stride: sizes.stride,
        dilation: sizes.dilation,
        before: sizes.padding.map(|padding| padding as isize),
        channels,
        columns,
        per_channel,
    };
    for group in 0..groups {
        let (x, dy) = (x.at_channel(group * channels), dy.at_channel(group * columns));
        let sums = Sums { window: &window, x, dy, level: &Level::current() }.all();
        if per_channel {
            for (at, dw) in dw.iter_mut().enumerate() {
                *dw = sums[at % taps * channels + at / taps];
            }
            continue;
        }
        let dw = &mut dw[group * columns * each..(group + 1) * columns * each];
        for (o, dw) in dw.chunks_exact_mut(each).enumerate() {
            for (at, dw) in dw.iter_mut().enumerate() {
                let (channel, tap) = (at / taps, at % taps);
                *dw = sums[(tap * channels + channel) * columns + o];
            }
        }
    }
}

/// Some images, and some of the rows of the result.
#[derive(Clone, Debug)]
struct Piece {
    images: Range<usize>,
    rows: Range<usize>,
}

struct Sums<'a, T: 'static> {
    window: &'a Window,
    x: Images<'a, T>,
    dy: Images<'a, T>,
    level: &'a Level<T>,
}

impl<T: Float> Sums<'_, T> {
    /// Rows of the result: taps and channels, or taps alone.
    fn rows(&self) -> usize {
        let taps = self.window.taps[0] * self.window.taps[1];
        if self.window.per_channel { taps } else { taps * self.window.channels }
    }

    /// The whole result, by rows and columns.
    fn all(&self) -> Vec<T> {
        let Window { batch, output, columns, .. } = *self.window;
        let (rows, pixels) = (self.rows(), output[0] * output[1]);
        let work = batch * pixels * rows * columns;
        let blocks = (work / GRAIN).clamp(1, PIECES.min(batch)).min((SUMS / (rows * columns)).max(1));
        let ranges =
            if self.window.per_channel { 1 } else { (work / GRAIN).clamp(1, PIECES.div_ceil(blocks)) };
        let images = batch.div_ceil(blocks);
        let rows_each = rows.div_ceil(ranges).next_multiple_of(TILES);
        let mut pieces = Vec::new();
        for first in (0..batch).step_by(images) {
            for row in (0..rows).step_by(rows_each) {
                pieces.push(Piece {
                    images: first..batch.min(first + images),
                    rows: row..rows.min(row + rows_each),
                });
            }
        }
        let sums = parallel::map(work / PER_NANOSECOND, &pieces, |piece| self.piece(piece));
        // Rows of a block stand side by side again; blocks are added in a tree.
        let blocks: Vec<Vec<T>> =
            sums.chunks(rows.div_ceil(rows_each)).map(|ranges| ranges.concat()).collect();
        tree(&blocks)
    }

    fn piece(&self, piece: &Piece) -> Vec<T> {
        let Window { input, output, channels, columns, .. } = *self.window;
        let mut sums = vec![T::ZERO; piece.rows.len() * columns];
        let rows = self.window.rows_of_band();
        let width = 2 * self.level.lanes;
        let panel = DEPTH * columns.next_multiple_of(width);
        for n in piece.images.clone() {
            for first in (0..output[0]).step_by(rows) {
                let band_rows = first..output[0].min(first + rows);
                let band = self.window.band(&band_rows);
                let [image, channel, down, right] = self.x.strides;
                let direct = (channel == 1 || channels == 1) && band.is_inside(input);
                let len = if direct { 0 } else { band.size[0] * band.size[1] * channels };
                let dy_len = if self.window.per_channel { output[1] * channels } else { panel };
                with_buffer(len + dy_len, |buffer: &mut [T]| {
                    let (copy, packed) = buffer.split_at_mut(len);
                    let (from, down, right) = if direct {
                        let [y, x] = band.first.map(|first| first as usize);
                        (&self.x.data[self.x.offset + n * image + y * down + x * right..], down, right)
                    } else {
                        band.copy(&self.x, n, input, channels, copy);
                        (&*copy, band.size[1] * channels, channels)
                    };
                    let band = Rows { from, down, right, n, rows: band_rows };
                    if self.window.per_channel {
                        self.channelwise(&band, packed, &mut sums);
                    } else {
                        self.products(&band, &piece.rows, packed, &mut sums);
                    }
                });
            }
        }
        sums
    }

    /// Adds what a band gives, a slice of pixels after the other.
    fn products(&self, band: &Rows<'_, T>, rows: &Range<usize>, packed: &mut [T], sums: &mut [T]) {
        let Window { output, stride, taps, dilation, channels, columns, .. } = *self.window;
        let width = 2 * self.level.lanes;
        let tile_rows = self.level.gathered.len();
        for slice in slices(band.rows.clone(), output[1]) {
            let pixels: usize = slice.iter().map(|run| run.len).sum();
            let segment = |run: &Run| Segment {
                offset: (run.row - band.rows.start) * stride[0] * band.down
                    + run.first * stride[1] * band.right,
                len: run.len,
            };
            let segments: Vec<Segment> = slice.iter().map(segment).collect();
            self.pack(band.n, &slice, width, packed);
            let mut row = rows.start;
            while row < rows.end {
                let count = tile_rows.min(rows.end - row);
                let mut a = [band.from.as_ptr(); MOST_ROWS];
                for (i, a) in a.iter_mut().enumerate() {
                    let at = row + i.min(count - 1);
                    let (tap, channel) = (at / channels, at % channels);
                    let place =
                        tap / taps[1] * dilation[0] * band.down + tap % taps[1] * dilation[1] * band.right;
                    *a = a.wrapping_add(place + channel);
                }
                let mut column = 0;
                while column < columns {
                    let cols = width.min(columns - column);
                    let mut c = [sums.as_mut_ptr(); MOST_ROWS];
                    for (i, c) in c.iter_mut().enumerate() {
                        let at = row - rows.start + i.min(count - 1);
                        *c = c.wrapping_add(at * columns + column);
                    }
                    let tile = Gathered {
                        rows: count,
                        cols,
                        a,
                        a_step: stride[1] * band.right,
                        segments: &segments,
                        steps: pixels,
                        b: packed[column * pixels..].as_ptr(),
                        c,
                        // The sums began with 0.
                        base: GatheredBase::Result,
                    };
                    let kernels = self.level.gathered[count - 1];
                    // SAFETY: every pixel of the segments lies in the band for every tap and channel; the panel
                    // has all pixels; rows and columns of the sums are this piece's own.
                    unsafe { kernels[usize::from(cols > self.level.lanes)](&tile) };
                    column += width;
                }
                row += tile_rows;
            }
        }
    }

    /// Panels of `width` columns of `dy`: for each pixel, the columns side by side, and zeros behind the last.
    fn pack(&self, n: usize, slice: &[Run], width: usize, out: &mut [T]) {
        let Window { columns, .. } = *self.window;
        let pixels: usize = slice.iter().map(|run| run.len).sum();
        let [image, channel, down, right] = self.dy.strides;
        for (panel, out) in out.chunks_exact_mut(pixels * width).take(columns.div_ceil(width)).enumerate() {
            let first = panel * width;
            let inside = width.min(columns - first);
            let places = slice.iter().flat_map(|run| {
                let start = self.dy.offset + n * image + run.row * down + run.first * right;
                (0..run.len).map(move |pixel| start + pixel * right)
            });
            for (place, out) in places.zip(out.chunks_exact_mut(width)) {
                let from = place + first * channel;
                if channel == 1 {
                    out[..inside].copy_from_slice(&self.dy.data[from..from + inside]);
                } else {
                    for (column, out) in out[..inside].iter_mut().enumerate() {
                        *out = self.dy.data[from + column * channel];
                    }
                }
                out[inside..].fill(T::ZERO);
            }
        }
    }

    /// Adds what a band gives, row by row.
    fn channelwise(&self, band: &Rows<'_, T>, row: &mut [T], sums: &mut [T]) {
        let Window { output, stride, taps, dilation, channels, .. } = *self.window;
        let places: Vec<usize> = (0..taps[0] * taps[1])
            .map(|tap| tap / taps[1] * dilation[0] * band.down + tap % taps[1] * dilation[1] * band.right)
            .collect();
        let [image, channel, down, right] = self.dy.strides;
        for y in band.rows.clone() {
            let start = self.dy.offset + band.n * image + y * down;
            for (x, out) in row[..output[1] * channels].chunks_exact_mut(channels).enumerate() {
                for (c, out) in out.iter_mut().enumerate() {
                    *out = self.dy.data[start + x * right + c * channel];
                }
            }
            let from = &band.from[(y - band.rows.start) * stride[0] * band.down..];
            let (step, dy) = (stride[1] * band.right, &row[..output[1] * channels]);
            WeightRow { from, taps: &places, step, dy, channels, sums: &mut *sums }.compute();
        }
    }
}

/// Rows of windows of an image, and the band that they look at.
struct Rows<'a, T> {
    from: &'a [T],
    /// Elements between rows and between pixels of the band.
    down: usize,
    right: usize,
    n: usize,
    rows: Range<usize>,
}

/// Pixels side by side in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    row: usize,
    first: usize,
    len: usize,
}

/// Pixels in slices of at most 512: several whole rows, or parts of one.
fn slices(rows: Range<usize>, width: usize) -> Vec<Vec<Run>> {
    if width > DEPTH {
        let part = |row: usize| {
            (0..width)
                .step_by(DEPTH)
                .map(move |first| vec![Run { row, first, len: DEPTH.min(width - first) }])
        };
        return rows.flat_map(part).collect();
    }
    let rows: Vec<usize> = rows.collect();
    let whole = |rows: &[usize]| rows.iter().map(|&row| Run { row, first: 0, len: width }).collect();
    rows.chunks((DEPTH / width).max(1)).map(whole).collect()
}

/// The sum of all, left half and right half.
fn tree<T: Float>(blocks: &[Vec<T>]) -> Vec<T> {
    if let [block] = blocks {
        return block.clone();
    }
    let (left, right) = blocks.split_at(blocks.len() / 2);
    let mut sums = tree(left);
    sums.iter_mut().zip(tree(right)).for_each(|(sum, other)| *sum += other);
    sums
}
