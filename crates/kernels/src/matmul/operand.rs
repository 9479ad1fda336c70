//! Operands and results as the kernels see them: pointers, strides and sizes.

use super::pack::Panels;

/// A matrix operand behind a pointer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand<T> {
    pub(super) first: *const T,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
}

/// What a product is added to: the result itself, or one row for all of its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base<T> {
    pub(super) first: *const T,
    pub(super) row_stride: usize,
}

impl<T> Base<T> {
    /// The same from `(row, col)` on. The pointer moves only.
    pub(super) fn at(self, row: usize, col: usize) -> Self {
        Self { first: self.first.wrapping_add(row * self.row_stride + col), ..self }
    }
}

impl<T: Copy> Operand<T> {
    /// How far apart the first and the last element lie.
    pub(super) fn extent(self, rows: usize, cols: usize) -> usize {
        (rows - 1) * self.row_stride + (cols - 1) * self.col_stride
    }

    /// The same matrix from `(row, col)` on. The pointer moves only; reading is the tiles' business.
    pub(super) fn at(self, row: usize, col: usize) -> Self {
        Self { first: self.first.wrapping_add(row * self.row_stride + col * self.col_stride), ..self }
    }

    pub(super) fn panels_of_rows(self, rows: usize, k: usize, width: usize) -> Panels<T> {
        Panels {
            from: self.first,
            outer: rows,
            k,
            outer_stride: self.row_stride,
            k_stride: self.col_stride,
            width,
        }
    }

    pub(super) fn panels_of_columns(self, columns: usize, k: usize, width: usize) -> Panels<T> {
        Panels {
            from: self.first,
            outer: columns,
            k,
            outer_stride: self.col_stride,
            k_stride: self.row_stride,
            width,
        }
    }
}

/// The left operand, packed or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left<T> {
    /// Its first tile's rows: neighbours in one column if packed.
    pub(super) tile: Operand<T>,
    /// Elements from the first row of one tile to that of the next, for each row between.
    pub(super) step: usize,
}

impl<T: Copy> Left<T> {
    /// The operand as it was given.
    pub(super) fn direct(a: Operand<T>) -> Self {
        Self { tile: a, step: a.row_stride }
    }

    /// Whether tiles may begin at any row.
    pub(super) fn is_direct(self) -> bool {
        self.step == self.tile.row_stride
    }

    /// The rows from `row` on, which is a multiple of a tile's if they are packed.
    pub(super) fn at_row(self, row: usize) -> Self {
        Self { tile: Operand { first: self.tile.first.wrapping_add(row * self.step), ..self.tile }, ..self }
    }

    /// The rows of the tile that begins at `row`.
    pub(super) fn tile(self, row: usize) -> Operand<T> {
        self.at_row(row).tile
    }
}

/// A rectangle of the result and the parts of the operands that make it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<T> {
    pub(super) m: usize,
    pub(super) n: usize,
    /// At most `DEPTH`, except for dot products.
    pub(super) k: usize,
    pub(super) a: Left<T>,
    pub(super) b: Operand<T>,
    /// Whether `b` is packed: columns lie in panels of a tile's, each with all of `k`, and the last filled up.
    pub(super) b_is_packed: bool,
    pub(super) c: *mut T,
    pub(super) c_row_stride: usize,
    /// Whether the product is added to `base`.
    pub(super) accumulate: bool,
    pub(super) base: Base<T>,
}

impl<T: Copy> Block<T> {
    /// The right operand from a column on, a multiple of a tile's if it is packed.
    pub(super) fn columns_from(&self, column: usize) -> Operand<T> {
        match self.b_is_packed {
            true => Operand { first: self.b.first.wrapping_add(column * self.k), ..self.b },
            false => self.b.at(0, column),
        }
    }
}

// SAFETY: a block is pointers into operands, which outlive the call and are only read, and into its own
// rectangle of the result, which no other block touches.
unsafe impl<T: Send + Sync> Sync for Block<T> {}
