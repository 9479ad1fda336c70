//! Operands as the kernels see them: a pointer and two strides.

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
