//! What the cells make of their gates, and the way back, for some sequences at a step.

use crate::Float;
use crate::isa::{Work, dispatch};

/// A recurrent cell, element by element: what comes from products is in its gates already.
pub trait Cell: Copy + Send + Sync {
    /// How many gates it has.
    fn gates(self) -> usize;
    /// Whether it has a state c beside h.
    fn has_memory(self) -> bool {
        false
    }
    /// Whether what comes from h is kept apart from what comes from x.
    fn carries_apart(self) -> bool {
        false
    }
    /// Whether more is kept of a step than gates and h.
    fn keeps_more(self) -> bool {
        self.has_memory() || self.carries_apart()
    }
    /// Of one sequence: its sums become gates, and h and what more is kept are written.
    fn step<T: Float>(self, gates: &mut [T], carried: &[T], before: [&[T]; 2], after: [&mut [T]; 2]);
    /// Of one sequence: from the gradients of h and c after the step to those of the sums, and of h and c before it as
    /// far as they do not come by products. `shown`, if it is not empty, becomes the gradient of c after the step, with
    /// what comes to it by h.
    fn pull<T: Float>(self, kept: &Kept<'_, T>, states: [&mut [T]; 2], sums: [&mut [T]; 2], shown: &mut [T]);

    /// Of all that are active.
    fn forward<T: Float>(
        self,
        hidden: usize,
        is_active: &dyn Fn(usize) -> bool,
        gates: &mut [T],
        carried: &[T],
        before: [&[T]; 2],
        after: [&mut [T]; 2],
    ) {
        dispatch(Forward { cell: self, hidden, is_active, gates, carried, before, after });
    }

    /// Of all that are active; the sums of the others get 0, and their states keep their gradients.
    fn backward<T: Float>(
        self,
        hidden: usize,
        is_active: &dyn Fn(usize) -> bool,
        kept: Kept<'_, T>,
        states: [&mut [T]; 2],
        sums: [&mut [T]; 2],
        shown: &mut [T],
    ) {
        dispatch(Backward { cell: self, hidden, is_active, kept, states, sums, shown });
    }
}

/// What a pass back knows of a step.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a, T> {
    /// The gates.
    pub gates: &'a [T],
    /// c after the step, or what a GRU's candidate has from h.
    pub now: &'a [T],
    /// h before it.
    pub h: &'a [T],
    /// c before it.
    pub c: &'a [T],
    /// h after it.
    pub h_now: &'a [T],
}

/// `h = tanh g`, or `h = max(g, 0)`.
#[derive(Clone, Copy, Debug)]
pub enum Rnn {
    /// The hyperbolic tangent.
    Tanh,
    /// max(g, 0).
    Relu,
}

/// `c = σ(f)·c + σ(i)·tanh g`, `h = σ(o)·tanh c`; gates in the order i, f, g, o.
#[derive(Clone, Copy, Debug)]
pub struct Lstm;

/// `n = tanh(g_n + σ(r)·(what comes from h))`, `h = (h − n)·σ(z) + n`; gates in the order r, z, n.
#[derive(Clone, Copy, Debug)]
pub struct Gru;

impl Cell for Rnn {
    fn gates(self) -> usize {
        1
    }

    #[inline(always)]
    fn step<T: Float>(self, gates: &mut [T], _: &[T], _: [&[T]; 2], [h, _]: [&mut [T]; 2]) {
        for (h, &g) in h.iter_mut().zip(&*gates) {
            *h = match self {
                Self::Tanh => g.tanh(),
                // Written so that NaN stays.
                Self::Relu if g < T::ZERO => T::ZERO,
                Self::Relu => g,
            };
        }
        gates.copy_from_slice(h);
    }

    #[inline(always)]
    fn pull<T: Float>(
        self,
        kept: &Kept<'_, T>,
        [dh, _]: [&mut [T]; 2],
        [d_sums, _]: [&mut [T]; 2],
        _: &mut [T],
    ) {
        for ((d_sum, dh), &h) in d_sums.iter_mut().zip(dh).zip(kept.h_now) {
            *d_sum = match self {
                Self::Tanh => *dh * (T::ONE - h * h),
                Self::Relu => {
                    if h > T::ZERO {
                        *dh
                    } else {
                        T::ZERO
                    }
                }
            };
            *dh = T::ZERO;
        }
    }
}

impl Cell for Lstm {
    fn gates(self) -> usize {
        4
    }

    fn has_memory(self) -> bool {
        true
    }

    #[inline(always)]
    fn step<T: Float>(self, gates: &mut [T], _: &[T], [_, c]: [&[T]; 2], [h, c_now]: [&mut [T]; 2]) {
        let n = h.len();
        // Gate after gate: the constants of one function fit the registers, those of two do not.
        for gate in &mut gates[..2 * n] {
            *gate = gate.sigmoid();
        }
        for gate in &mut gates[2 * n..3 * n] {
            *gate = gate.tanh();
        }
        for gate in &mut gates[3 * n..] {
            *gate = gate.sigmoid();
        }
        let [i, f, g, o] = in_four(gates, n);
        let (c, c_now) = (&c[..n], &mut c_now[..n]);
        for j in 0..n {
            c_now[j] = f[j] * c[j] + i[j] * g[j];
            h[j] = o[j] * c_now[j].tanh();
        }
    }

    #[inline(always)]
    fn pull<T: Float>(
        self,
        kept: &Kept<'_, T>,
        [dh, dc]: [&mut [T]; 2],
        [d_sums, _]: [&mut [T]; 2],
        shown: &mut [T],
    ) {
        let n = dh.len();
        let (gates, c, now, dc) = (&kept.gates[..4 * n], &kept.c[..n], &kept.now[..n], &mut dc[..n]);
        let [di, df, dg, d_o] = in_four(d_sums, n);
        let (i, f, g, o) = (&gates[..n], &gates[n..2 * n], &gates[2 * n..3 * n], &gates[3 * n..]);
        for j in 0..n {
            let squashed = now[j].tanh();
            let dc_now = dc[j] + dh[j] * o[j] * (T::ONE - squashed * squashed);
            di[j] = dc_now * g[j] * i[j] * (T::ONE - i[j]);
            df[j] = dc_now * c[j] * f[j] * (T::ONE - f[j]);
            dg[j] = dc_now * i[j] * (T::ONE - g[j] * g[j]);
            d_o[j] = dh[j] * squashed * o[j] * (T::ONE - o[j]);
            (dc[j], dh[j]) = (dc_now, T::ZERO);
        }
        // Apart from the loop, which would ask for each number; and no closure, which would be left out of it.
        if !shown.is_empty() {
            shown.copy_from_slice(dc);
        }
        for j in 0..n {
            dc[j] *= f[j];
        }
    }
}

impl Cell for Gru {
    fn gates(self) -> usize {
        3
    }

    fn carries_apart(self) -> bool {
        true
    }

    #[inline(always)]
    fn step<T: Float>(self, gates: &mut [T], carried: &[T], [h, _]: [&[T]; 2], [h_now, now]: [&mut [T]; 2]) {
        let n = h_now.len();
        // As for an LSTM.
        for (gate, &carried) in gates[..2 * n].iter_mut().zip(carried) {
            *gate = (*gate + carried).sigmoid();
        }
        let (r, rest) = gates.split_at_mut(n);
        let (z, candidate) = rest.split_at_mut(n);
        let (r, z, candidate, now, h) = (&r[..n], &z[..n], &mut candidate[..n], &mut now[..n], &h[..n]);
        let from_n = &carried[2 * n..3 * n];
        for j in 0..n {
            now[j] = from_n[j];
            candidate[j] = (candidate[j] + r[j] * now[j]).tanh();
            h_now[j] = (h[j] - candidate[j]) * z[j] + candidate[j];
        }
    }

    #[inline(always)]
    fn pull<T: Float>(
        self,
        kept: &Kept<'_, T>,
        [dh, _]: [&mut [T]; 2],
        [d_sums, d_carried]: [&mut [T]; 2],
        _: &mut [T],
    ) {
        let n = dh.len();
        let (gates, h, now) = (&kept.gates[..3 * n], &kept.h[..n], &kept.now[..n]);
        let (r, z, candidate) = (&gates[..n], &gates[n..2 * n], &gates[2 * n..]);
        let (d_sums, d_carried) = (&mut d_sums[..3 * n], &mut d_carried[..3 * n]);
        for j in 0..n {
            let d_candidate = dh[j] * (T::ONE - z[j]) * (T::ONE - candidate[j] * candidate[j]);
            let dr = d_candidate * now[j] * r[j] * (T::ONE - r[j]);
            let dz = dh[j] * (h[j] - candidate[j]) * z[j] * (T::ONE - z[j]);
            (d_sums[j], d_sums[n + j], d_sums[2 * n + j]) = (dr, dz, d_candidate);
            (d_carried[j], d_carried[n + j], d_carried[2 * n + j]) = (dr, dz, d_candidate * r[j]);
            dh[j] *= z[j];
        }
    }
}

/// Four slices of `n` numbers.
#[inline(always)]
fn in_four<T>(x: &mut [T], n: usize) -> [&mut [T]; 4] {
    let (a, rest) = x[..4 * n].split_at_mut(n);
    let (b, rest) = rest.split_at_mut(n);
    let (c, d) = rest.split_at_mut(n);
    [a, b, c, d]
}

struct Forward<'a, T, C> {
    cell: C,
    hidden: usize,
    is_active: &'a dyn Fn(usize) -> bool,
    gates: &'a mut [T],
    carried: &'a [T],
    before: [&'a [T]; 2],
    after: [&'a mut [T]; 2],
}

/// Row `row` of rows of `width`; nothing of nothing.
#[inline(always)]
fn row<T>(x: &[T], row: usize, width: usize) -> &[T] {
    if x.is_empty() { x } else { &x[row * width..(row + 1) * width] }
}

#[inline(always)]
fn row_mut<T>(x: &mut [T], row: usize, width: usize) -> &mut [T] {
    if x.is_empty() { x } else { &mut x[row * width..(row + 1) * width] }
}

impl<T: Float, C: Cell> Work for Forward<'_, T, C> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { cell, hidden, is_active, gates, carried, before, after: [h, c] } = self;
        let width = cell.gates() * hidden;
        for at in (0..h.len() / hidden).filter(|&at| is_active(at)) {
            let before = before.map(|x| row(x, at, hidden));
            let after = [row_mut(h, at, hidden), row_mut(c, at, hidden)];
            cell.step(row_mut(gates, at, width), row(carried, at, width), before, after);
        }
    }
}

struct Backward<'a, T, C> {
    cell: C,
    hidden: usize,
    is_active: &'a dyn Fn(usize) -> bool,
    kept: Kept<'a, T>,
    states: [&'a mut [T]; 2],
    sums: [&'a mut [T]; 2],
    shown: &'a mut [T],
}

impl<T: Float, C: Cell> Work for Backward<'_, T, C> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { cell, hidden, is_active, kept, states: [dh, dc], sums: [d_sums, d_carried], shown } = self;
        let width = cell.gates() * hidden;
        for at in 0..dh.len() / hidden {
            let sums = [row_mut(d_sums, at, width), row_mut(d_carried, at, width)];
            if !is_active(at) {
                sums.into_iter().for_each(|sums| sums.fill(T::ZERO));
                continue;
            }
            let kept = Kept {
                gates: row(kept.gates, at, width),
                now: row(kept.now, at, hidden),
                h: row(kept.h, at, hidden),
                c: row(kept.c, at, hidden),
                h_now: row(kept.h_now, at, hidden),
            };
            let states = [row_mut(dh, at, hidden), row_mut(dc, at, hidden)];
            cell.pull(&kept, states, sums, row_mut(shown, at, hidden));
        }
    }
}
