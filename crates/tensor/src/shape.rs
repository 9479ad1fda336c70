//! Shapes, strides, broadcasting and axes: all the arithmetic of indices.
//!
//! The rank is at most [`MAX_RANK`], so that shapes are plain values on the stack. Sizes that do not fit
//! the machine are refused here, once, instead of wrapping somewhere in a loop.

use crate::error::misuse;
use crate::scalar::Integer;
use smallvec::{SmallVec, smallvec};
use std::fmt;
use std::ops::{Deref, RangeFull};

/// The largest number of axes. NumPy allows 64; no model that this library is for has needed more than six.
pub const MAX_RANK: usize = 8;

/// The length of a tensor along each axis. `[]` is the shape of a scalar, which has one element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape {
    sizes: [usize; MAX_RANK],
    rank: usize,
}

impl Shape {
    /// The shape of a scalar.
    pub const SCALAR: Self = Self { sizes: [0; MAX_RANK], rank: 0 };

    /// A shape with these sizes.
    ///
    /// # Panics
    /// If there are more than [`MAX_RANK`] axes, or more elements than the machine can address.
    #[must_use]
    #[track_caller]
    pub fn new(sizes: &[usize]) -> Self {
        if sizes.len() > MAX_RANK {
            let rows = [("shape", format!("{sizes:?}"))];
            misuse("shape", "too many axes", &rows, &format!("at most {MAX_RANK} axes"));
        }
        let mut shape = Self { sizes: [0; MAX_RANK], rank: sizes.len() };
        shape.sizes[..sizes.len()].copy_from_slice(sizes);
        shape.require_room();
        shape
    }

    /// Refuses more elements than the machine can address.
    #[track_caller]
    pub(crate) fn require_room(&self) {
        // Zero-sized axes do not excuse the others: strides are computed from all of them.
        let fits = self.iter().try_fold(1_usize, |n, &s| n.checked_mul(s.max(1)));
        if fits.is_none_or(|n| n > isize::MAX as usize / 8) {
            misuse("shape", "more elements than memory can hold", &[("shape", format!("{self:?}"))], "");
        }
    }

    /// The shape with these sizes one after the other.
    #[track_caller]
    pub(crate) fn joined(front: &[usize], back: &[usize]) -> Self {
        let rank = front.len() + back.len();
        if rank > MAX_RANK {
            return Self::new(&[front, back].concat());
        }
        let mut sizes = [0; MAX_RANK];
        sizes[..front.len()].copy_from_slice(front);
        sizes[front.len()..rank].copy_from_slice(back);
        Self::new(&sizes[..rank])
    }

    /// The number of axes.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of elements: the product of the sizes.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.iter().product()
    }

    /// The row-major strides of this shape, in elements.
    #[must_use]
    pub fn contiguous_strides(&self) -> [usize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut next = 1;
        for axis in (0..self.rank).rev() {
            strides[axis] = next;
            next *= self.sizes[axis].max(1);
        }
        strides
    }

    /// The index of `axis`, where negative axes count from the end.
    #[track_caller]
    pub(crate) fn axis(&self, op: &'static str, axis: isize) -> usize {
        let from_start = if axis < 0 { axis + self.rank as isize } else { axis };
        if from_start < 0 || from_start >= self.rank as isize {
            let hint = match self.rank {
                0 => "a scalar has no axes".to_owned(),
                rank => format!("axes of this tensor run from -{rank} to {}", rank - 1),
            };
            misuse(op, "no such axis", &[("shape", self.to_string()), ("axis", axis.to_string())], &hint);
        }
        from_start as usize
    }

    /// This shape with `size` along `axis`.
    pub(crate) fn with_size(mut self, axis: usize, size: usize) -> Self {
        self.sizes[axis] = size;
        self
    }

    /// This shape with an axis of `size` put in at `axis`.
    #[track_caller]
    pub(crate) fn insert(&self, axis: usize, size: usize) -> Self {
        let (front, back) = self.split_at(axis);
        Self::joined(front, &Self::joined(&[size], back))
    }

    /// This shape without `axis`.
    pub(crate) fn remove(mut self, axis: usize) -> Self {
        self.sizes.copy_within(axis + 1..self.rank, axis);
        self.rank -= 1;
        self.sizes[self.rank] = 0;
        self
    }

    /// The shape that both broadcast to by NumPy's rule: aligned from the last axis, sizes agree or one of
    /// them is 1.
    pub(crate) fn broadcast(&self, other: &Self) -> Option<Self> {
        if self == other {
            return Some(*self);
        }
        let rank = self.rank.max(other.rank);
        let mut shape = Self { sizes: [0; MAX_RANK], rank };
        for back in 1..=rank {
            let size_of = |s: &Self| if back <= s.rank { s.sizes[s.rank - back] } else { 1 };
            shape.sizes[rank - back] = match (size_of(self), size_of(other)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return None,
            };
        }
        Some(shape)
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.sizes[..self.rank]
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &**self)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &**self)
    }
}

impl From<&Self> for Shape {
    fn from(shape: &Self) -> Self {
        *shape
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[track_caller]
    fn from(sizes: [usize; N]) -> Self {
        Self::new(&sizes)
    }
}

impl From<&[usize]> for Shape {
    #[track_caller]
    fn from(sizes: &[usize]) -> Self {
        Self::new(sizes)
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    #[track_caller]
    fn from(sizes: &[usize; N]) -> Self {
        Self::new(sizes)
    }
}

impl From<Vec<usize>> for Shape {
    #[track_caller]
    fn from(sizes: Vec<usize>) -> Self {
        Self::new(&sizes)
    }
}

impl From<usize> for Shape {
    fn from(size: usize) -> Self {
        Self::new(&[size])
    }
}

impl PartialEq<[usize]> for Shape {
    fn eq(&self, other: &[usize]) -> bool {
        **self == *other
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        **self == *other
    }
}

/// Which axes a reduction runs over: `..` for all, one axis, or several in an array, a slice or a vector;
/// negative axes count from the end.
///
/// ```
/// # use backflow_tensor::{Tensor, keep};
/// let x = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(x.sum(..).item(), 10.0);
/// assert_eq!(x.sum(0).to_vec::<f32>(), [4.0, 6.0]);
/// assert_eq!(x.sum(vec![0, -1]).item(), 10.0);
/// assert_eq!(x.sum(keep(-1)).shape(), [2, 1]);
/// ```
#[derive(Clone, Debug)]
pub struct Axes {
    list: Option<SmallVec<[isize; 4]>>,
    keep: bool,
}

/// Keeps the reduced axes, with size 1, so that the result broadcasts against the operand.
#[must_use]
pub fn keep(axes: impl Into<Axes>) -> Axes {
    Axes { keep: true, ..axes.into() }
}

/// A reduction worked out for one shape.
#[derive(Clone, Debug)]
pub(crate) struct Reduction {
    /// For each axis, whether it is reduced.
    pub(crate) reduced: [bool; MAX_RANK],
    /// The operand's shape with every reduced axis set to 1.
    pub(crate) kept: Shape,
    /// The shape of the result.
    pub(crate) result: Shape,
    /// How many elements go into each result.
    pub(crate) count: usize,
}

impl Reduction {
    /// Whether some axes are reduced, and these are the last ones of a tensor of so many.
    pub(crate) fn is_of_last_axes(&self, rank: usize) -> bool {
        let reduced = &self.reduced[..rank];
        reduced.is_sorted() && reduced.last() == Some(&true)
    }
}

impl Axes {
    #[track_caller]
    pub(crate) fn resolve(&self, op: &'static str, shape: &Shape) -> Reduction {
        let mut reduced = [false; MAX_RANK];
        match &self.list {
            None => reduced[..shape.rank()].fill(true),
            Some(list) => {
                for &axis in list {
                    let axis_idx = shape.axis(op, axis);
                    if reduced[axis_idx] {
                        let rows = [("shape", shape.to_string()), ("axes", format!("{list:?}"))];
                        misuse(op, "an axis is named twice", &rows, "");
                    }
                    reduced[axis_idx] = true;
                }
            }
        }
        let mut kept = *shape;
        let mut count = 1;
        let mut rest = *shape;
        for (axis_idx, &size) in shape.iter().enumerate() {
            if reduced[axis_idx] {
                count *= size;
                kept = kept.with_size(axis_idx, 1);
                rest = rest.remove(axis_idx - (shape.rank() - rest.rank()));
            }
        }
        let result = if self.keep { kept } else { rest };
        Reduction { reduced, kept, result, count }
    }
}

impl From<RangeFull> for Axes {
    fn from(_: RangeFull) -> Self {
        Self { list: None, keep: false }
    }
}

impl<I: Integer> From<I> for Axes {
    fn from(axis: I) -> Self {
        Self { list: Some(smallvec![axis.to_isize()]), keep: false }
    }
}

macro_rules! axes_from {
    ($([$($generics:tt)*] $List:ty;)*) => {$(
        impl<$($generics)*> From<$List> for Axes {
            fn from(axes: $List) -> Self {
                Self { list: Some(axes.iter().map(|axis| axis.to_isize()).collect()), keep: false }
            }
        }
    )*};
}
axes_from! {
    [I: Integer, const N: usize] [I; N];
    [I: Integer, const N: usize] &[I; N];
    [I: Integer] &[I];
    [I: Integer] Vec<I>;
    [I: Integer] &Vec<I>;
}
