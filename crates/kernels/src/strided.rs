//! Views with strides: gathering them, applying functions to them, writing into them.
//!
//! The one idea: a strided operand is gathered into a small contiguous block that stays in the first-level
//! cache, and the contiguous loop runs on the block. So a function is compiled once per instruction set and
//! not once per layout, and only [`gather`](self) knows about strides. An operand that is contiguous along
//! the innermost axis is used where it lies. Before anything else, axes that can be walked as one are merged.

use std::ops::Range;

use crate::isa::{Work, dispatch};
use crate::map::{self, Element};
use crate::parallel::{self, GRAIN, Rows, for_pieces};

/// The most axes a view may have.
pub const MAX_RANK: usize = 32;

/// Elements gathered at a time: 4 KiB of `f32` per operand.
const BLOCK: usize = 1024;

/// Side of the squares in which a transposed view is copied: one cache line of `f32`.
const SQUARE: usize = 16;

/// A view of `data` from `offset` on: element `(i, j, …)` is
/// `data[offset + i·strides[0] + j·strides[1] + …]`.
///
/// Strides count elements; 0 repeats one along an axis (broadcasting).
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a, T> {
    /// What is viewed.
    pub data: &'a [T],
    /// The index of the first element.
    pub offset: usize,
    /// Elements between neighbours along each axis.
    pub strides: &'a [usize],
}

/// `K` views of one shape, with axes of length 1 dropped and axes merged where every view allows it.
#[derive(Clone, Copy)]
struct Layout<const K: usize> {
    rank: usize,
    shape: [usize; MAX_RANK],
    strides: [[usize; MAX_RANK]; K],
}

impl<const K: usize> Layout<K> {
    #[track_caller]
    fn new(shape: &[usize], strides: [&[usize]; K]) -> Self {
        assert!(shape.len() <= MAX_RANK, "strided: rank {} is above {MAX_RANK}", shape.len());
        for s in strides {
            assert!(s.len() == shape.len(), "strided: {} strides for shape {shape:?}", s.len());
        }
        let mut layout = Self { rank: 0, shape: [1; MAX_RANK], strides: [[0; MAX_RANK]; K] };
        for (axis, &length) in shape.iter().enumerate() {
            if length == 1 {
                continue;
            }
            let last = layout.rank.wrapping_sub(1);
            let merges =
                layout.rank > 0 && (0..K).all(|k| layout.strides[k][last] == strides[k][axis] * length);
            let at = if merges { last } else { layout.rank };
            layout.shape[at] = if merges { layout.shape[at] * length } else { length };
            for k in 0..K {
                layout.strides[k][at] = strides[k][axis];
            }
            layout.rank = at + 1;
        }
        layout
    }

    /// The shape without its innermost axis, and the length of that.
    fn inner(&self) -> usize {
        if self.rank == 0 { 1 } else { self.shape[self.rank - 1] }
    }

    /// View `k` alone.
    fn walk<'a, T>(&self, k: usize, data: &'a [T], offset: usize) -> Walk<'a, T> {
        let mut next = 1;
        let contiguous = (0..self.rank).rev().all(|axis| {
            let is_next = self.strides[k][axis] == next;
            next *= self.shape[axis];
            is_next
        });
        Walk { data, offset, contiguous, rank: self.rank, shape: self.shape, strides: self.strides[k] }
    }
}

/// Registers as wide as those that read it: what was written in narrow ones is not at hand for wide ones.
struct Fill<'a, T>(&'a mut [T], T);

impl<T: Copy> Work for Fill<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for x in self.0 {
            *x = self.1;
        }
    }
}

/// One view, merged: where its elements lie, in row-major order.
#[derive(Clone, Copy)]
struct Walk<'a, T> {
    data: &'a [T],
    offset: usize,
    /// Whether they lie next to each other in that order.
    contiguous: bool,
    rank: usize,
    shape: [usize; MAX_RANK],
    strides: [usize; MAX_RANK],
}

impl<'a, T: Copy> Walk<'a, T> {
    /// Panics unless every element lies inside the data.
    #[track_caller]
    fn check(self) -> Self {
        let axes = 0..self.rank;
        if !axes.clone().any(|axis| self.shape[axis] == 0) {
            let last: usize =
                self.offset + axes.map(|a| (self.shape[a] - 1) * self.strides[a]).sum::<usize>();
            assert!(
                last < self.data.len(),
                "strided: the view ends at {last} of {} elements",
                self.data.len()
            );
        }
        self
    }

    /// The index in `data` of the `linear`-th element.
    #[inline]
    fn position(&self, linear: usize) -> usize {
        let (mut rest, mut position) = (linear, self.offset);
        for axis in (0..self.rank).rev() {
            position += rest % self.shape[axis] * self.strides[axis];
            rest /= self.shape[axis];
        }
        position
    }

    /// Where the `linear`-th element is, to go on from there without dividing.
    fn cursor(&self, linear: usize) -> Cursor {
        let mut cursor = Cursor { position: self.position(linear), index: [0; MAX_RANK] };
        let mut rest = linear;
        for axis in (0..self.rank).rev() {
            cursor.index[axis] = rest % self.shape[axis];
            rest /= self.shape[axis];
        }
        cursor
    }

    /// Goes on by `run` elements, within a row of the innermost axis or to its end.
    #[inline]
    fn advance(&self, at: &mut Cursor, run: usize) {
        let Some(inner) = self.rank.checked_sub(1) else { return };
        at.position += run * self.strides[inner];
        at.index[inner] += run;
        let mut axis = inner;
        while at.index[axis] == self.shape[axis] && axis > 0 {
            at.position -= at.index[axis] * self.strides[axis];
            at.index[axis] = 0;
            axis -= 1;
            at.index[axis] += 1;
            at.position += self.strides[axis];
        }
    }

    /// Copies elements `start..start + out.len()` of the view.
    fn gather(&self, start: usize, out: &mut [T]) {
        if self.rank == 0 {
            out.fill(self.data[self.offset]);
            return;
        }
        let inner = self.rank - 1;
        let (n, stride) = (self.shape[inner], self.strides[inner]);
        let mut at = self.cursor(start);
        let mut out = out;
        while !out.is_empty() {
            let (position, run) = (at.position, (n - at.index[inner]).min(out.len()));
            let (row, rest) = out.split_at_mut(run);
            match stride {
                0 => dispatch(Fill(row, self.data[position])),
                1 => row.copy_from_slice(&self.data[position..position + run]),
                _ => {
                    for (out, &x) in row.iter_mut().zip(self.data[position..].iter().step_by(stride)) {
                        *out = x;
                    }
                }
            }
            out = rest;
            self.advance(&mut at, run);
        }
    }

    /// Copies rows of `n` from the `first` on, where the view runs down contiguous columns: square by square,
    /// so that the lines that are read are still in cache when the next row wants them.
    fn transpose(&self, first: usize, n: usize, out: &mut [T]) {
        let (column, stride) = (self.shape[self.rank - 2], self.strides[self.rank - 1]);
        let rows = out.len() / n;
        let mut row = 0;
        while row < rows {
            let count = SQUARE.min(rows - row).min(column - (first + row) % column);
            let position = self.position((first + row) * n);
            let out = &mut out[row * n..(row + count) * n];
            for start in (0..n).step_by(SQUARE) {
                let end = n.min(start + SQUARE);
                for (i, out) in out.chunks_exact_mut(n).enumerate() {
                    let x = self.data[position + i + start * stride..].iter().step_by(stride);
                    for (out, &x) in out[start..end].iter_mut().zip(x) {
                        *out = x;
                    }
                }
            }
            row += count;
        }
    }

    /// Elements `range` as a slice: in place if they are contiguous, else gathered into `buffer`. `row` is where they
    /// begin if they lie in one row, and goes on with them.
    #[inline]
    fn block<'b>(&self, range: Range<usize>, row: Option<&mut Cursor>, buffer: &'b mut [T; BLOCK]) -> &'b [T]
    where
        'a: 'b,
    {
        if self.contiguous {
            return &self.data[self.offset + range.start..self.offset + range.end];
        }
        let buffer = &mut buffer[..range.len()];
        let Some(row) = row else {
            self.gather(range.start, buffer);
            return buffer;
        };
        let (position, stride) = (row.position, self.strides[self.rank - 1]);
        self.advance(row, range.len());
        match stride {
            1 => return &self.data[position..position + range.len()],
            0 => dispatch(Fill(buffer, self.data[position])),
            _ => {
                for (out, &x) in buffer.iter_mut().zip(self.data[position..].iter().step_by(stride)) {
                    *out = x;
                }
            }
        }
        buffer
    }
}

/// A place in a view.
#[derive(Clone, Copy)]
struct Cursor {
    /// The index in its data.
    position: usize,
    /// Its coordinates.
    index: [usize; MAX_RANK],
}

/// Cuts `range` into blocks; inside one innermost row each when rows are long enough to be worth it.
fn blocks(range: Range<usize>, inner: usize, mut each: impl FnMut(Range<usize>, bool)) {
    let by_row = inner >= BLOCK / 4;
    let mut start = range.start;
    while start < range.end {
        let limit = if by_row { start - start % inner + inner } else { range.end };
        let end = limit.min(start + BLOCK).min(range.end);
        each(start..end, by_row);
        start = end;
    }
}

#[track_caller]
fn check_length(name: &str, shape: &[usize], got: usize) {
    let wanted: usize = shape.iter().product();
    assert!(wanted == got, "strided::{name}: shape {shape:?} has {wanted} elements, the slice {got}");
}

/// Copies the view into `out`, row-major.
///
/// ```
/// use backflow_kernels::strided::{Strided, copy};
/// let mut transposed = [0; 6];
/// copy(&[3, 2], Strided { data: &[1, 2, 3, 4, 5, 6], offset: 0, strides: &[1, 3] }, &mut transposed);
/// assert_eq!(transposed, [1, 4, 2, 5, 3, 6]);
/// ```
///
/// # Panics
/// If `out` does not have as many elements as `shape`, or the view leaves its data.
#[track_caller]
pub fn copy<T: Element>(shape: &[usize], x: Strided<'_, T>, out: &mut [T]) {
    check_length("copy", shape, out.len());
    if out.is_empty() {
        return;
    }
    let x = Layout::new(shape, [x.strides]).walk(0, x.data, x.offset).check();
    match x.rank.checked_sub(2) {
        Some(axis) if x.strides[axis] == 1 && x.strides[axis + 1] > 1 => {
            let n = x.shape[axis + 1];
            let grain = (GRAIN / n).max(1).next_multiple_of(SQUARE);
            parallel::for_each(Rows::new(out, n), grain, |rows| x.transpose(rows.first, n, rows.data));
        }
        _ => parallel::for_each((0..out.len(), out), GRAIN, |(range, out)| x.gather(range.start, out)),
    }
}

/// `out[i…] = f(x[i…], y[i…])`.
///
/// ```
/// use backflow_kernels::strided::{Strided, zip};
/// // A bias row added to each row of a matrix.
/// let x = Strided { data: &[1, 2, 3, 4], offset: 0, strides: &[2, 1] };
/// let bias = Strided { data: &[10, 20], offset: 0, strides: &[0, 1] };
/// let mut y = [0; 4];
/// zip(&[2, 2], x, bias, &mut y, |x, b| x + b);
/// assert_eq!(y, [11, 22, 13, 24]);
/// ```
///
/// # Panics
/// If `out` does not have as many elements as `shape`, or a view leaves its data.
#[track_caller]
pub fn zip<A: Element, B: Element, C: Element>(
    shape: &[usize],
    x: Strided<'_, A>,
    y: Strided<'_, B>,
    out: &mut [C],
    f: impl Fn(A, B) -> C + Copy + Send + Sync,
) {
    check_length("zip", shape, out.len());
    if out.is_empty() {
        return;
    }
    let layout = Layout::new(shape, [x.strides, y.strides]);
    let x = layout.walk(0, x.data, x.offset).check();
    let y = layout.walk(1, y.data, y.offset).check();
    for_pieces(out, GRAIN, &|range, out| Zip { x, y, inner: layout.inner(), range, out, f }.run());
}

struct Zip<'a, A, B, C, F> {
    x: Walk<'a, A>,
    y: Walk<'a, B>,
    inner: usize,
    range: Range<usize>,
    out: &'a mut [C],
    f: F,
}

impl<A: Copy, B: Copy, C, F: Fn(A, B) -> C + Element> Zip<'_, A, B, C, F> {
    fn run(self) {
        let Zip { x, y, inner, range, out, f } = self;
        let first = range.start;
        let mut buffers = ([x.data[x.offset]; BLOCK], [y.data[y.offset]; BLOCK]);
        let mut rows = (x.cursor(first), y.cursor(first));
        blocks(range, inner, |range, in_one_row| {
            let out = &mut out[range.start - first..range.end - first];
            let x = x.block(range.clone(), in_one_row.then_some(&mut rows.0), &mut buffers.0);
            let y = y.block(range, in_one_row.then_some(&mut rows.1), &mut buffers.1);
            dispatch(map::Zip(x, y, out, map::Short(f)));
        });
    }
}

/// `out[i…] = f(x[i…], y[i…], z[i…])`.
///
/// # Panics
/// If `out` does not have as many elements as `shape`, or a view leaves its data.
#[track_caller]
pub fn zip3<A: Element, B: Element, C: Element, D: Element>(
    shape: &[usize],
    x: Strided<'_, A>,
    y: Strided<'_, B>,
    z: Strided<'_, C>,
    out: &mut [D],
    f: impl Fn(A, B, C) -> D + Copy + Send + Sync,
) {
    check_length("zip3", shape, out.len());
    if out.is_empty() {
        return;
    }
    let layout = Layout::new(shape, [x.strides, y.strides, z.strides]);
    let x = layout.walk(0, x.data, x.offset).check();
    let y = layout.walk(1, y.data, y.offset).check();
    let z = layout.walk(2, z.data, z.offset).check();
    for_pieces(out, GRAIN, &|range, out| Zip3 { x, y, z, inner: layout.inner(), range, out, f }.run());
}

struct Zip3<'a, A, B, C, D, F> {
    x: Walk<'a, A>,
    y: Walk<'a, B>,
    z: Walk<'a, C>,
    inner: usize,
    range: Range<usize>,
    out: &'a mut [D],
    f: F,
}

impl<A: Copy, B: Copy, C: Copy, D, F: Fn(A, B, C) -> D + Copy> Zip3<'_, A, B, C, D, F> {
    fn run(self) {
        let Zip3 { x, y, z, inner, range, out, f } = self;
        let first = range.start;
        let mut buffers = ([x.data[x.offset]; BLOCK], [y.data[y.offset]; BLOCK], [z.data[z.offset]; BLOCK]);
        let mut rows = (x.cursor(first), y.cursor(first), z.cursor(first));
        blocks(range, inner, |range, in_one_row| {
            let out = &mut out[range.start - first..range.end - first];
            let x = x.block(range.clone(), in_one_row.then_some(&mut rows.0), &mut buffers.0);
            let y = y.block(range.clone(), in_one_row.then_some(&mut rows.1), &mut buffers.1);
            let z = z.block(range, in_one_row.then_some(&mut rows.2), &mut buffers.2);
            dispatch(map::Zip3(x, y, z, out, f));
        });
    }
}

/// Writes rows side by side: each row of `out` is a row of the first part, then one of the second, and so on. A part is
/// its elements, row after row, and the length of a row.
///
/// ```
/// let mut out = [0; 6];
/// backflow_kernels::strided::side_by_side(&[(&[1, 2, 5, 6], 2), (&[3, 7], 1)], &mut out);
/// assert_eq!(out, [1, 2, 3, 5, 6, 7]);
/// ```
///
/// # Panics
/// If the parts do not have as many rows as `out`.
#[track_caller]
pub fn side_by_side<T: Element>(parts: &[(&[T], usize)], out: &mut [T]) {
    let width: usize = parts.iter().map(|(_, width)| width).sum();
    let rows = out.len() / width.max(1);
    let fit = parts.iter().all(|(x, width)| x.len() == rows * width) && out.len() == rows * width;
    let sizes = || parts.iter().map(|(x, width)| (x.len(), *width)).collect::<Vec<_>>();
    assert!(fit, "side_by_side: parts of {:?} elements and columns do not make {}", sizes(), out.len());
    if out.is_empty() {
        return;
    }
    for_pieces(out, GRAIN, &|range, mut out| {
        let (mut row, mut skipped) = (range.start / width, range.start % width);
        while !out.is_empty() {
            for &(x, width) in parts {
                let run = width.saturating_sub(skipped).min(out.len());
                let (here, rest) = out.split_at_mut(run);
                here.copy_from_slice(&x[row * width + width.min(skipped)..][..run]);
                skipped = skipped.saturating_sub(width);
                out = rest;
            }
            row += 1;
        }
    });
}

/// Writes the contiguous block `x` of `shape` into the region of `out` that `offset` and `strides` describe.
///
/// The other elements of `out` keep their values. With a stride of 0 the last value written stays.
///
/// # Panics
/// If `x` does not have as many elements as `shape`, or the region leaves `out`.
#[track_caller]
pub fn scatter<T: Element>(
    shape: &[usize],
    x: &[T],
    out: &mut [T],
    out_offset: usize,
    out_strides: &[usize],
) {
    check_length("scatter", shape, x.len());
    if x.is_empty() {
        return;
    }
    let layout = Layout::new(shape, [out_strides]);
    let _ = layout.walk(0, &*out, out_offset).check();
    let inner = layout.inner();
    let stride = if layout.rank == 0 { 1 } else { layout.strides[0][layout.rank - 1] };
    for (row, x) in x.chunks_exact(inner).enumerate() {
        let position = layout.walk(0, &*out, out_offset).position(row * inner);
        if stride == 1 {
            out[position..position + inner].copy_from_slice(x);
        } else {
            for (i, &x) in x.iter().enumerate() {
                out[position + i * stride] = x;
            }
        }
    }
}
