//! Folding the rows of a matrix into one row.
//!
//! Rows are read as they lie in memory and joined in a tree: four at a time, those in runs of 32 rows, and the runs like
//! the digits of a binary counter.

use super::fold::Fold;
use crate::isa::{Work, dispatch};
use crate::map::Element;
use crate::parallel::{self, GRAIN, Rows};
use std::ops::Range;

/// Columns folded together: a row of results that stays in the first-level cache.
const WIDTH: usize = 1024;
/// Rows joined in a run.
const RUN: usize = 32;

/// Rows `0..len` of `width` columns, `stride` elements apart.
struct Columns<'a, A, F> {
    x: &'a [A],
    len: usize,
    width: usize,
    stride: usize,
    fold: Fold<A, F>,
    out: &'a mut [A],
}

impl<A: Copy, F: Fn(A, A) -> A + Copy> Columns<'_, A, F> {
    #[inline(always)]
    fn row(&self, i: usize) -> &[A] {
        &self.x[i * self.stride..][..self.width]
    }

    /// Joins rows `start..end` into `out`, which starts as the identity.
    #[inline(always)]
    fn run_of_rows(&self, start: usize, end: usize, out: &mut [A]) {
        let join = self.fold.join;
        let mut i = start;
        while i + 4 <= end {
            let rows = self.row(i).iter().zip(self.row(i + 1)).zip(self.row(i + 2)).zip(self.row(i + 3));
            for (out, (((&a, &b), &c), &d)) in out.iter_mut().zip(rows) {
                *out = join(*out, join(join(a, b), join(c, d)));
            }
            i += 4;
        }
        for i in i..end {
            for (out, &a) in out.iter_mut().zip(self.row(i)) {
                *out = join(*out, a);
            }
        }
    }
}

impl<A: Copy, F: Fn(A, A) -> A + Copy> Work for Columns<'_, A, F> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        let runs = self.len.div_ceil(RUN);
        let total = std::mem::take(&mut self.out);
        total.fill(self.fold.identity);
        if runs <= 1 {
            return self.run_of_rows(0, self.len, total);
        }
        // `waiting[d]` joins 2^d runs, if bit d of the number of runs so far is set.
        let digits = runs.ilog2() as usize + 1;
        let mut waiting = vec![self.fold.identity; digits * self.width];
        for run in 0..runs {
            total.fill(self.fold.identity);
            self.run_of_rows(run * RUN, self.len.min((run + 1) * RUN), total);
            let full = run.trailing_ones() as usize;
            for waiting in waiting.chunks_exact(self.width).take(full) {
                for (total, &earlier) in total.iter_mut().zip(waiting) {
                    *total = (self.fold.join)(earlier, *total);
                }
            }
            waiting[full * self.width..][..self.width].copy_from_slice(total);
        }
        let mut digits = waiting.chunks_exact(self.width).enumerate().filter(|(d, _)| runs >> d & 1 == 1);
        if let Some((_, first)) = digits.next() {
            total.copy_from_slice(first);
        }
        for (_, waiting) in digits {
            for (total, &earlier) in total.iter_mut().zip(waiting) {
                *total = (self.fold.join)(earlier, *total);
            }
        }
    }
}

/// Folds the middle axis of `[outer, len, inner]`.
pub(super) fn middle<A: Element>(
    x: &[A],
    len: usize,
    inner: usize,
    out: &mut [A],
    fold: Fold<A, impl Fn(A, A) -> A + Copy + Send + Sync>,
) {
    let matrix = |outer: usize, out: &mut [A]| {
        for (tile, out) in out.chunks_mut(WIDTH).enumerate() {
            let width = out.len();
            let grain = (GRAIN / width).next_multiple_of(RUN);
            let join = |rows: Range<usize>, out: &mut [A]| {
                let x = &x[(outer * len + rows.start) * inner + tile * WIDTH..];
                dispatch(Columns { x, len: rows.len(), width, stride: inner, fold, out });
            };
            if len <= grain {
                join(0..len, out);
                continue;
            }
            let total = parallel::fork(
                0..len,
                grain,
                |rows| {
                    let mut total = vec![fold.identity; width];
                    join(rows, &mut total);
                    total
                },
                |mut left, right| {
                    left.iter_mut().zip(right).for_each(|(left, right)| *left = (fold.join)(*left, right));
                    left
                },
            );
            out.copy_from_slice(&total);
        }
    };
    let grain = (GRAIN / (len * inner).max(1)).max(1);
    parallel::for_each(Rows::new(out, inner), grain, |rows| {
        for (i, out) in rows.data.chunks_exact_mut(inner).enumerate() {
            matrix(rows.first + i, out);
        }
    });
}
