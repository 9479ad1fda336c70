//! The logarithm of softmax.
//!
//! ```text
//! yᵢ  = xᵢ − ln Σ exp xⱼ                      along one axis
//! dxᵢ = dyᵢ − exp yᵢ · Σ dyⱼ                  keeps its output
//! ```
//!
//! Not the logarithm of a rounded softmax: probabilities that round to 0 keep their logarithms. Infinities
//! and NaN as in [`softmax`](super::softmax).

use super::softmax::{NOTHING_BUT_MASK, along_axes, rows};
use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::op::{Keep, Op, Zeros};
use crate::shape::keep;
use crate::tensor::Tensor;
use backflow_kernels::softmax;

pub(super) static OP: Op = Op::new("log_softmax")
    .formula("yᵢ = xᵢ − ln Σ exp xⱼ along an axis")
    .gradient("dxᵢ = dyᵢ − exp yᵢ · Σ dyⱼ")
    .keep(Keep::Output)
    .zeros(Zeros::Saturation)
    .pitfalls(&[NOTHING_BUT_MASK])
    .sampled_by(samples);

impl Tensor {
    /// xᵢ − ln Σ exp xⱼ along `axis`: the logarithms of the [`softmax`](Self::softmax), without its
    /// underflow.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// assert_eq!(Tensor::from([-800.0, 0.0]).log_softmax(0).to_vec::<f64>(), [-800.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn log_softmax(&self, axis: isize) -> Self {
        if self.shape().axis("log_softmax", axis) + 1 != self.rank() {
            return self.transpose(axis, -1).log_softmax(-1).transpose(axis, -1);
        }
        let (rows, n) = rows(self.shape());
        let y = with_float!("log_softmax", self.dtype(), T => {
            let x = self.contiguous();
            let x = x.as_slice::<T>().expect("made contiguous above");
            Self::build_like::<T>(self, |out| softmax::log_softmax(x, rows, n, out))
        });
        y.record(&OP, &[self], move |g| {
            g.give(0, |g| {
                let (dy, y) = (g.dy(), g.y());
                if g.is_recorded() {
                    return dy - y.exp() * dy.sum(keep(-1));
                }
                with_float!("log_softmax", y.dtype(), T => Self::build_like::<T>(&y, |out| {
                    let (dy, y) = (dy.contiguous(), y.contiguous());
                    let contiguous = "made contiguous above";
                    let (dy, y) = (dy.as_slice().expect(contiguous), y.as_slice().expect(contiguous));
                    softmax::log_softmax_backward(dy, y, rows, n, out);
                }))
            });
        })
    }
}

fn samples(s: &mut Samples) {
    along_axes(s, "log_softmax", Tensor::log_softmax);
}
