//! The order of the axes, changed without a copy.
//!
//! ```text
//! y  = x with its axes reordered
//! dx = dy with the order undone      keeps nothing
//! ```

use crate::catalogue::Samples;
use crate::error::misuse;
use crate::layout::AxisOrder;
use crate::op::{Op, Zeros};
use crate::scalar::Integer;
use crate::shape::MAX_RANK;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::sync::Arc;

pub(super) static OP: Op = Op::new("permute")
    .formula("y[i_p(0), …] = x[i_0, …]")
    .gradient("dx = dy, permuted back")
    .zeros(Zeros::Never)
    .sampled_by(samples);

impl Tensor {
    /// A view whose axis `k` is this tensor's axis `axes[k]`: an array, a slice or a vector; negative axes
    /// count from the end. PyTorch's and NumPy's `permute`/`transpose(axes)`.
    ///
    /// ```
    /// # use backflow_tensor::{DType, Tensor};
    /// let images = Tensor::zeros([8, 28, 24, 3], DType::F32);
    /// assert_eq!(images.permute([0, -1, 1, 2]).shape(), [8, 3, 28, 24]);
    /// ```
    ///
    /// # Panics
    /// If `axes` is not a permutation of this tensor's axes.
    #[must_use]
    #[track_caller]
    pub fn permute<I: Integer>(&self, axes: impl AsRef<[I]>) -> Self {
        let axes: SmallVec<[isize; MAX_RANK]> = axes.as_ref().iter().map(|axis| axis.to_isize()).collect();
        self.permuted(&axes)
    }

    #[track_caller]
    fn permuted(&self, axes: &[isize]) -> Self {
        let shape = self.shape();
        let mut from_start = SmallVec::<[usize; MAX_RANK]>::new();
        for &axis in axes {
            from_start.push(shape.axis("permute", axis));
        }
        let Some(order) = AxisOrder::from_axes(&from_start, shape.rank()) else {
            let rows = [("shape", shape.to_string()), ("axes", format!("{axes:?}"))];
            misuse("permute", "needs every axis exactly once", &rows, "");
        };
        self.reordered(order)
    }

    #[track_caller]
    fn reordered(&self, order: AxisOrder) -> Self {
        let layout = Arc::new(self.layout.permuted(order));
        let y = Self { storage: self.storage.clone(), layout, node: None };
        y.record(&OP, &[self], move |g| g.give(0, |g| g.dy().reordered(order.inverse())))
    }

    /// A view with two axes exchanged.
    ///
    /// # Panics
    /// If one of them does not exist.
    #[must_use]
    #[track_caller]
    pub fn transpose(&self, first: isize, second: isize) -> Self {
        let shape = &self.layout.shape;
        let (first, second) = (shape.axis("transpose", first), shape.axis("transpose", second));
        self.reordered(AxisOrder::ROW_MAJOR.swapped(first, second))
    }

    /// A matrix, or each matrix of a stack, transposed: the last two axes exchanged.
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[must_use]
    #[track_caller]
    pub fn t(&self) -> Self {
        self.transpose(-2, -1)
    }
}

fn samples(s: &mut Samples) {
    let x = s.draw(&[2, 3, 4], -3.0..3.0);
    s.case("", &[x], "a.permute(2, 0, 1)", |x| x[0].permute([2, 0, -2]));
    let x = s.draw(&[], -3.0..3.0);
    s.case("scalar", &[x], "a", |x| x[0].permute([0; 0]));
    let x = s.draw(&[3, 0], -3.0..3.0);
    s.case("empty", &[x], "a.T", |x| x[0].t());
    let x = s.draw(&[2, 3, 4], -3.0..3.0).step_by(2, 2);
    s.case("strided", &[x], "a.transpose(0, 2)", |x| x[0].transpose(0, 2));
}
