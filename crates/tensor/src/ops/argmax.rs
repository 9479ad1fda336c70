//! Where the largest and the smallest element along an axis stand.
//!
//! ```text
//! y = the place of the first largest (or smallest) x          integers; no gradient
//! ```
//!
//! A NaN counts as the largest and as the smallest of all, as in PyTorch.

use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::error::misuse;
use crate::op::Op;
use crate::tensor::Tensor;
use backflow_kernels::reduce;

pub(super) static OP: Op = Op::new("argmax")
    .formula("y = place of the largest (smallest) x along an axis")
    .without_gradient()
    .sampled_by(samples);

impl Tensor {
    /// The place of the largest element along `axis`, which is gone from the result; of several the first.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let logits = Tensor::from([[0.1, 2.0, 0.3], [1.0, 0.0, 1.0]]);
    /// assert_eq!(logits.argmax(-1).to_vec::<i64>(), [1, 0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, nothing along it, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn argmax(&self, axis: isize) -> Self {
        with_float!("argmax", self.dtype(), T => self.place_along("argmax", axis, reduce::argmax::<T>))
    }

    /// The place of the smallest element along `axis`, which is gone from the result; of several the first.
    ///
    /// # Panics
    /// As [`argmax`](Self::argmax).
    #[must_use]
    #[track_caller]
    pub fn argmin(&self, axis: isize) -> Self {
        with_float!("argmin", self.dtype(), T => self.place_along("argmin", axis, reduce::argmin::<T>))
    }

    #[track_caller]
    fn place_along<T: crate::FloatElement>(
        &self,
        op: &'static str,
        axis: isize,
        kernel: impl Fn(&[T], usize, usize, usize, &mut [i64]),
    ) -> Self {
        let shape = self.shape();
        let axis_idx = shape.axis(op, axis);
        let len = shape[axis_idx];
        if len == 0 {
            let rows = [("shape", shape.to_string()), ("axis", axis.to_string())];
            misuse(op, "nothing to choose from", &rows, "");
        }
        let (outer, inner) = (shape[..axis_idx].iter().product(), shape[axis_idx + 1..].iter().product());
        let x = self.contiguous();
        let x = x.as_slice::<T>().expect("made contiguous above");
        Self::build(shape.remove(axis_idx), |out| kernel(x, outer, len, inner, out))
    }
}

fn samples(s: &mut Samples) {
    for (axis, torch) in [(0, "torch.argmax(a, 0)"), (1, "torch.argmax(a, 1)"), (-1, "torch.argmax(a, -1)")] {
        let x = s.draw_apart(&[2, 3, 4]);
        s.case("", &[x], torch, move |x| x[0].argmax(axis));
    }
    let x = s.draw_apart(&[4, 3]).t();
    s.case("smallest, transposed", &[x], "torch.argmin(a, 1)", |x| x[0].argmin(1));
    let x = Tensor::from([[1.0, 3.0, 3.0], [1.0, f64::NAN, f64::NAN]]);
    s.case("ties and NaN", &[x], "torch.argmax(a, 1)", |x| x[0].argmax(1));
}
