//! A recurrent layer over all steps of a batch of sequences, forwards and back through time.
//!
//! ```text
//! gates of step t    g = (x[t]·w_ihᵀ + biases, for all steps beforehand) + h[t − 1]·w_hhᵀ
//! then               h[t], c[t] = cell(g, h[t − 1], c[t − 1])
//! ```
//!
//! Sequences never meet, so each thread takes some of them through all steps, and their numbers stay in its cache, as
//! in [`perceptron`](crate::perceptron). What sums over sequences and steps, the gradients of weights, are products of
//! whole arrays, which the caller makes of the gates' gradients.
//!
//! A sequence that has ended stays in the state that it is in; one that runs backwards starts at its own end.

mod cells;

pub use cells::{Cell, Gru, Lstm, Rnn};

use crate::Float;
use crate::matmul::{self, Matrix, Output, Packed};
use crate::parallel::{Parts, for_ranges};
use std::ops::Range;

/// Sequences that a thread takes, at least, and how many such blocks there are, at most. So a block has 16 or more:
/// products of fewer than 9 rows sum in another order.
const BLOCK_ROWS: usize = 16;
const BLOCKS: usize = 16;
const _: () = assert!(BLOCK_ROWS > matmul::FEW_ROWS);
/// Multiply-adds in a nanosecond, about.
const PER_NANOSECOND: usize = 60;

/// The sizes of a batch of sequences, and which way they run.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a> {
    /// Steps.
    pub steps: usize,
    /// Sequences.
    pub rows: usize,
    /// Numbers of a state.
    pub hidden: usize,
    /// Whether they run from the last step to the first.
    pub reverse: bool,
    /// Steps of each sequence; all have all without it.
    pub lengths: Option<&'a [usize]>,
}

/// What a layer keeps of a pass, by steps, sequences and numbers.
#[derive(Debug)]
pub struct States<'a, T> {
    /// Sums beforehand, then the gates as they are: `[steps, rows, gates·hidden]`.
    pub gates: &'a mut [T],
    /// h: `[steps, rows, hidden]`.
    pub h: &'a mut [T],
    /// c of an LSTM; of a GRU the part of the candidate that comes from h. Empty for others.
    pub c: &'a mut [T],
}

/// What a pass back needs to know, and what it makes.
#[derive(Debug)]
pub struct Back<'a, T> {
    /// As the pass forwards left them.
    pub gates: &'a [T],
    /// As the pass forwards left them.
    pub h: &'a [T],
    /// As the pass forwards left them.
    pub c: &'a [T],
    /// The gradient of h.
    pub dh: &'a [T],
    /// That of c of an LSTM; empty for others.
    pub dc: &'a [T],
    /// Gradients of the sums beforehand.
    pub d_sums: &'a mut [T],
    /// Of a GRU, gradients of what comes from h, in the same places; empty for others, where they are the same.
    pub d_carried: &'a mut [T],
    /// Of the states that the sequences began in.
    pub dh0: &'a mut [T],
    /// Of an LSTM; empty for others.
    pub dc0: &'a mut [T],
    /// Gradients of h and c of each step by all that comes after it, and of c by h of the same step, for somebody who
    /// looks on: of the sizes of `dh` and `dc`, or empty.
    pub shown: [&'a mut [T]; 2],
}

impl Sequences<'_> {
    fn step(&self, nth: usize) -> usize {
        if self.reverse { self.steps - 1 - nth } else { nth }
    }

    /// Whether a sequence still goes on, or has begun, at a step.
    fn is_active(&self, row: usize, step: usize) -> bool {
        self.lengths.is_none_or(|lengths| step < lengths[row])
    }

    fn block(&self) -> usize {
        self.rows.div_ceil((self.rows / BLOCK_ROWS).clamp(1, BLOCKS))
    }

    fn nanoseconds(&self, gates: usize) -> usize {
        self.steps * self.rows * self.hidden * self.hidden * gates / PER_NANOSECOND
    }

    /// Where some rows of a step lie, of so many numbers each.
    fn place(&self, step: usize, rows: &Range<usize>, width: usize) -> Range<usize> {
        (step * self.rows + rows.start) * width..(step * self.rows + rows.end) * width
    }

    #[track_caller]
    fn check<C>(&self, cell: &C, kept: [usize; 3], w: usize)
    where
        C: Cell,
    {
        let (all, gates) = (self.steps * self.rows * self.hidden, cell.gates());
        let c = if cell.keeps_more() { all } else { 0 };
        let fits = kept == [all * gates, all, c] && w == self.hidden * self.hidden * gates;
        assert!(fits, "recurrent: slices do not have the lengths that {self:?} says");
    }
}

/// From the sums beforehand to all states. `w` is `w_hh`, `[gates·hidden, hidden]`; `bias` what a GRU adds to what comes
/// from h, empty for others; `h0` and `c0` the states that the sequences begin in.
///
/// # Panics
/// If a slice does not have the length that the sizes say.
pub fn forward<T: Float, C: Cell>(
    cell: C,
    sizes: &Sequences<'_>,
    w: &[T],
    bias: &[T],
    [h0, c0]: [&[T]; 2],
    states: States<'_, T>,
) {
    let Sequences { steps, rows, hidden, .. } = *sizes;
    let (gates, carries) = (cell.gates(), cell.carries_apart());
    sizes.check(&cell, [states.gates.len(), states.h.len(), states.c.len()], w.len());
    assert!(h0.len() == rows * hidden, "recurrent: h0 of {} numbers", h0.len());
    if states.h.is_empty() {
        return;
    }
    // Read at each step.
    let turned = Packed::new(hidden, gates * hidden, row_major(w, hidden).transposed());
    let (all_gates, all_h, all_c) = (Parts::new(states.gates), Parts::new(states.h), Parts::new(states.c));
    for_ranges(sizes.nanoseconds(gates), rows, sizes.block(), &|block| {
        let mut carried = vec![T::ZERO; if carries { block.len() * gates * hidden } else { 0 }];
        let (mut h, mut c) = (&h0[block.start * hidden..block.end * hidden], &[][..]);
        if cell.has_memory() {
            c = &c0[block.start * hidden..block.end * hidden];
        }
        for nth in 0..steps {
            let step = sizes.step(nth);
            // SAFETY: no other block has these rows, and this one comes to a step once.
            let (g, h_next, c_next) = unsafe {
                (
                    all_gates.part(sizes.place(step, &block, gates * hidden)),
                    all_h.part(sizes.place(step, &block, hidden)),
                    match cell.keeps_more() {
                        true => all_c.part(sizes.place(step, &block, hidden)),
                        false => &mut [][..],
                    },
                )
            };
            let left = row_major(h, hidden);
            let (product, output) =
                if carries { (&mut carried[..], Output::Bias(bias)) } else { (&mut *g, Output::Accumulate) };
            turned.product(block.len(), left, product, output);
            for row in 0..block.len() {
                let of = |width: usize| row * width..(row + 1) * width;
                if !sizes.is_active(block.start + row, step) {
                    h_next[of(hidden)].copy_from_slice(&h[of(hidden)]);
                    if cell.has_memory() {
                        c_next[of(hidden)].copy_from_slice(&c[of(hidden)]);
                    }
                }
            }
            let is_active = |row: usize| sizes.is_active(block.start + row, step);
            cell.forward(hidden, &is_active, g, &carried, [h, c], [h_next, c_next]);
            h = h_next;
            if cell.has_memory() {
                c = c_next;
            }
        }
    });
}

/// From the gradients of all states to those of the sums beforehand and of the states that the sequences began in.
///
/// # Panics
/// As [`forward`].
pub fn backward<T: Float, C: Cell>(
    cell: C,
    sizes: &Sequences<'_>,
    w: &[T],
    [h0, c0]: [&[T]; 2],
    back: Back<'_, T>,
) {
    let Sequences { steps, rows, hidden, .. } = *sizes;
    let (gates, carries) = (cell.gates(), cell.carries_apart());
    sizes.check(&cell, [back.gates.len(), back.h.len(), back.c.len()], w.len());
    assert!(back.dh0.len() == rows * hidden, "recurrent: dh0 of {} numbers", back.dh0.len());
    if rows * hidden == 0 {
        return;
    }
    let w = Packed::new(gates * hidden, hidden, row_major(w, hidden));
    let [d_sums, d_carried, dh0, dc0] = [back.d_sums, back.d_carried, back.dh0, back.dc0].map(Parts::new);
    let all = steps * rows * hidden;
    let shows = back.shown.each_ref().map(|shown| shown.len() == all && all > 0);
    let shown = back.shown.map(Parts::new);
    for_ranges(sizes.nanoseconds(gates), rows, sizes.block(), &|block| {
        let state = block.start * hidden..block.end * hidden;
        // SAFETY: no other block has these rows.
        let (dh, dc) = unsafe {
            (dh0.part(state.clone()), if cell.has_memory() { dc0.part(state.clone()) } else { &mut [][..] })
        };
        dh.fill(T::ZERO);
        dc.fill(T::ZERO);
        for nth in (0..steps).rev() {
            let step = sizes.step(nth);
            let at = |width: usize| sizes.place(step, &block, width);
            add(dh, &back.dh[at(hidden)]);
            if cell.has_memory() && !back.dc.is_empty() {
                add(dc, &back.dc[at(hidden)]);
            }
            // Of sequences that have ended, the gradient of c stays as it is.
            let mut shown_here = [&mut [][..], &mut []];
            for (((shown, shows), d), here) in shown.iter().zip(shows).zip([&*dh, &*dc]).zip(&mut shown_here)
            {
                if shows && d.len() == block.len() * hidden {
                    // SAFETY: as above; this block comes to a step once.
                    *here = unsafe { shown.part(at(hidden)) };
                    here.copy_from_slice(d);
                }
            }
            let [_, shown_c] = shown_here;
            let before = (nth > 0).then(|| sizes.place(sizes.step(nth - 1), &block, hidden));
            let h = before.clone().map_or(&h0[state.clone()], |place| &back.h[place]);
            let c = match before {
                _ if !cell.has_memory() => &[][..],
                Some(place) => &back.c[place],
                None => &c0[state.clone()],
            };
            let now = if cell.keeps_more() { &back.c[at(hidden)] } else { &[][..] };
            // SAFETY: as above; this block comes to a step once.
            let (d_sums, d_carried) = unsafe {
                (
                    d_sums.part(at(gates * hidden)),
                    if carries { d_carried.part(at(gates * hidden)) } else { &mut [][..] },
                )
            };
            let is_active = |row: usize| sizes.is_active(block.start + row, step);
            let kept =
                cells::Kept { gates: &back.gates[at(gates * hidden)], now, h, c, h_now: &back.h[at(hidden)] };
            let sums = [&mut *d_sums, &mut *d_carried];
            cell.backward(hidden, &is_active, kept, [&mut *dh, &mut *dc], sums, shown_c);
            let left = row_major(if carries { d_carried } else { d_sums }, gates * hidden);
            w.product(block.len(), left, dh, Output::Accumulate);
        }
    });
}

fn add<T: Float>(to: &mut [T], x: &[T]) {
    crate::map::zip_inplace(to, x, |to, x| to + x);
}

fn row_major<T>(data: &[T], width: usize) -> Matrix<'_, T> {
    Matrix { data, offset: 0, row_stride: width.max(1), col_stride: 1 }
}
