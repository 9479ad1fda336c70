//! Walking along an axis: the steps of a sequence, the samples of a batch.
//!
//! Not an op: each part is a [`select`](Tensor::select), with a gradient of its own.

use crate::tensor::Tensor;

impl Tensor {
    /// What is at each place along `axis`, one after the other: as [`select`](Self::select) gives it, without
    /// the axis. [`Tensor::stack`] is the way back. PyTorch's `unbind`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let steps = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let mut sum = Tensor::from([0.0, 0.0]);
    /// for x in steps.iter_axis(0) {
    ///     sum += x;
    /// }
    /// assert_eq!(sum.to_vec::<f64>(), [4.0, 6.0]);
    /// assert_eq!(Tensor::stack(steps.iter_axis(0).rev(), 0).to_vec::<f64>(), [3.0, 4.0, 1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis.
    #[must_use]
    #[track_caller]
    pub fn iter_axis(
        &self,
        axis: isize,
    ) -> impl ExactSizeIterator<Item = Self> + DoubleEndedIterator + use<> {
        let size = self.shape()[self.shape().axis("iter_axis", axis)];
        // At once, for the graph to know them by the caller's line: an adapter's `next` has none.
        let mut parts = Vec::with_capacity(size);
        for place in 0..size {
            parts.push(self.select(axis, place));
        }
        parts.into_iter()
    }
}
