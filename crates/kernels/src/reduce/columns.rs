//! Folding the rows of a matrix into one row.
//!
//! Rows are read as they lie in memory and joined in a tree: four at a time, those in runs of 32 rows, and
//! the runs like the digits of a binary counter.

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
    /// Joins rows `start..end` into `out`.
    #[inline(always)]
    fn run_of_rows(&self, start: usize, end: usize, out: &mut [A]) {
        let (wide, rest) = out.as_chunks_mut::<64>();
        for (chunk, out) in wide.iter_mut().enumerate() {
            *out = self.run_of_chunks(start, end, 64 * chunk);
        }
        let first = 64 * wide.len();
        let (narrow, rest) = rest.as_chunks_mut::<16>();
        for (chunk, out) in narrow.iter_mut().enumerate() {
            *out = self.run_of_chunks(start, end, first + 16 * chunk);
        }
        let first = first + 16 * narrow.len();
        for (column, out) in rest.iter_mut().enumerate() {
            [*out] = self.run_of_chunks(start, end, first + column);
        }
    }

    /// Joins rows `start..end` of the `N` columns from `column` on, which stay in registers meanwhile.
    #[inline(always)]
    fn run_of_chunks<const N: usize>(&self, start: usize, end: usize, column: usize) -> [A; N] {
        let join = self.fold.join;
        let row = |i: usize| -> &[A; N] {
            self.x[i * self.stride + column..].first_chunk().expect("rows are as wide as the result")
        };
        let mut sums = [self.fold.identity; N];
        let whole = start + (end - start) / 4 * 4;
        for i in (start..whole).step_by(4) {
            let [a, b, c, d] = [row(i), row(i + 1), row(i + 2), row(i + 3)];
            for l in 0..N {
                sums[l] = join(sums[l], join(join(a[l], b[l]), join(c[l], d[l])));
            }
        }
        for i in whole..end {
            let a = row(i);
            for l in 0..N {
                sums[l] = join(sums[l], a[l]);
            }
        }
        sums
    }
}

impl<A: Copy, F: Fn(A, A) -> A + Copy> Work for Columns<'_, A, F> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        let runs = self.len.div_ceil(RUN);
        let total = std::mem::take(&mut self.out);
        if runs <= 1 {
            return self.run_of_rows(0, self.len, total);
        }
        // `waiting[d]` joins 2^d runs, if bit d of the number of runs so far is set.
        let digits = runs.ilog2() as usize + 1;
        let mut waiting = vec![self.fold.identity; digits * self.width];
        for run in 0..runs {
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
