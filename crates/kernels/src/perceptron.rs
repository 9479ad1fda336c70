//! A multilayer perceptron forwards and backwards, with all its layers at once.
//!
//! Layer by layer, two threads gain nothing on a network of 64 × 64: a product takes two microseconds, and
//! handing 16 KiB from one core to another takes one. But the rows of a batch never meet on the way forward,
//! nor on the way back: so each thread takes some rows through all layers, and their numbers stay in its
//! cache. Only the gradients of weights sum over rows. They come last, some layers at a time, each layer on
//! one thread.
//!
//! Networks with a wide layer have products enough to share: there all rows go from layer to layer together,
//! and each product is shared by [`matmul()`].
//!
//! Either way every product and sum is that of the single ops, so results are the same to the bit.

use crate::Float;
use crate::helpers::ask_for_help;
use crate::matmul::{self, Matrix, Output, matmul};
use crate::parallel::{Parts, for_ranges};
use crate::{reduce, subnormal};
use std::ops::Range;

mod layer;
pub use layer::{Draw, Function, Gradients, Layer, WithSlope};

/// Rows that a thread takes through the layers, at least, and how many such blocks there are, at most. So a
/// block that is left over has 18 rows or more: products of fewer than 9 sum in another order.
const BLOCK_ROWS: usize = 32;
const BLOCKS: usize = 16;
const _: () = assert!(BLOCK_ROWS + 1 - (BLOCKS - 1) > matmul::FEW_ROWS);
/// Weights of the widest layer, at most, of a network whose rows are shared: a quarter of a megabyte of
/// `f32`.
const NARROW: usize = 1 << 16;
/// Multiply-adds from which sharing rows pays: some 10 µs.
const WORTH: usize = 1 << 20;
/// Multiply-adds in a nanosecond, about.
const PER_NANOSECOND: usize = 100;
/// Numbers between layers that a backward pass holds before it turns to the gradients of weights: a quarter
/// of a megabyte of `f32`.
const SEGMENT: usize = 1 << 16;

/// Layers one after the other, for a batch of so many rows.
#[derive(Debug)]
pub struct Perceptron<'a, T> {
    layers: &'a [Layer<'a, T>],
    rows: usize,
    flushes: bool,
    /// Where the outputs of each layer begin if those of all layers lie one after the other, and where they
    /// end.
    offsets: Vec<usize>,
    /// Rows that go through the layers together: all of them, or some for each thread.
    block: usize,
    /// What a pass takes, about.
    nanoseconds: usize,
}

/// Whether threads share the rows of a batch, for all layers at once, now that somebody asks; by how many
/// weights each layer has.
#[must_use]
pub fn shares_rows(rows: usize, weights: impl Iterator<Item = usize>) -> bool {
    let (sum, most) = weights.fold((0, 0), |(sum, most), size| (sum + size, size.max(most)));
    let work = rows * sum;
    rows >= 2 * BLOCK_ROWS
        && most <= NARROW
        && work >= WORTH
        && ask_for_help(work / PER_NANOSECOND, (rows / BLOCK_ROWS).min(BLOCKS))
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
        let mut offset = 0;
        for layer in layers {
            offset += rows * layer.outputs();
            offsets.push(offset);
        }
        let weights = || layers.iter().map(|layer| layer.inputs * layer.outputs());
        let nanoseconds = rows * weights().sum::<usize>() / PER_NANOSECOND;
        let block = match shares_rows(rows, weights()) {
            true => rows.div_ceil((rows / BLOCK_ROWS).min(BLOCKS)),
            false => rows.max(1),
        };
        Self { layers, rows, flushes, offsets, block, nanoseconds }
    }

    /// How many numbers [`forward`](Self::forward) wants room for: the outputs of all layers but the last.
    #[must_use]
    pub fn hidden_len(&self) -> usize {
        self.offsets[self.layers.len() - 1]
    }

    /// How many numbers [`forward`](Self::forward) wants room for if the slopes are kept that cannot be told
    /// from the outputs: they lie as the outputs of all layers do, up to the last layer that has such. Of relu,
    /// where elements are dropped, they are its values, by which it tells them.
    #[must_use]
    pub fn slopes_len(&self) -> usize {
        let last = self.layers.iter().rposition(Layer::keeps_slope);
        last.map_or(0, |last| self.offsets[last + 1])
    }

    /// How many elements may be dropped: they lie as the outputs of all layers do, up to the last layer of which
    /// some are.
    #[must_use]
    pub fn masks_len(&self) -> usize {
        let last = self.layers.iter().rposition(|layer| layer.kept.is_some());
        last.map_or(0, |last| self.offsets[last + 1])
    }

    /// How many numbers [`infer`](Self::infer) wants room for.
    #[must_use]
    pub fn passing_len(&self) -> usize {
        2 * self.rows * self.widest()
    }

    /// How many numbers the sums of all layers are, or their gradients.
    #[must_use]
    pub fn shown_len(&self) -> usize {
        self.offsets[self.layers.len()]
    }

    /// How many numbers [`backward`](Self::backward) wants room for.
    #[must_use]
    pub fn deltas_len(&self) -> usize {
        let (mut end, mut longest) = (self.layers.len(), 0);
        while end > 0 {
            let start = self.segment(end);
            longest = longest.max(self.offsets[end] - self.offsets[start]);
            end = start;
        }
        2 * longest
    }

    /// Writes the outputs of the last layer into `y` and those of all others, one layer after the other, into
    /// `hidden`; into `slopes`, if there will be a way back, the slopes that cannot be told from them; and
    /// into `sums`, if somebody looks at them, z of the layers that have a function. Into `masks` goes which
    /// elements are kept, as `draw` says it of layers of which some are dropped; nobody looks at these.
    ///
    /// # Panics
    /// If a slice does not have the length that the shapes say.
    pub fn forward(
        &self,
        x: &[T],
        hidden: &mut [T],
        slopes: Option<&mut [T]>,
        sums: Option<&mut [T]>,
        (masks, draw): (&mut [bool], Draw<'_>),
        y: &mut [T],
    ) {
        let fits = sums.as_ref().is_none_or(|sums| sums.len() == self.shown_len() && masks.is_empty())
            && slopes.as_ref().is_none_or(|slopes| slopes.len() == self.slopes_len())
            && masks.len() == self.masks_len();
        assert!(fits && hidden.len() == self.hidden_len(), "perceptron: no room for what is hidden");
        self.outputs(x, hidden, [slopes, sums], (masks, draw), y, |layer, rows| self.place(layer, rows));
    }

    /// Writes the outputs of the last layer into `y` and keeps no others, for which `passing` is the room.
    ///
    /// # Panics
    /// If a slice does not have the length that the shapes say, or elements are dropped.
    pub fn infer(&self, x: &[T], passing: &mut [T], y: &mut [T]) {
        let fits = passing.len() == self.passing_len() && self.masks_len() == 0;
        assert!(fits, "perceptron: no room for what passes");
        let widest = self.widest();
        // Layers in turn, and each block at a place of its own, whatever the width of its layer.
        self.outputs(x, passing, [None, None], (&mut [], &|_, _, _| {}), y, |layer, rows| {
            let start = (layer % 2 * self.rows + rows.start) * widest;
            start..start + rows.len() * self.layers[layer].outputs()
        });
    }

    /// `place` says where the outputs of a layer that is not the last go, for some rows of the batch.
    fn outputs(
        &self,
        x: &[T],
        hidden: &mut [T],
        beside: [Option<&mut [T]>; 2],
        (masks, draw): (&mut [bool], Draw<'_>),
        y: &mut [T],
        place: impl Fn(usize, &Range<usize>) -> Range<usize> + Sync,
    ) {
        self.check(x, y.len());
        let last = self.layers.len() - 1;
        let [slopes, sums] = beside.map(|numbers| numbers.map(Parts::new));
        let (hidden, masks, y) = (Parts::new(hidden), Parts::new(masks), Parts::new(y));
        for_ranges(self.nanoseconds, self.rows, self.block, &|rows| {
            let mut x = &x[rows_at(0, &rows, self.layers[0].inputs)];
            for (idx, layer) in self.layers.iter().enumerate() {
                // SAFETY: no other block has these rows. This one has its place for an output once, or again
                // when it is done with what was there.
                let a = unsafe {
                    match idx == last {
                        true => y.part(rows_at(0, &rows, layer.outputs())),
                        false => hidden.part(place(idx, &rows)),
                    }
                };
                let product = |z: &mut [T]| {
                    let (inputs, weight) = (row_major(x, layer.inputs), layer.weight.transposed());
                    let bias = Output::Bias(layer.bias);
                    matmul(rows.len(), layer.outputs(), layer.inputs, inputs, weight, z, bias);
                };
                let slope = slopes.as_ref().filter(|_| layer.keeps_slope()).map(|slopes| {
                    // SAFETY: no other block has these rows, and this one has a layer once.
                    unsafe { slopes.part(self.place(idx, &rows)) }
                });
                // What tells slopes, beside what is left of it.
                let mut before: Option<&[T]> = None;
                match (layer.function, &sums) {
                    (Some(function), Some(sums)) => {
                        // SAFETY: as above.
                        let z = unsafe { sums.part(self.place(idx, &rows)) };
                        product(z);
                        match (function.apply_with_slope, slope) {
                            (Some(apply), Some(slope)) => {
                                a.copy_from_slice(z);
                                apply(a, slope);
                            }
                            _ => (function.apply_to)(z, a),
                        }
                        self.flush(z);
                        self.flush(a);
                    }
                    (function, _) => {
                        let apply_with_slope = function.and_then(|function| function.apply_with_slope);
                        match (function, apply_with_slope, slope) {
                            (_, Some(apply), Some(slope)) => {
                                product(a);
                                apply(a, slope);
                                self.flush(a);
                            }
                            (Some(function), _, Some(slope)) => {
                                product(slope);
                                (function.apply)(slope);
                                self.flush(slope);
                                before = Some(slope);
                            }
                            (function, ..) => {
                                product(a);
                                function.inspect(|function| (function.apply)(a));
                                self.flush(a);
                            }
                        }
                    }
                }
                if layer.kept.is_some() {
                    // SAFETY: as above.
                    let mask = unsafe { masks.part(self.place(idx, &rows)) };
                    draw(idx, rows_at(0, &rows, layer.outputs()), mask);
                    match before {
                        Some(before) => layer.drop_to(before, mask, a),
                        None => layer.drop(a, mask),
                    }
                }
                x = a;
            }
        });
    }

    /// From `dy`, the gradient of the outputs, to those of the parameters, as far as they are wanted, and of x;
    /// `deltas` is room for what lies between.
    ///
    /// If somebody looks at what lies between, `shown` is room for da of the layers that have a function, and
    /// `deltas`, as long, ends as dz of all layers; of layers below those whose gradients are wanted, neither
    /// is written.
    ///
    /// # Panics
    /// If a slice does not have the length that the shapes say.
    pub fn backward(
        &self,
        known: &Known<'_, T>,
        dy: &[T],
        deltas: &mut [T],
        gradients: &mut [Gradients<'_, T>],
        dx: Option<&mut [T]>,
        shown: Option<&mut [T]>,
    ) {
        let Known { x, hidden, slopes, masks, y } = *known;
        self.check(x, y.len());
        let keeps = shown.is_some();
        let deltas_len = if keeps { self.shown_len() } else { self.deltas_len() };
        let fits = hidden.len() == self.hidden_len()
            && slopes.len() == self.slopes_len()
            && masks.len() == self.masks_len()
            && !(keeps && self.masks_len() > 0)
            && dy.len() == y.len()
            && deltas.len() == deltas_len
            && gradients.len() == self.layers.len()
            && dx.as_ref().is_none_or(|dx| dx.len() == x.len())
            && shown.as_ref().is_none_or(|shown| shown.len() == self.shown_len());
        assert!(fits, "perceptron: slices do not have the lengths that the shapes say");
        let is_wanted = |layer: &Gradients<'_, T>| layer.weight.is_some() || layer.bias.is_some();
        let lowest = if dx.is_some() { Some(0) } else { gradients.iter().position(is_wanted) };
        let Some(lowest) = lowest else { return };

        let dx = dx.map(Parts::new);
        let shown = shown.map(Parts::new);
        let mut end = self.layers.len();
        let mut start = self.segment(end);
        // What is kept has a place for each layer; else two halves take turns.
        let (mut this, mut next) = deltas.split_at_mut(if keeps { deltas.len() } else { deltas.len() / 2 });
        let base = |layer: usize| if keeps { 0 } else { layer };
        match &shown {
            // SAFETY: nobody else is at work yet.
            Some(shown) if self.layers[end - 1].function.is_some() => unsafe {
                shown.part(self.place(end - 1, &(0..self.rows))).copy_from_slice(dy);
            },
            _ => this[self.offsets[end - 1] - self.offsets[base(start)]..][..dy.len()].copy_from_slice(dy),
        }
        while end > lowest {
            let below = if start > lowest { self.segment(start) } else { start };
            let first = start.max(lowest);
            let deltas = [(base(start), Parts::new(this)), (base(below), Parts::new(next))];
            self.descend(known, (first..end, lowest), &deltas, dx.as_ref(), shown.as_ref());
            let wanted = Parts::new(&mut gradients[..end]);
            let grain = if self.block < self.rows { 1 } else { end - first };
            for_ranges(self.nanoseconds, end - first, grain, &|layers| {
                for idx in first + layers.start..first + layers.end {
                    let dz = &this[self.offsets[idx] - self.offsets[base(start)]..]
                        [..self.rows * self.layers[idx].outputs()];
                    // SAFETY: each layer has one turn.
                    for wanted in unsafe { wanted.part(idx..idx + 1) } {
                        self.parameters(idx, self.input(known, idx, &(0..self.rows)), dz, wanted);
                    }
                }
            });
            if !keeps {
                std::mem::swap(&mut this, &mut next);
            }
            (start, end) = (below, start);
        }
    }

    /// From da of the last of these layers, which becomes dz, down to that of the layer below the first, but
    /// not below `lowest`; or to dx. The first array of deltas begins with those of a certain layer, and what
    /// lies before is in the second. Where da is shown, it has a place of its own.
    fn descend(
        &self,
        known: &Known<'_, T>,
        (layers, lowest): (Range<usize>, usize),
        deltas: &[(usize, Parts<'_, T>); 2],
        dx: Option<&Parts<'_, T>>,
        shown: Option<&Parts<'_, T>>,
    ) {
        for_ranges(self.nanoseconds, self.rows, self.block, &|rows| {
            // SAFETY: no other block has these rows, and this one asks once for those of a layer: when it
            // comes to it, or, for the last, here below.
            let delta = |layer: usize| unsafe {
                let (begin, parts) = &deltas[usize::from(layer < deltas[0].0)];
                parts.part(rows_at(
                    self.offsets[layer] - self.offsets[*begin],
                    &rows,
                    self.layers[layer].outputs(),
                ))
            };
            let place_of_da = |layer: usize| match shown {
                // SAFETY: as above.
                Some(shown) if self.layers[layer].function.is_some() => unsafe {
                    shown.part(self.place(layer, &rows))
                },
                _ => delta(layer),
            };
            let mut da = place_of_da(layers.end - 1);
            for idx in layers.clone().rev() {
                let layer = &self.layers[idx];
                if layer.kept.is_some() {
                    layer.drop(da, &known.masks[self.place(idx, &rows)]);
                }
                let dz = match (layer.function, shown) {
                    (Some(function), Some(_)) => {
                        let dz = delta(idx);
                        (function.pull_to)(da, self.tells_slope(known, idx, &rows), dz);
                        dz
                    }
                    (Some(function), None) => {
                        (function.pull)(da, self.tells_slope(known, idx, &rows));
                        da
                    }
                    (None, _) => da,
                };
                if layer.function.is_some() {
                    self.flush(dz);
                }
                da = match dx {
                    _ if idx > lowest => place_of_da(idx - 1),
                    // SAFETY: no other block has these rows.
                    Some(dx) if idx == 0 => unsafe { dx.part(rows_at(0, &rows, layer.inputs)) },
                    _ => return,
                };
                let (outputs, dy) = (layer.outputs(), row_major(dz, layer.outputs()));
                matmul(rows.len(), layer.inputs, outputs, dy, layer.weight, da, Output::Overwrite);
                self.flush(da);
            }
        });
    }

    /// The gradients of a layer's parameters.
    fn parameters(&self, layer: usize, x: &[T], dz: &[T], wanted: &mut Gradients<'_, T>) {
        let layer = &self.layers[layer];
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

    /// Where some rows of a layer's outputs lie among those of all layers.
    fn place(&self, layer: usize, rows: &Range<usize>) -> Range<usize> {
        rows_at(self.offsets[layer], rows, self.layers[layer].outputs())
    }

    /// The slopes of a layer's function, or what it made, where that tells them.
    fn tells_slope<'k>(&self, known: &Known<'k, T>, layer: usize, rows: &Range<usize>) -> &'k [T] {
        match self.layers[layer].keeps_slope() {
            true => &known.slopes[self.place(layer, rows)],
            false => self.output(known, layer, rows),
        }
    }

    /// What a layer was given, for some rows of the batch.
    fn input<'k>(&self, known: &Known<'k, T>, layer: usize, rows: &Range<usize>) -> &'k [T] {
        match layer {
            0 => &known.x[rows_at(0, rows, self.layers[0].inputs)],
            _ => self.output(known, layer - 1, rows),
        }
    }

    /// What a layer made of it.
    fn output<'k>(&self, known: &Known<'k, T>, layer: usize, rows: &Range<usize>) -> &'k [T] {
        let place = |offset| rows_at(offset, rows, self.layers[layer].outputs());
        if layer + 1 == self.layers.len() {
            &known.y[place(0)]
        } else {
            &known.hidden[place(self.offsets[layer])]
        }
    }

    /// The first of the layers up to `end` whose deltas are held at the same time.
    fn segment(&self, end: usize) -> usize {
        let room = if self.block < self.rows { SEGMENT } else { 0 };
        let fits = |&start: &usize| self.offsets[end] - self.offsets[start] <= room;
        (0..end - 1).rev().take_while(fits).last().unwrap_or(end - 1)
    }

    /// The most outputs of a layer that is not the last.
    fn widest(&self) -> usize {
        let hidden = &self.layers[..self.layers.len() - 1];
        hidden.iter().map(Layer::outputs).max().unwrap_or(0)
    }

    fn flush(&self, x: &mut [T]) {
        if self.flushes {
            subnormal::flush_to_zero(x);
        }
    }

    fn check(&self, x: &[T], y: usize) {
        let (first, last) = (&self.layers[0], &self.layers[self.layers.len() - 1]);
        let fits = x.len() == self.rows * first.inputs && y == self.rows * last.outputs();
        assert!(fits, "perceptron: x or y has not the length that the shapes say");
    }
}

/// What the way back starts from: the operand, and what [`Perceptron::forward`] wrote.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a, T> {
    /// x, `[rows, inputs]`.
    pub x: &'a [T],
    /// The outputs of all layers but the last.
    pub hidden: &'a [T],
    /// The slopes that cannot be told from the outputs.
    pub slopes: &'a [T],
    /// Which elements were kept.
    pub masks: &'a [bool],
    /// The outputs of the last layer.
    pub y: &'a [T],
}

/// Rows of `width` numbers in an array that begins at `offset`.
fn rows_at(offset: usize, rows: &Range<usize>, width: usize) -> Range<usize> {
    offset + rows.start * width..offset + rows.end * width
}

fn row_major<T>(data: &[T], width: usize) -> Matrix<'_, T> {
    Matrix { data, offset: 0, row_stride: width.max(1), col_stride: 1 }
}
