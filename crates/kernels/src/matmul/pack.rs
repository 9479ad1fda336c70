//! Copies of operands in the order the tiles read them.

use super::vector::Vector;
use crate::Float;

/// Panels filled at the same time: as many write streams as the first-level cache has room for, whatever
/// their distance.
const GROUP: usize = 4;

/// Rows, or squares, that are asked for ahead of being copied: they lie pages apart, which no processor
/// foresees.
const AHEAD: usize = 8;

/// An operand to be cut into panels of its outer axis: the rows of a left operand, the columns of a right
/// one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panels<T> {
    /// The first element.
    pub(super) from: *const T,
    pub(super) outer: usize,
    pub(super) k: usize,
    pub(super) outer_stride: usize,
    pub(super) k_stride: usize,
    /// Elements of the outer axis in a panel.
    pub(super) width: usize,
}

/// Copies panel by panel; within a panel, the `width` elements of each `k` lie side by side. The last panel
/// is filled up with zeros.
///
/// # Safety
/// The processor has `V`'s instruction set and every element is readable.
///
/// # Panics
/// If `out` is too short.
#[inline(always)]
pub(super) unsafe fn pack<V: Vector>(x: &Panels<V::Element>, out: &mut [V::Element]) {
    let &Panels { from, outer, k, outer_stride, k_stride, width } = x;
    let out = &mut out[..outer.div_ceil(width) * width * k];
    for (group, out) in out.chunks_mut(GROUP * width * k).enumerate() {
        let first = group * GROUP * width;
        let outer = (GROUP * width).min(outer - first);
        if !outer.is_multiple_of(width) {
            out[outer / width * width * k..].fill(V::Element::ZERO);
        }
        let from = from.wrapping_add(first * outer_stride);
        let x = Panels { from, outer, ..*x };
        // SAFETY: this part of the operand is the caller's promise, and `out` holds its panels.
        unsafe {
            match (outer_stride, k_stride) {
                (1, _) => copy_rows::<V>(&x, out.as_mut_ptr()),
                (_, 1) => transpose::<V>(&x, out.as_mut_ptr()),
                _ => gather(&x, 0, out.as_mut_ptr()),
            }
        }
    }
}

/// The outer axis is contiguous: each `k` is a run that goes to the panels piece by piece.
#[inline(always)]
unsafe fn copy_rows<V: Vector>(x: &Panels<V::Element>, out: *mut V::Element) {
    for p in 0..x.k {
        for first in (0..x.outer).step_by(x.width) {
            // SAFETY: `squares` stays below the number of elements it is given, in the operand and in the
            // panel.
            unsafe {
                let (from, to) = (x.from.add(p * x.k_stride + first), out.add(first * x.k + p * x.width));
                let n = x.width.min(x.outer - first);
                for i in (0..n).step_by(64 / size_of::<V::Element>()) {
                    V::prefetch(from.wrapping_add(AHEAD * x.k_stride + i));
                }
                if n >= V::LANES {
                    squares(n, V::LANES, |i| V::load(from.add(i)).store(to.add(i)), |_| ());
                } else {
                    squares(
                        n,
                        V::SIDE,
                        |i| std::ptr::copy_nonoverlapping(from.add(i), to.add(i), V::SIDE),
                        |i| *to.add(i) = *from.add(i),
                    );
                }
            }
        }
    }
}

/// `k` is contiguous: squares are transposed in registers.
#[inline(always)]
unsafe fn transpose<V: Vector>(x: &Panels<V::Element>, out: *mut V::Element) {
    let whole = x.k - x.k % V::SIDE;
    for first in (0..x.outer).step_by(x.width) {
        for p in (0..whole).step_by(V::SIDE) {
            // SAFETY: as in `copy_rows`, `SIDE` steps of `k` at a time.
            unsafe {
                let (from, to) = (x.from.add(first * x.outer_stride + p), out.add(first * x.k + p * x.width));
                squares(
                    x.width.min(x.outer - first),
                    V::SIDE,
                    |i| {
                        for row in i..i + V::SIDE {
                            V::prefetch(from.wrapping_add(row * x.outer_stride + AHEAD * V::SIDE));
                        }
                        V::transpose(from.add(i * x.outer_stride), x.outer_stride, to.add(i), x.width);
                    },
                    |i| {
                        for p in 0..V::SIDE {
                            *to.add(p * x.width + i) = *from.add(i * x.outer_stride + p);
                        }
                    },
                );
            }
        }
    }
    // SAFETY: passed on.
    unsafe { gather(x, whole, out) };
}

/// Any strides, from step `start` of `k` on.
#[inline(always)]
unsafe fn gather<T: Float>(x: &Panels<T>, start: usize, out: *mut T) {
    let mut first = 0;
    while first < x.outer {
        let n = x.width.min(x.outer - first);
        for p in start..x.k {
            for i in 0..n {
                // SAFETY: inside the operand and its panels.
                unsafe {
                    *out.add(first * x.k + p * x.width + i) =
                        *x.from.add((first + i) * x.outer_stride + p * x.k_stride);
                }
            }
        }
        first += x.width;
    }
}

/// Covers `0..n` with pieces of `side`, the last one overlapping the one before; singly if there is not room
/// for one.
#[inline(always)]
fn squares(n: usize, side: usize, square: impl Fn(usize), single: impl Fn(usize)) {
    if n < side {
        (0..n).for_each(single);
        return;
    }
    for i in (0..n - side).step_by(side) {
        square(i);
    }
    square(n - side);
}
