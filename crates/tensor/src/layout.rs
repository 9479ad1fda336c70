//! [`Layout`]: which elements of a storage a tensor shows, and in which order.
//!
//! A layout is *dense* when its elements fill a stretch of memory, each place once: row by row
//! (*contiguous*), or, of three axes or more, with the axes in another order, as images of shape
//! `[N, C, H, W]` may lie as `[N, H, W, C]`. What treats every element alike runs over a dense tensor as over
//! one long row, and gives back one that lies in the same [`AxisOrder`].
//!
//! Matrices are dense row by row only: a transposed one is a view, which products read where it lies.

use crate::shape::{MAX_RANK, Shape};
use smallvec::SmallVec;
use std::cmp::Reverse;

/// A shape, and the steps from an element to the next along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Layout {
    pub(crate) shape: Shape,
    pub(crate) strides: [usize; MAX_RANK],
    pub(crate) offset: usize,
    // Every op asks for it, of each operand.
    order: Option<AxisOrder>,
}

impl Layout {
    pub(crate) fn new(shape: Shape, strides: [usize; MAX_RANK], offset: usize) -> Self {
        Self { shape, strides, offset, order: AxisOrder::of(&shape, &strides) }
    }

    pub(crate) fn contiguous(shape: Shape) -> Self {
        let strides = shape.contiguous_strides();
        Self { shape, strides, offset: 0, order: Some(AxisOrder::ROW_MAJOR) }
    }

    /// Elements without gaps, axes in this order.
    pub(crate) fn dense(shape: Shape, order: AxisOrder) -> Self {
        if order == AxisOrder::ROW_MAJOR {
            return Self::contiguous(shape);
        }
        Self::contiguous(order.applied_to(shape)).permuted(order.inverse())
    }

    pub(crate) fn strides(&self) -> &[usize] {
        &self.strides[..self.shape.rank()]
    }

    /// The order of the axes in memory, if the elements fill a stretch of it (from `offset` on).
    pub(crate) fn order(&self) -> Option<AxisOrder> {
        self.order
    }

    /// Whether the elements lie one after the other in row-major order (from `offset` on).
    pub(crate) fn is_contiguous(&self) -> bool {
        self.order == Some(AxisOrder::ROW_MAJOR)
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

    /// The same elements with axis `order[k]` as axis `k`.
    pub(crate) fn permuted(&self, order: AxisOrder) -> Self {
        if order == AxisOrder::ROW_MAJOR {
            return *self;
        }
        let mut strides = [0; MAX_RANK];
        for (stride, axis) in strides.iter_mut().zip(order.axes(self.shape.rank())) {
            *stride = self.strides[axis];
        }
        Self::new(order.applied_to(self.shape), strides, self.offset)
    }
}

/// An order of the axes: the outermost in memory first.
///
/// It is read from the strides of axes longer than 1, which say it without doubt: where elements fill a
/// stretch of memory, the stride of an axis is the number of elements inside it, so that no two are equal,
/// whatever the lengths. Axes of length 1 take no part in where elements lie. They keep their own places, the
/// others share what is left; so elements that lie in the same places are in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AxisOrder([u8; MAX_RANK]);

impl AxisOrder {
    /// The order of shapes.
    pub(crate) const ROW_MAJOR: Self = Self([0, 1, 2, 3, 4, 5, 6, 7]);

    /// The order in which a view with these strides is dense.
    fn of(shape: &Shape, strides: &[usize; MAX_RANK]) -> Option<Self> {
        if shape.contains(&0) || Self::ROW_MAJOR.is_dense(shape, strides) {
            return Some(Self::ROW_MAJOR);
        }
        let rank = shape.rank();
        if rank < 3 {
            return None;
        }
        let long: SmallVec<[usize; MAX_RANK]> = (0..rank).filter(|&axis| shape[axis] > 1).collect();
        let mut outermost_first = long.clone();
        outermost_first.sort_by_key(|&axis| Reverse(strides[axis]));
        let mut order = Self::ROW_MAJOR;
        for (place, axis) in long.into_iter().zip(outermost_first) {
            order.0[place] = axis as u8;
        }
        order.is_dense(shape, strides).then_some(order)
    }

    /// Whether elements with these strides fill a stretch of memory, axes in this order.
    fn is_dense(self, shape: &Shape, strides: &[usize; MAX_RANK]) -> bool {
        let mut inside = 1;
        self.axes(shape.rank()).rev().all(|axis| {
            let is_next = shape[axis] == 1 || strides[axis] == inside;
            inside *= shape[axis];
            is_next
        })
    }

    /// The order that these axes stand in, if they are all of so many, each once.
    pub(crate) fn from_axes(axes: &[usize], rank: usize) -> Option<Self> {
        let is_complete = axes.len() == rank && (0..rank).all(|axis| axes.contains(&axis));
        is_complete.then(|| {
            let mut order = Self::ROW_MAJOR;
            for (place, &axis) in order.0.iter_mut().zip(axes) {
                *place = axis as u8;
            }
            order
        })
    }

    /// This order with two places exchanged.
    pub(crate) fn swapped(mut self, first: usize, second: usize) -> Self {
        self.0.swap(first, second);
        self
    }

    /// The order that undoes this one.
    pub(crate) fn inverse(self) -> Self {
        let mut inverse = Self::ROW_MAJOR;
        for (place, axis) in self.axes(MAX_RANK).enumerate() {
            inverse.0[axis] = place as u8;
        }
        inverse
    }

    /// The axes of a tensor of so many.
    fn axes(self, rank: usize) -> impl DoubleEndedIterator<Item = usize> {
        self.0.into_iter().take(rank).map(usize::from)
    }

    /// The shape with its axes in this order.
    fn applied_to(self, shape: Shape) -> Shape {
        let axes = self.axes(shape.rank()).enumerate();
        axes.fold(shape, |permuted, (place, axis)| permuted.with_size(place, shape[axis]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strides(of: &[usize]) -> [usize; MAX_RANK] {
        std::array::from_fn(|axis| of.get(axis).copied().unwrap_or(0))
    }

    /// A shape, strides, and the order that they are dense in.
    type Case<'a> = (&'a [usize], &'a [usize], Option<&'a [usize]>);

    #[test]
    fn an_order_is_told_by_the_axes_longer_than_1() {
        let cases: [Case<'_>; 14] = [
            (&[2, 3, 4], &[12, 4, 1], Some(&[0, 1, 2])),
            (&[2, 3, 4], &[12, 1, 3], Some(&[0, 2, 1])),
            (&[3, 3, 3], &[9, 1, 3], Some(&[0, 2, 1])),
            (&[3, 3, 3], &[3, 1, 9], Some(&[2, 0, 1])),
            // Axes of length 1 have any stride and their own place.
            (&[2, 1, 3, 4], &[12, 1, 4, 1], Some(&[0, 1, 2, 3])),
            (&[2, 3, 1, 1], &[3, 1, 3, 3], Some(&[0, 1, 2, 3])),
            (&[1, 3, 1, 2], &[5, 1, 7, 3], Some(&[0, 3, 2, 1])),
            (&[2, 0, 3], &[7, 1, 9], Some(&[0, 1, 2])),
            // Repeated, overlapping, with gaps.
            (&[3, 3, 3], &[0, 3, 1], None),
            (&[2, 2, 2], &[1, 1, 1], None),
            (&[2, 3, 2], &[12, 1, 3], None),
            (&[2, 3, 4], &[24, 8, 2], None),
            // Matrices.
            (&[3, 4], &[1, 3], None),
            (&[3, 1], &[1, 7], Some(&[0, 1])),
        ];
        for (shape, of, expected) in cases {
            let layout = Layout::new(Shape::new(shape), strides(of), 0);
            let expected = expected.map(|axes| AxisOrder::from_axes(axes, shape.len()).expect("all axes"));
            assert_eq!(layout.order(), expected, "{shape:?} {of:?}");
        }
    }

    #[test]
    fn a_layout_that_is_made_lies_as_it_was_asked_for() {
        let channels_last = AxisOrder::from_axes(&[0, 2, 3, 1], 4).expect("all axes");
        let layout = |shape: &[usize]| Layout::dense(Shape::new(shape), channels_last);
        assert_eq!(layout(&[2, 3, 4, 5]).strides(), [60, 1, 15, 3]);
        assert_eq!(layout(&[2, 3, 4, 5]).order(), Some(channels_last));
        assert_eq!(layout(&[2, 3, 4, 5]).permuted(channels_last).strides(), [60, 15, 3, 1]);
        assert!(layout(&[2, 1, 4, 5]).is_contiguous() && layout(&[2, 3, 1, 1]).is_contiguous());
        assert_eq!((AxisOrder::from_axes(&[0, 0, 1], 3), AxisOrder::from_axes(&[1, 0], 3)), (None, None));
    }
}
