//! Tensors as they lie in memory, and copies that lie otherwise.
//!
//! What treats every element alike takes its operands from here, all in one [`AxisOrder`], and runs over
//! them as over one long row ([`dense_slice`](Tensor::dense_slice)). Everything else asks for row-major
//! order ([`contiguous`](Tensor::contiguous)).

use crate::dtype::{Element, with_element};
use crate::layout::{AxisOrder, Layout};
use crate::shape::Shape;
use crate::tensor::Tensor;
use backflow_kernels::strided::{self, Strided};
use std::borrow::Cow;
use std::sync::Arc;

/// How an op that treats every element alike lays out its result: as the first operand that is dense and has
/// the shape of the result, and row by row where there is none.
///
/// So this depends on nothing but shapes and strides, and of up to two axes it is always row by row.
pub(crate) fn order_of_result(shape: &Shape, operands: &[&Tensor]) -> AxisOrder {
    let order_of = |x: &&Tensor| x.layout.order().filter(|_| x.layout.shape == *shape);
    operands.iter().find_map(order_of).unwrap_or(AxisOrder::ROW_MAJOR)
}

impl Tensor {
    /// The elements without a copy, in the order of memory, where they are of type `T` and lie side by side: those of
    /// [`as_slice`](Self::as_slice), and those of images whose channels lie innermost. For what takes elements in
    /// any order, such as a sum.
    ///
    /// ```
    /// # use backflow_tensor::{DType, Tensor};
    /// let images = Tensor::ones([8, 28, 24, 3], DType::F32).permute([0, 3, 1, 2]);
    /// assert!(images.as_slice::<f32>().is_none());
    /// assert_eq!(images.dense_slice::<f32>().map(<[f32]>::len), Some(images.elements()));
    /// assert!(images.step_by(1, 2).dense_slice::<f32>().is_none());
    /// ```
    #[must_use]
    pub fn dense_slice<T: Element>(&self) -> Option<&[T]> {
        let all = T::slice(&self.storage)?;
        self.layout.order().map(|_| &all[self.layout.offset..][..self.elements()])
    }

    /// The elements for writing, in the order of memory, which stays what it is if nobody else holds them.
    /// Else, and for leaves, it is [`as_mut_slice`](Self::as_mut_slice).
    #[track_caller]
    pub(crate) fn dense_mut_slice<T: Element>(&mut self) -> &mut [T] {
        if !self.is_exclusive() {
            return self.as_mut_slice();
        }
        let elements = self.elements();
        let storage = Arc::get_mut(&mut self.storage).expect("exclusive, as just seen");
        &mut T::slice_mut(storage).expect("of the type that is asked for")[..elements]
    }

    /// Whether this untracked tensor can be written in place: nobody else holds its elements, and it is all
    /// that its storage holds, dense.
    pub(crate) fn is_exclusive(&mut self) -> bool {
        self.node.is_none()
            && self.layout.offset == 0
            && self.layout.order().is_some()
            && Arc::get_mut(&mut self.storage).is_some()
    }

    /// The elements in another layout, for the kernels.
    pub(crate) fn laid_out_as<'a, T: Element>(&'a self, layout: &'a Layout) -> Strided<'a, T> {
        Strided { data: self.storage_slice(), offset: layout.offset, strides: layout.strides() }
    }

    /// This tensor, or an untracked copy of it whose elements lie in row-major order.
    pub(crate) fn contiguous(&self) -> Cow<'_, Self> {
        self.in_order(AxisOrder::ROW_MAJOR)
    }

    /// A contiguous copy, untracked.
    pub(crate) fn contiguous_copy(&self) -> Self {
        self.copy_in_order(AxisOrder::ROW_MAJOR)
    }

    /// This tensor if it is dense, or else an untracked, contiguous copy.
    pub(crate) fn dense(&self) -> Cow<'_, Self> {
        if self.layout.order().is_some() { Cow::Borrowed(self) } else { Cow::Owned(self.contiguous_copy()) }
    }

    /// This tensor if it is dense in this order, or else an untracked copy that is.
    pub(crate) fn in_order(&self, order: AxisOrder) -> Cow<'_, Self> {
        if self.layout.order() == Some(order) {
            Cow::Borrowed(self)
        } else {
            Cow::Owned(self.copy_in_order(order))
        }
    }

    fn copy_in_order(&self, order: AxisOrder) -> Self {
        let from = self.layout.permuted(order);
        with_element!(self.dtype(), T => Self::build_in_order::<T>(self.shape(), order, |out| {
            strided::copy(&from.shape, self.laid_out_as::<T>(&from), out);
        }))
    }
}
