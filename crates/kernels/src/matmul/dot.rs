//! Products of few rows with a transposed right operand, as dot products.
//!
//! Where both operands are contiguous along `k`, as in `x·Wᵀ`, and `x` has few rows, packing `W` would cost
//! more than the product. Here nothing is packed: registers run along `k` and their lanes are added at the
//! end.

use super::operand::{Block, Operand};
use super::vector::Vector;
use crate::Float;

/// Rows and columns of the result computed together: 16 sums, 4 + 1 registers for operands.
const ROWS: usize = 4;
const COLUMNS: usize = 4;
/// Rows of the left operand up to which this is the faster way.
pub(crate) const FEW_ROWS: usize = 8;
/// Terms below which adding up the lanes outweighs the products.
pub(super) const MIN_DEPTH: usize = 64;

/// Computes the block `c = a·b` of at most `FEW_ROWS` rows, with `a` and the transpose of `b` contiguous
/// along `k`.
///
/// # Safety
/// The processor has `V`'s instruction set, the operands are readable and the result is writable.
#[inline(always)]
pub(super) unsafe fn dots<V: Vector>(x: &Block<V::Element>, a: Operand<V::Element>) {
    for i in (0..x.m).step_by(ROWS) {
        for j in (0..x.n).step_by(COLUMNS) {
            let part = Block {
                m: (x.m - i).min(ROWS),
                n: (x.n - j).min(COLUMNS),
                b: x.b.at(0, j),
                c: x.c.wrapping_add(i * x.c_row_stride + j),
                base: x.base.at(i, j),
                ..*x
            };
            let a = a.at(i, 0);
            // SAFETY: a part of what the caller vouches for.
            unsafe {
                match part.m {
                    1 => square::<V, 1>(&part, a),
                    2 => square::<V, 2>(&part, a),
                    _ => square::<V, ROWS>(&part, a),
                }
            }
        }
    }
}

/// Up to `MR` × `COLUMNS` products; what is missing repeats the last row or column and is dropped.
#[inline(always)]
unsafe fn square<V: Vector, const MR: usize>(x: &Block<V::Element>, left: Operand<V::Element>) {
    let a: [_; MR] = std::array::from_fn(|i| left.at(i.min(x.m - 1), 0).first);
    let b: [_; COLUMNS] = std::array::from_fn(|j| x.b.at(0, j.min(x.n - 1)).first);
    let whole = x.k - x.k % V::LANES;
    // SAFETY: all reads are inside the first `k` elements of a row, all writes inside the block.
    unsafe {
        let mut sums = [[V::splat(V::Element::ZERO); COLUMNS]; MR];
        for p in (0..whole).step_by(V::LANES) {
            let mut b_parts = [V::splat(V::Element::ZERO); COLUMNS];
            for j in 0..COLUMNS {
                b_parts[j] = V::load(b[j].add(p));
            }
            for i in 0..MR {
                let a = V::load(a[i].add(p));
                for j in 0..COLUMNS {
                    sums[i][j] = a.mul_add(b_parts[j], sums[i][j]);
                }
            }
        }
        let mut results = [[V::Element::ZERO; COLUMNS]; MR];
        for i in 0..MR {
            for j in 0..COLUMNS {
                let mut lanes = sums[i][j].to_array();
                let mut width = V::LANES / 2;
                while width > 0 {
                    for l in 0..width {
                        lanes[l] += lanes[l + width];
                    }
                    width /= 2;
                }
                results[i][j] = lanes[0];
            }
        }
        for i in 0..x.m {
            for j in 0..x.n {
                let mut sum = results[i][j];
                for p in whole..x.k {
                    sum += *a[i].add(p) * *b[j].add(p);
                }
                let c = x.c.add(i * x.c_row_stride + j);
                *c = if x.accumulate { *x.base.at(i, j).first + sum } else { sum };
            }
        }
    }
}
