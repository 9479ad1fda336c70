//! The left operand, packed once for all threads or used where it lies.

use super::level::Level;
use super::operand::{Left, Operand};
use crate::Float;
use crate::parallel::{self, GRAIN, Split};

/// An operand spread over no more than this many elements is not packed: 256 KiB of `f32`.
const DIRECT: usize = 1 << 16;
/// Elements between rows that meet in the first-level cache: 4 KiB of `f32`.
const ALIASING: usize = 1 << 10;
/// Packing pays when each packed element is used for this many columns of the result.
const FEW_COLUMNS: usize = 64;

/// Whether packing the left operand pays. Rows that lie in one piece are read where they are (0.92 of the
/// time of a step with batches of 4096), but for those whose distance puts a tile's rows into the same few
/// places of the cache.
pub(super) fn packing_pays<T: Copy>(m: usize, n: usize, k: usize, a: Operand<T>) -> bool {
    let is_apart = a.col_stride != 1 || a.row_stride.is_multiple_of(ALIASING);
    n >= FEW_COLUMNS && a.extent(m, k) > DIRECT && is_apart
}

/// Packs `a` into `out`, in parallel where it is large.
///
/// # Safety
/// `a` is readable for `m` rows of `k`.
pub(super) unsafe fn pack<T: Float>(
    m: usize,
    k: usize,
    a: Operand<T>,
    level: &Level<T>,
    out: &mut [T],
) -> Left<T> {
    let tile_rows = level.tiles.len();
    let panels = m.div_ceil(tile_rows);
    let out = &mut out[..panels * tile_rows * k];
    let work = Panelled { a, m, k, tile_rows, panels, out: &mut *out };
    // SAFETY: passed on; the pieces are parts of `a`.
    parallel::for_each(work, (GRAIN / k).div_ceil(tile_rows), |x| unsafe {
        (level.pack)(&x.a.panels_of_rows(x.m, x.k, x.tile_rows), x.out);
    });
    // Only now that nobody writes: a pointer taken earlier would not outlive the mutable borrow.
    let tile = Operand { first: out.as_ptr(), row_stride: 1, col_stride: tile_rows };
    Left { tile, step: k }
}

/// The left operand being packed; it can be cut between panels.
struct Panelled<'a, T> {
    a: Operand<T>,
    m: usize,
    k: usize,
    tile_rows: usize,
    panels: usize,
    out: &'a mut [T],
}

// SAFETY: the operand is only read and outlives the call.
unsafe impl<T: Send + Sync> Send for Panelled<'_, T> {}

impl<T: Float> Split for Panelled<'_, T> {
    fn length(&self) -> usize {
        self.panels
    }
    fn split(self, mid: usize) -> (Self, Self) {
        let rows = mid * self.tile_rows;
        let (left, right) = self.out.split_at_mut(rows * self.k);
        (
            Self { m: rows, panels: mid, out: left, ..self },
            Self { a: self.a.at(rows, 0), m: self.m - rows, panels: self.panels - mid, out: right, ..self },
        )
    }
}
