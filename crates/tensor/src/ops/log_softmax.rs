//! The logarithm of softmax.
//!
//! ```text
//! yᵢ  = xᵢ − ln Σ exp xⱼ                      along one axis
//! dxᵢ = dyᵢ − exp yᵢ · Σ dyⱼ                  keeps its output
//! ```
//!
//! Where exp yᵢ is above ½, its gradient is −(exp yᵢ − 1) dyᵢ − exp yᵢ Σ dyⱼ over the others.
//! Not the logarithm of a rounded softmax: probabilities that round to 0 keep their logarithms. Infinities
//! and NaN as in [`softmax`](super::softmax).

use super::softmax::{NOTHING_BUT_MASK, along_axes};
use crate::catalogue::Samples;
use crate::op::{Keep, Op, Zeros};
use crate::tensor::Tensor;

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
        self.normalized(&OP, axis, true)
    }
}

fn samples(s: &mut Samples) {
    along_axes(s, "log_softmax", Tensor::log_softmax);
}
