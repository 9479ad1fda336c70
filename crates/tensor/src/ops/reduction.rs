//! Reductions over any set of axes, run by run: adjacent axes are reduced in one call of a kernel.

use crate::dtype::Element;
use crate::layout::Layout;
use crate::shape::{Reduction, Shape};
use crate::tensor::Tensor;
use std::borrow::Cow;
use std::sync::Arc;

impl Tensor {
    /// Reduces with `kernel(x, outer, len, inner, out)`, from the last run of axes to the first: the
    /// untracked result.
    pub(crate) fn reduce<T: Element>(
        &self,
        reduction: &Reduction,
        kernel: impl Fn(&[T], usize, usize, usize, &mut [T]),
    ) -> Self {
        let mut x = self.contiguous();
        let mut end = self.rank();
        while end > 0 {
            if !reduction.reduced[end - 1] {
                end -= 1;
                continue;
            }
            let start = end - (0..end).rev().take_while(|&axis| reduction.reduced[axis]).count();
            let shape = x.shape();
            let (outer, rest) = shape.split_at(start);
            let (run, inner) = rest.split_at(end - start);
            let (outer, len, inner) = (product(outer), product(run), product(inner));
            let reduced = (start..end).fold(shape, |shape, axis| shape.with_size(axis, 1));
            let slice = x.as_slice::<T>().expect("made contiguous above, and each result is");
            x = Cow::Owned(Self::build(reduced, |out| kernel(slice, outer, len, inner, out)));
            end = start;
        }
        let y = match x {
            Cow::Owned(y) => y,
            Cow::Borrowed(x) => x.untracked(),
        };
        y.viewed(reduction.result)
    }

    /// This contiguous untracked tensor under another shape of as many elements.
    pub(crate) fn viewed(mut self, shape: Shape) -> Self {
        debug_assert!(self.layout.is_contiguous() && self.elements() == shape.elements());
        let layout = Arc::make_mut(&mut self.layout);
        *layout = Layout::new(shape, shape.contiguous_strides(), layout.offset);
        self
    }
}

fn product(sizes: &[usize]) -> usize {
    sizes.iter().product()
}
