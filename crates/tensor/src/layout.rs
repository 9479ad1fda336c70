//! [`Layout`]: which elements of a storage a tensor shows, and in which order.

use crate::shape::{MAX_RANK, Shape};

/// A shape, and the steps from an element to the next along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Layout {
    pub(crate) shape: Shape,
    pub(crate) strides: [usize; MAX_RANK],
    pub(crate) offset: usize,
    // Every op asks for it, of each operand.
    is_contiguous: bool,
}

impl Layout {
    pub(crate) fn new(shape: Shape, strides: [usize; MAX_RANK], offset: usize) -> Self {
        let mut expected = 1;
        let is_next = |(&size, &stride): (&usize, &usize)| {
            let is_next = size == 1 || stride == expected;
            expected *= size;
            is_next
        };
        let is_contiguous = shape.contains(&0) || shape.iter().zip(&strides).rev().all(is_next);
        Self { shape, strides, offset, is_contiguous }
    }

    pub(crate) fn contiguous(shape: Shape) -> Self {
        Self { shape, strides: shape.contiguous_strides(), offset: 0, is_contiguous: true }
    }

    pub(crate) fn strides(&self) -> &[usize] {
        &self.strides[..self.shape.rank()]
    }

    /// Whether the elements lie one after the other in row-major order (from `offset` on).
    pub(crate) fn is_contiguous(&self) -> bool {
        self.is_contiguous
    }

    /// This layout repeated along new or size-1 axes.
    pub(crate) fn broadcast_to(&self, shape: &Shape) -> Self {
        let mut strides = [0; MAX_RANK];
        let new_axes = shape.rank() - self.shape.rank();
        for axis in 0..self.shape.rank() {
            if self.shape[axis] == shape[new_axes + axis] {
                strides[new_axes + axis] = self.strides[axis];
            }
        }
        Self::new(*shape, strides, self.offset)
    }
}
