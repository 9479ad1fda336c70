//! The innermost piece of a product: a tile of the result that stays in registers while `k` runs.

use super::operand::{Base, Operand};
use super::vector::Vector;
use crate::Float;

/// The most rows that a tile has at any level.
pub(crate) const MOST_ROWS: usize = 14;

/// What a tile reads and writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile<T> {
    /// Rows and columns of the result.
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Terms of each sum.
    pub(super) k: usize,
    /// The left operand, with any strides.
    pub(super) a: Operand<T>,
    /// The right operand, contiguous along rows and readable up to the next whole register.
    pub(super) b: *const T,
    pub(super) b_row_stride: usize,
    /// The result, contiguous along rows.
    pub(super) c: *mut T,
    pub(super) c_row_stride: usize,
    /// Whether the product is added to `base`.
    pub(super) accumulate: bool,
    pub(super) base: Base<T>,
}

/// Computes a tile of at most `MR` rows and `NV` registers of columns.
///
/// With fewer rows than `MR`, the last one is computed several times and stored once.
///
/// # Safety
/// The processor has `V`'s instruction set, this function is inlined where it is enabled, and the pointers
/// are valid as [`Tile`] says. `1 ≤ rows ≤ MR` and `1 ≤ cols ≤ NV·LANES`.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector, const MR: usize, const NV: usize>(x: &Tile<V::Element>) {
    debug_assert!((1..=MR).contains(&x.rows) && (1..=NV * V::LANES).contains(&x.cols));
    // SAFETY: row pointers stop at the last row, reads of `b` at the last whole register of `cols`, steps of
    // `p` below `k`: all inside what the caller vouches for.
    let sums = unsafe {
        let mut a = [x.a.first; MR];
        for i in 1..MR {
            a[i] = x.a.first.add(i.min(x.rows - 1) * x.a.row_stride);
        }
        if x.accumulate {
            // The rows of the result lie far apart: asked for now, they are there when the sums are done.
            for i in 0..MR {
                let c = x.c.wrapping_add(i.min(x.rows - 1) * x.c_row_stride);
                for v in 0..NV {
                    V::prefetch(c.wrapping_add(v * V::LANES));
                }
            }
        }
        let mut sums = [[V::splat(V::Element::ZERO); NV]; MR];
        let mut b = x.b;
        for p in 0..x.k {
            let mut b_row = [V::splat(V::Element::ZERO); NV];
            for v in 0..NV {
                b_row[v] = V::load(b.add(v * V::LANES));
            }
            // Past the end after the last step, hence no `add`.
            b = b.wrapping_add(x.b_row_stride);
            for i in 0..MR {
                let a = V::splat(*a[i].add(p * x.a.col_stride));
                for v in 0..NV {
                    sums[i][v] = a.mul_add(b_row[v], sums[i][v]);
                }
            }
        }
        sums
    };
    // SAFETY: `rows` × `cols` elements of `c` are the caller's to write, and only those are touched.
    unsafe {
        if x.rows == MR && x.cols == NV * V::LANES {
            for i in 0..MR {
                for v in 0..NV {
                    let c = x.c.add(i * x.c_row_stride + v * V::LANES);
                    let base = x.base.at(i, v * V::LANES).first;
                    let sum = if x.accumulate { V::load(base).add(sums[i][v]) } else { sums[i][v] };
                    sum.store(c);
                }
            }
            return;
        }
        let mut lanes = [[[V::Element::ZERO; 16]; NV]; MR];
        for i in 0..MR {
            for v in 0..NV {
                lanes[i][v] = sums[i][v].to_array();
            }
        }
        for i in 0..x.rows {
            for j in 0..x.cols {
                let c = x.c.add(i * x.c_row_stride + j);
                let sum = lanes[i][j / V::LANES][j % V::LANES];
                *c = if x.accumulate { *x.base.at(i, j).first + sum } else { sum };
            }
        }
    }
}
