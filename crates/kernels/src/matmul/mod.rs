//! Matrix products.
//!
//! A tile of the result, up to 14 × 32 numbers, stays in registers while the inner axis runs; around it,
//! operands are cut and, where that pays, copied so that what is read again comes from a near cache. This is
//! the design of Goto and van de Geijn ("Anatomy of high-performance matrix multiplication", 2008) with three
//! simplifications: block sizes are constants, operands that fit the cache are not copied, and the result is
//! shared between threads by rectangles.
//!
//! **Determinism.** Each number of the result is the sum, in order, of its first 512 products, plus that of
//! the next 512, and so on (with few rows, of as many partial sums as a register has lanes). Threads and tile
//! positions do not enter. Where the processor has fused multiply-add it is used, so another instruction set
//! may differ in the last bits.
//!
//! It multiplies one pair of matrices; batches and broadcasting are the caller's loops.

mod blocks;
mod buffer;
mod dot;
mod gathered;
mod left;
mod level;
mod operand;
mod pack;
mod packed;
mod registers;
mod tile;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::Float;
pub(crate) use blocks::DEPTH;
use blocks::GRAIN;
pub(crate) use dot::FEW_ROWS;
pub(crate) use gathered::{Base as GatheredBase, Gathered, Segment};
pub(crate) use level::Level;
use operand::{Base, Block, Left, Operand};
pub(crate) use packed::Packed;
pub(crate) use registers::Tiled;
pub(crate) use tile::MOST_ROWS;

/// Pieces a large product is cut into, if its shape allows: enough to keep a workstation's cores evenly busy.
const PIECES: usize = 16;

/// A matrix inside a slice: element `(i, j)` is `data[offset + i·row_stride + j·col_stride]`.
///
/// Swapping the strides transposes it; a stride of 0 repeats a row or a column.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T> {
    /// What is viewed.
    pub data: &'a [T],
    /// The index of element (0, 0).
    pub offset: usize,
    /// Elements between rows.
    pub row_stride: usize,
    /// Elements between columns.
    pub col_stride: usize,
}

/// What becomes of the old content of the result.
#[derive(Clone, Copy, Debug)]
pub enum Output<'a, T> {
    /// It is replaced.
    Overwrite,
    /// The product is added to it.
    Accumulate,
    /// It is replaced, and this row is added to each row of the product.
    Bias(&'a [T]),
}

impl<T: Copy> Matrix<'_, T> {
    /// The transpose.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// The matrix as the kernels take it, which look no further.
    #[track_caller]
    fn operand(&self, name: &str, rows: usize, cols: usize) -> Operand<T> {
        let last = (|| {
            let down = (rows - 1).checked_mul(self.row_stride)?;
            let right = (cols - 1).checked_mul(self.col_stride)?;
            self.offset.checked_add(down)?.checked_add(right)
        })();
        assert!(
            last.is_some_and(|last| last < self.data.len()),
            "matmul: {name} of [{rows}, {cols}] with strides [{}, {}] from {} on leaves its slice of {} elements",
            self.row_stride,
            self.col_stride,
            self.offset,
            self.data.len()
        );
        Operand {
            first: self.data[self.offset..].as_ptr(),
            row_stride: self.row_stride,
            col_stride: self.col_stride,
        }
    }
}

/// `c = a·b` for `a` of `[m, k]`, `b` of `[k, n]` and row-major `c` of `[m, n]`.
///
/// With `k = 0` the product is all zeros.
///
/// ```
/// use backflow_kernels::matmul::{Matrix, Output, matmul};
///
/// let a = Matrix { data: &[1.0, 2.0, 3.0, 4.0], offset: 0, row_stride: 2, col_stride: 1 };
/// let transposed = Matrix { row_stride: 1, col_stride: 2, ..a };
/// let mut c = [0.0; 4];
/// matmul(2, 2, 2, a, transposed, &mut c, Output::Bias(&[0.0, 100.0]));
/// assert_eq!(c, [5.0, 111.0, 11.0, 125.0]);
/// ```
///
/// # Panics
/// If a matrix leaves its slice, `c` has not `m·n` elements, or a bias has not `n`.
#[track_caller]
pub fn matmul<T: Float>(
    m: usize,
    n: usize,
    k: usize,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    c: &mut [T],
    mode: Output<'_, T>,
) {
    check_result(m, n, c.len(), mode);
    if c.is_empty() {
        return;
    }
    if k == 0 {
        match mode {
            Output::Bias(bias) => c.chunks_exact_mut(n).for_each(|row| row.copy_from_slice(bias)),
            Output::Overwrite => c.fill(T::ZERO),
            Output::Accumulate => {}
        }
        return;
    }
    let (a, b) = (a.operand("a", m, k), b.operand("b", k, n));
    let level = Level::current();
    if m <= FEW_ROWS && k >= dot::MIN_DEPTH && a.col_stride == 1 && b.row_stride == 1 {
        let block = block([m, n, k], a, b, c, mode);
        // SAFETY: `operand` saw that both operands lie inside their slices; `c` has m·n elements, borrowed
        // mutably.
        return unsafe { (level.dots)(&block, a) };
    }
    // SAFETY: as above.
    unsafe { slices([m, n, k], a, &|p| b.at(p, 0), false, c, mode, &level) };
}

#[track_caller]
fn check_result<T>(m: usize, n: usize, c: usize, mode: Output<'_, T>) {
    assert!(m.checked_mul(n) == Some(c), "matmul: the result is [{m}, {n}], its slice has {c} elements");
    if let Output::Bias(bias) = mode {
        assert!(bias.len() == n, "matmul: {} biases for {n} columns", bias.len());
    }
}

/// The whole product as a block.
fn block<T: Copy>(
    [m, n, k]: [usize; 3],
    a: Operand<T>,
    b: Operand<T>,
    c: &mut [T],
    mode: Output<'_, T>,
) -> Block<T> {
    let c = c.as_mut_ptr();
    let base = match mode {
        Output::Bias(bias) => Base { first: bias.as_ptr(), row_stride: 0 },
        Output::Overwrite | Output::Accumulate => Base { first: c, row_stride: n },
    };
    let accumulate = !matches!(mode, Output::Overwrite);
    Block { m, n, k, a: Left::direct(a), b, b_is_packed: false, c, c_row_stride: n, accumulate, base }
}

/// The product, slice by slice of `k`; `b` tells where a slice begins, and is packed or not.
///
/// # Safety
/// The operands are readable, `b` as far as a tile reads if it is packed, and `c` has m·n elements.
unsafe fn slices<T: Float>(
    [m, n, k]: [usize; 3],
    a: Operand<T>,
    b: &dyn Fn(usize) -> Operand<T>,
    b_is_packed: bool,
    c: &mut [T],
    mode: Output<'_, T>,
    level: &Level<T>,
) {
    let result = c.as_mut_ptr();
    let whole = block([m, n, k], a, b(0), c, mode);
    for p in (0..k).step_by(DEPTH) {
        let k = DEPTH.min(k - p);
        let (a, b, accumulate) = (a.at(0, p), b(p), whole.accumulate || p > 0);
        let base = if p > 0 { Base { first: result, row_stride: n } } else { whole.base };
        let slice = Block { k, a: Left::direct(a), b, b_is_packed, accumulate, base, ..whole };
        let grain = (m * n * k / PIECES).max(GRAIN);
        if !left::packing_pays(m, n, k, a) {
            // SAFETY: the caller's promise.
            unsafe { slice.compute(grain, level) };
            continue;
        }
        buffer::with_buffer(&buffer::LEFT, |buffer| {
            let room = m.next_multiple_of(level.tiles.len()) * k;
            // SAFETY: as above; what is packed outlives the computation.
            unsafe {
                let a = left::pack(m, k, a, level, buffer::as_elements(buffer, room));
                Block { a, ..slice }.compute(grain, level);
            }
        });
    }
}
