//! A tile whose rows lie anywhere: what a convolution is made of.
//!
//! The inner axis is walked in segments. Within one, the left operand of a row is a run of numbers at even
//! distances; from one to the next it jumps, for all rows alike. So the pixels of an image are read where they
//! lie, and no matrix of patches is ever built (the indirection of M. Dukhan, "The indirect convolution
//! algorithm", 2019, with one pointer per row in place of one per row and tap).

use super::tile::MOST_ROWS;
use super::vector::Vector;
use crate::Float;

/// A piece of the inner axis: `len` steps, of which the first is `offset` elements from a row's pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

/// What a tile reads and writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gathered<'a, T> {
    /// Rows and columns of the result.
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// The left operand, row by row; of the rows that are not there, that of the last one.
    pub(crate) a: [*const T; MOST_ROWS],
    /// Elements from step to step within a segment.
    pub(crate) a_step: usize,
    pub(crate) segments: &'a [Segment],
    /// Of all segments together.
    pub(crate) steps: usize,
    /// The right operand: for each step two registers of columns, side by side.
    pub(crate) b: *const T,
    /// The result, row by row, each contiguous.
    pub(crate) c: [*mut T; MOST_ROWS],
    /// What the sums are added to: the result itself, a row for all rows, or nothing.
    pub(crate) base: Base<T>,
}

/// What sums are added to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Base<T> {
    Nothing,
    /// What the result holds.
    Result,
    /// This row, from the tile's first column on.
    Row(*const T),
}

/// Computes a tile of at most `MR` rows and `NV` registers of columns.
///
/// With fewer rows than `MR`, the last one is computed several times and stored once.
///
/// # Safety
/// The processor has `V`'s instruction set, this function is inlined where it is enabled, and the pointers
/// are valid as [`Gathered`] says. `1 ≤ rows ≤ MR ≤ MOST_ROWS` and `1 ≤ cols ≤ NV·LANES`.
#[inline(always)]
pub(super) unsafe fn gathered<V: Vector, const MR: usize, const NV: usize>(x: &Gathered<'_, V::Element>) {
    debug_assert!((1..=MR).contains(&x.rows) && (1..=NV * V::LANES).contains(&x.cols));
    // SAFETY: the caller vouches for the instruction set.
    let zero = unsafe { V::splat(V::Element::ZERO) };
    let sums = {
        let rows: [isize; MR] = std::array::from_fn(|i| x.a[i] as isize - x.a[0] as isize);
        let mut sums = [[zero; NV]; MR];
        let (mut b, mut segments) = (x.b, x.segments.iter());
        let (mut at, mut left) = (x.a[0], 0);
        // One loop, not one for segments and one for their steps: across two, sums do not stay in registers.
        for _ in 0..x.steps {
            if left == 0 {
                let Some(segment) = segments.next() else { break };
                (at, left) = (x.a[0].wrapping_add(segment.offset), segment.len);
            }
            left -= 1;
            // SAFETY: nothing is done; the compiler must not think that it knows the pointer, or it keeps one for
            // each row and has no registers left.
            unsafe {
                std::arch::asm!("/* {0} */", inout(reg) at, options(pure, readonly, nostack, preserves_flags));
            }
            // SAFETY: the caller vouches for the steps of every segment of every row, and for as many rows of
            // two registers from `b` on.
            unsafe {
                let mut b_row = [zero; NV];
                for v in 0..NV {
                    b_row[v] = V::load(b.add(v * V::LANES));
                }
                for i in 0..MR {
                    let value = V::splat(*at.wrapping_byte_offset(rows[i]));
                    for v in 0..NV {
                        sums[i][v] = value.mul_add(b_row[v], sums[i][v]);
                    }
                }
            }
            // Past the end after the last step, hence no `add`.
            b = b.wrapping_add(2 * V::LANES);
            at = at.wrapping_add(x.a_step);
        }
        sums
    };
    // What each row is added to, if to anything.
    let adds = !matches!(x.base, Base::Nothing);
    let mut base = x.c.map(<*mut _>::cast_const);
    if let Base::Row(row) = x.base {
        base = [row; MOST_ROWS];
    }
    // SAFETY: `rows` × `cols` elements of the result are the caller's to write, and only those are touched.
    unsafe {
        // Indices into `sums` are constants, or it would be kept in memory while it is summed.
        if x.rows == MR && x.cols == NV * V::LANES {
            for i in 0..MR {
                for v in 0..NV {
                    let first = v * V::LANES;
                    let sum = if adds { V::load(base[i].add(first)).add(sums[i][v]) } else { sums[i][v] };
                    sum.store(x.c[i].add(first));
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
                let sum = lanes[i][j / V::LANES][j % V::LANES];
                *x.c[i].add(j) = if adds { *base[i].add(j) + sum } else { sum };
            }
        }
    }
}
