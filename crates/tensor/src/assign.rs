//! Writing the numbers of one tensor into another.

use crate::dtype::with_element;
use crate::error::misuse;
use crate::tensor::Tensor;

impl Tensor {
    /// Writes the numbers of `values` into this tensor. It stays the leaf, or the buffer,
    /// that it is, as [`as_mut_slice`](Self::as_mut_slice) says. PyTorch's `copy_` under `no_grad`;
    /// a step of gradient descent by hand is `w.assign(&(w.detach() - gradients.of(&w) * lr))`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let mut w = Tensor::from([1.0, 2.0]).requires_grad();
    /// w.assign(&Tensor::from([3.0, 4.0]));
    /// assert!(w.is_leaf() && w.to_vec::<f64>() == [3.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If shape or element type differ, or this is the tracked result of an op.
    #[track_caller]
    pub fn assign(&mut self, values: &Self) {
        if (self.shape(), self.dtype()) != (values.shape(), values.dtype()) {
            let rows = [("tensor", self.described()), ("values", values.described())];
            misuse("assign", "the values do not match the tensor", &rows, "");
        }
        with_element!(self.dtype(), T => {
            let values = values.contiguous();
            self.as_mut_slice::<T>().copy_from_slice(values.as_slice().expect("made contiguous above"));
        });
    }
}
