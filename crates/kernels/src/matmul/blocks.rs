//! A slice of a product, cut between threads and then so that what is read again and again stays in cache.
//!
//! The right operand is packed some columns at a time, and tiles are computed row panel by row panel. An
//! operand that fits the second-level cache is read where it lies, which for the products of a small network
//! saves a tenth of the time. All limits are constants: taking them from the machine's caches, as some
//! libraries do, would make the sums depend on the machine.

use super::buffer::{Line, RIGHT, as_elements, with_buffer};
use super::level::Level;
use super::operand::Block;
use super::tile::Tile;
use crate::Float;
use crate::parallel::for_ranges;

/// Terms summed in registers before they reach the result. It decides the rounding, so it must never depend
/// on anything.
pub(crate) const DEPTH: usize = 512;
/// Elements of the right operand packed at a time: 128 columns of `DEPTH`, or more columns where `k` is
/// smaller.
const PACKED: usize = 128 * DEPTH;
/// A right operand spread over no more than this many elements is not packed: 1 MiB of `f32`.
const DIRECT: usize = 1 << 18;
/// Packing pays when each packed element is used for this many rows of the result.
const FEW_ROWS: usize = 16;
/// Multiply-adds of the smallest piece of work that another thread gets: 8 to 15 µs.
pub(super) const GRAIN: usize = 1 << 20;
/// Multiply-adds in a nanosecond, about.
const PER_NANOSECOND: usize = 100;
/// The smallest parts a block is cut into: smaller ones would read their operands too often for what they
/// compute.
const ROWS: usize = 64;
const COLUMNS: usize = 64;

impl<T: Float> Block<T> {
    /// Computes the block, cut in two until its multiply-adds are `grain` or fewer. The cuts are those of the
    /// shape; where the parts run is decided elsewhere.
    ///
    /// # Safety
    /// The operands are readable and the result writable over the block's extent, and nobody else uses that
    /// part of the result.
    pub(super) unsafe fn compute(self, grain: usize, level: &Level<T>) {
        // SAFETY: the caller's promise; parts are disjoint.
        let compute = |part: &Self| with_buffer(&RIGHT, |buffer| unsafe { part.product(level, buffer) });
        if self.halves(grain, level).is_none() {
            return compute(&self);
        }
        let mut parts = Vec::new();
        self.cut(grain, level, &mut parts);
        let nanoseconds = self.m * self.n * self.k / PER_NANOSECOND;
        for_ranges(nanoseconds, parts.len(), 1, &|range| parts[range].iter().for_each(compute));
    }

    /// Adds the parts that are not cut any further.
    fn cut(self, grain: usize, level: &Level<T>, parts: &mut Vec<Self>) {
        match self.halves(grain, level) {
            Some(halves) => halves.into_iter().for_each(|half| half.cut(grain, level, parts)),
            None => parts.push(self),
        }
    }

    /// Two disjoint parts of the block, if it is to be cut.
    fn halves(&self, grain: usize, level: &Level<T>) -> Option<[Self; 2]> {
        // Halving the columns packs nothing twice, halving the rows keeps rows of the result whole.
        let by_columns = self.n >= 2 * PACKED / self.k || (self.m < 2 * ROWS && self.n >= 2 * COLUMNS);
        if self.m * self.n * self.k <= grain || (!by_columns && self.m < 2 * ROWS) {
            return None;
        }
        Some(if by_columns {
            let mid = (self.n / 2).next_multiple_of(2 * level.lanes);
            let (b, c) = (self.columns_from(mid), self.c.wrapping_add(mid));
            [Self { n: mid, ..*self }, Self { n: self.n - mid, b, c, base: self.base.at(0, mid), ..*self }]
        } else {
            let mid = (self.m / 2).next_multiple_of(level.tiles.len());
            let (a, c) = (self.a.at_row(mid), self.c.wrapping_add(mid * self.c_row_stride));
            [Self { m: mid, ..*self }, Self { m: self.m - mid, a, c, base: self.base.at(mid, 0), ..*self }]
        })
    }

    /// Computes the block on this thread.
    ///
    /// # Safety
    /// As for `compute`.
    unsafe fn product(&self, level: &Level<T>, buffer: &mut Vec<Line>) {
        let (tile_rows, tile_cols) = (level.tiles.len(), 2 * level.lanes);
        let (k, c_row_stride, accumulate) = (self.k, self.c_row_stride, self.accumulate);
        let columns = (PACKED / k).min(self.n).next_multiple_of(tile_cols);
        let is_large = || self.m >= FEW_ROWS && self.b.extent(k, self.n) > DIRECT;
        let packs = !self.b_is_packed && (self.b.col_stride != 1 || is_large());
        let packed = as_elements::<T>(buffer, columns * k);

        // `while` and no `step_by`, which divides to know how many steps there are: small products would feel
        // it.
        let mut first = 0;
        while first < self.n {
            let n = columns.min(self.n - first);
            let b = self.columns_from(first);
            // Tiles read whole registers: columns that do not fill one are always packed.
            let direct = match packs {
                _ if self.b_is_packed => n,
                true => 0,
                false if n % level.lanes == 0 => n,
                false => n - n % tile_cols,
            };
            if direct < n {
                let panels = b.at(0, direct).panels_of_columns(n - direct, k, tile_cols);
                // SAFETY: `b` is readable for `k` rows of `n`.
                unsafe { (level.pack)(&panels, packed) };
            }
            let mut i = 0;
            while i < self.m {
                // 16 rows are two tiles of 8: one of 14 and one of 2 would wait for each other's sums. Packed rows lie in
                // whole tiles.
                let left = self.m - i;
                let is_even = self.a.is_direct() && left > tile_rows && 2 * left < 3 * tile_rows;
                let rows = if is_even { left.div_ceil(2).next_multiple_of(2) } else { tile_rows.min(left) };
                let a = self.a.tile(i);
                let tiles = level.tiles[rows - 1];
                let mut j = 0;
                while j < n {
                    let cols = tile_cols.min(n - j);
                    let (b, b_row_stride) = if j >= direct {
                        (packed[(j - direct) * k..].as_ptr(), tile_cols)
                    } else {
                        (self.columns_from(first + j).first, b.row_stride)
                    };
                    let c = self.c.wrapping_add(i * c_row_stride + first + j);
                    let base = self.base.at(i, first + j);
                    let tile = Tile { rows, cols, k, a, b, b_row_stride, c, c_row_stride, accumulate, base };
                    // SAFETY: the operands as above, packed or not; `b` has whole registers by the choice of
                    // `direct`; the tile of `c` lies inside the block.
                    unsafe { tiles[usize::from(cols > level.lanes)](&tile) };
                    j += tile_cols;
                }
                i += rows;
            }
            first += columns;
        }
    }
}
