//! A multilayer perceptron forwards and backwards, with all its layers at once.
//!
//! Layer by layer, two threads gain nothing on a network of 64 × 64: a product takes two microseconds, and handing 16 KiB from
//! one core to another takes one. But the rows of a batch never meet on the way forward, nor on the way back: so each
//! thread takes some rows through all layers, and their numbers stay in its cache. Only the gradients of weights sum over
//! rows. They come last, some layers at a time, each layer on one thread.
//!
//! Networks with a wide layer have products enough to share: there all rows go from layer to layer together, and each
//! product is shared by [`matmul`].
//!
//! Either way every product and sum is that of the single ops, so results are the same to the bit.

use crate::Float;
use crate::matmul::{Matrix, Output, matmul};
use crate::parallel::{Parts, for_large_ranges, has_help};
use crate::{reduce, subnormal};
use std::ops::Range;

/// Rows that a thread takes through the layers, at least, and how many such blocks there are, at most. So a block that is left
/// over has 18 rows or more: products of fewer than 9 sum in another order.
const BLOCK_ROWS: usize = 32;
const BLOCKS: usize = 16;
/// Weights of the widest layer, at most, of a network whose rows are shared: a quarter of a megabyte of `f32`.
const NARROW: usize = 1 << 16;
/// Multiply-adds from which sharing rows pays: some 10 µs.
const WORTH: usize = 1 << 20;
/// Multiply-adds in a nanosecond, about.
const PER_NANOSECOND: usize = 100;
/// Numbers between layers that a backward pass holds before it turns to the gradients of weights: a quarter of a megabyte of `f32`.
const SEGMENT: usize = 1 << 16;

/// What a layer applies to its sums.
#[derive(Clone, Copy, Debug)]
pub struct Function<T> {
    /// z becomes a = f(z).
    pub apply: fn(&mut [T]),
    /// da becomes dz = da·f'(z), where f' is told from a, the second slice.
    pub pull: fn(&mut [T], &[T]),
}

/// A layer: a = f(x wᵀ + b).
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a, T> {
    /// w, `[outputs, inputs]`.
    pub weight: Matrix<'a, T>,
    /// b, `[outputs]`.
    pub bias: &'a [T],
    /// Numbers of a row of x.
    pub inputs: usize,
    /// f; the identity without one.
    pub function: Option<Function<T>>,
}

/// Where the gradients of a layer's parameters are wanted. They are written over.
#[derive(Debug, Default)]
pub struct Gradients<'a, T> {
    /// dw, `[outputs, inputs]`, row by row.
    pub weight: Option<&'a mut [T]>,
    /// db, `[outputs]`.
    pub bias: Option<&'a mut [T]>,
}

/// Layers one after the other, for a batch of so many rows.
#[derive(Debug)]
pub struct Perceptron<'a, T> {
    layers: &'a [Layer<'a, T>],
    rows: usize,
    flushes: bool,
    /// Where the outputs of each layer begin if those of all layers lie one after the other, and where they end.
    offsets: Vec<usize>,
    /// Rows that go through the layers together: all of them, or some for each thread.
    block: usize,
    /// What a pass takes, about.
    nanoseconds: usize,
}

impl<T: Float> Layer<'_, T> {
    fn outputs(&self) -> usize {
        self.bias.len()
    }
}

impl<'a, T: Float> Perceptron<'a, T> {
    /// These layers for a batch of `rows`; `flushes`: whether results are rid of subnormal numbers.
    ///
    /// # Panics
    /// If there is no layer, or one has not as many inputs as the one before it has outputs.
    #[must_use]
    pub fn new(rows: usize, layers: &'a [Layer<'a, T>], flushes: bool) -> Self {
        let fits = layers.windows(2).all(|pair| pair[0].outputs() == pair[1].inputs);
        assert!(fits && !layers.is_empty(), "perceptron: layers do not fit each other");
        let mut offsets = Vec::with_capacity(layers.len() + 1);
        offsets.push(0);
        let (mut offset, mut weights, mut widest) = (0, 0, 0);
        for layer in layers {
            let own = layer.inputs * layer.outputs();
            (weights, widest) = (weights + own, widest.max(own));
            offset += rows * layer.outputs();
            offsets.push(offset);
        }
        let (work, nanoseconds) = (rows * weights, rows * weights / PER_NANOSECOND);
        let is_shared = rows >= 2 * BLOCK_ROWS && widest <= NARROW && work >= WORTH && has_help(nanoseconds);
        let block = match is_shared {
            true => rows.div_ceil((rows / BLOCK_ROWS).min(BLOCKS)),
            false => rows.max(1),
        };
        Self { layers, rows, flushes, offsets, block, nanoseconds }
    }

    /// The outputs of all layers but the last, one layer after the other: how many numbers [`forward`](Self::forward) wants room for.
    #[must_use]
    pub fn hidden_len(&self) -> usize {
        self.offsets[self.layers.len() - 1]
    }

    /// How many numbers [`backward`](Self::backward) wants room for.
    #[must_use]
    pub fn scratch_len(&self) -> usize {
        let (mut end, mut longest) = (self.layers.len(), 0);
        while end > 0 {
            let start = self.segment(end);
            longest = longest.max(self.offsets[end] - self.offsets[start]);
            end = start;
        }
        2 * longest
    }

    /// Writes the outputs of the last layer into `y` and those of all others into `hidden`.
    ///
    /// # Panics
    /// If a slice does not have the length that the shapes say.
    pub fn forward(&self, x: &[T], hidden: &mut [T], y: &mut [T]) {
        let last = self.layers.len() - 1;
        self.check(x, hidden.len(), y.len());
        let (hidden, y) = (Parts::new(hidden), Parts::new(y));
        for_large_ranges(self.nanoseconds, self.rows, self.block, &|rows| {
            let mut x = &x[rows.start * self.layers[0].inputs..rows.end * self.layers[0].inputs];
            for (idx, layer) in self.layers.iter().enumerate() {
                let (to, offset) = if idx == last { (&y, 0) } else { (&hidden, self.offsets[idx]) };
                // SAFETY: no other block has these rows, and this one writes each layer once, before it reads it.
                let a = unsafe { to.part(rows_at(offset, &rows, layer.outputs())) };
                let inputs = row_major(x, layer.inputs);
                let weight = layer.weight.transposed();
                matmul(
                    rows.len(),
                    layer.outputs(),
                    layer.inputs,
                    inputs,
                    weight,
                    a,
                    Output::Bias(layer.bias),
                );
                if let Some(function) = layer.function {
                    (function.apply)(a);
                }
                self.flush(a);
                x = a;
            }
        });
    }

    /// From `dy`, the gradient of the outputs, to those of the parameters, as far as they are wanted, and of `x`.
    ///
    /// # Panics
    /// If a slice does not have the length that the shapes say.
    pub fn backward(
        &self,
        x: &[T],
        (hidden, y): (&[T], &[T]),
        dy: &[T],
        scratch: &mut [T],
        gradients: &mut [Gradients<'_, T>],
        dx: Option<&mut [T]>,
    ) {
        self.check(x, hidden.len(), dy.len());
        assert!(gradients.len() == self.layers.len(), "perceptron: a layer without place for its gradients");
        assert!(dx.as_ref().is_none_or(|dx| dx.len() == x.len()), "perceptron: dx is not like x");
        let is_wanted = |layer: &Gradients<'_, T>| layer.weight.is_some() || layer.bias.is_some();
        let lowest = if dx.is_some() { Some(0) } else { gradients.iter().position(is_wanted) };
        let Some(lowest) = lowest else { return };
        let mut dx = dx.map(Parts::new);

        let (mut this, mut next) = scratch.split_at_mut(self.scratch_len() / 2);
        let mut end = self.layers.len();
        let top = self.offsets[end - 1] - self.offsets[self.segment(end)];
        this[top..top + dy.len()].copy_from_slice(dy);
        while end > lowest {
            let start = self.segment(end);
            let below = if start > lowest { self.segment(start) } else { start };
            let outputs = |layer: usize, rows: &Range<usize>| -> &[T] {
                let range = |offset| rows_at(offset, rows, self.layers[layer].outputs());
                if layer + 1 == self.layers.len() {
                    &y[range(0)]
                } else {
                    &hidden[range(self.offsets[layer])]
                }
            };
            let deltas = Parts::new(this);
            let after = Parts::new(next);
            for_large_ranges(self.nanoseconds, self.rows, self.block, &|rows| {
                for idx in (start.max(lowest)..end).rev() {
                    let layer = &self.layers[idx];
                    let place = |layer: usize, from: usize| {
                        rows_at(self.offsets[layer] - self.offsets[from], &rows, self.layers[layer].outputs())
                    };
                    // SAFETY: no other block has these rows, and this one is done with a layer's when it goes to the next.
                    let dz = unsafe { deltas.part(place(idx, start)) };
                    if let Some(function) = layer.function {
                        (function.pull)(dz, outputs(idx, &rows));
                        self.flush(dz);
                    }
                    // SAFETY: as above; this layer's inputs are the outputs of the one below, or `x`.
                    let da = unsafe {
                        match &dx {
                            _ if idx > start && idx > lowest => deltas.part(place(idx - 1, start)),
                            _ if idx > lowest => after.part(place(idx - 1, below)),
                            Some(dx) if idx == 0 => dx.part(rows_at(0, &rows, layer.inputs)),
                            _ => break,
                        }
                    };
                    let dz = row_major(dz, layer.outputs());
                    matmul(
                        rows.len(),
                        layer.inputs,
                        layer.outputs(),
                        dz,
                        layer.weight,
                        da,
                        Output::Overwrite,
                    );
                    self.flush(da);
                }
            });
            let all = 0..self.rows;
            let wanted = Parts::new(&mut gradients[..end]);
            let first = start.max(lowest);
            for_large_ranges(
                self.nanoseconds,
                end - first,
                if self.block < self.rows { 1 } else { end - first },
                &|layers| {
                    for idx in first + layers.start..first + layers.end {
                        let from = self.offsets[idx] - self.offsets[start];
                        let dz = &this[from..from + self.rows * self.layers[idx].outputs()];
                        let x = if idx == 0 { x } else { outputs(idx - 1, &all) };
                        // SAFETY: each layer has one turn.
                        let [wanted] = (unsafe { wanted.part(idx..idx + 1) }) else {
                            unreachable!("one layer")
                        };
                        self.parameters(&self.layers[idx], x, dz, wanted);
                    }
                },
            );
            dx = dx.filter(|_| start > 0);
            std::mem::swap(&mut this, &mut next);
            end = start;
        }
    }

    /// The gradients of a layer's parameters.
    fn parameters(&self, layer: &Layer<'_, T>, x: &[T], dz: &[T], wanted: &mut Gradients<'_, T>) {
        let (rows, outputs) = (self.rows, layer.outputs());
        if let Some(dw) = wanted.weight.as_deref_mut() {
            let (dz, x) = (row_major(dz, outputs).transposed(), row_major(x, layer.inputs));
            matmul(outputs, layer.inputs, rows, dz, x, dw, Output::Overwrite);
            self.flush(dw);
        }
        if let Some(db) = wanted.bias.as_deref_mut() {
            reduce::sum(dz, 1, rows, outputs, db);
            self.flush(db);
        }
    }

    /// The first of the layers up to `end` whose gradients are held at the same time.
    fn segment(&self, end: usize) -> usize {
        let room = if self.block < self.rows { SEGMENT } else { 0 };
        let fits = |&start: &usize| self.offsets[end] - self.offsets[start] <= room;
        (0..end - 1).rev().take_while(fits).last().unwrap_or(end - 1)
    }

    fn flush(&self, x: &mut [T]) {
        if self.flushes {
            subnormal::flush_to_zero(x);
        }
    }

    fn check(&self, x: &[T], hidden: usize, y: usize) {
        let fits = x.len() == self.rows * self.layers[0].inputs
            && hidden == self.hidden_len()
            && hidden + y == self.offsets[self.layers.len()];
        assert!(fits, "perceptron: slices do not have the lengths that the shapes say");
    }
}

/// Rows of `width` numbers in an array that begins at `offset`.
fn rows_at(offset: usize, rows: &Range<usize>, width: usize) -> Range<usize> {
    offset + rows.start * width..offset + rows.end * width
}

fn row_major<T>(data: &[T], width: usize) -> Matrix<'_, T> {
    Matrix { data, offset: 0, row_stride: width.max(1), col_stride: 1 }
}
