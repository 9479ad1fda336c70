//! Flushing subnormal numbers to zero, where a program asks for it.
//!
//! It happens where results are made (`Tensor::build`), once for all ops, by a loop of its own:
//! `backflow_kernels::subnormal` says why not by the processor's own switch.

use crate::dtype::DType;
use crate::mode::{flushing, mode};
use crate::tensor::Tensor;
use backflow_kernels::subnormal;

/// Runs `f` so that no op gives back a subnormal number: one closer to 0 than the smallest normal number
/// (2⁻¹²⁶ in `f32`, 2⁻¹⁰²² in `f64`) becomes the zero of its sign, in results, in gradients and in what an
/// optimizer writes.
///
/// It is off by default, for it changes results: gradients that vanish are 0 sooner, in `f32` by 7 decades.
/// Where a processor is slow with subnormal numbers, a deep stack whose gradients vanish meets them in a few
/// layers only and not in all that lie before; where it is not, this costs some percent of a step. Results do
/// not depend on the number of threads: each op flushes its own result, by the threads that share its work.
/// What is subnormal on the way to a result is not touched, and neither are tensors made from numbers. The
/// switch is this thread's, and is put back afterwards, also after a panic.
///
/// ```
/// use backflow_tensor::{Tensor, flush_to_zero};
/// let x = Tensor::from(1e-30_f32);
/// assert_eq!((&x * 1e-10).item(), f64::from(1e-30_f32 * 1e-10));
/// assert_eq!(flush_to_zero(|| &x * 1e-10).item(), 0.0);
/// ```
pub fn flush_to_zero<R>(f: impl FnOnce() -> R) -> R {
    let _flushing = flushing(true);
    f()
}

/// Whether this thread makes zeros of subnormal results ([`flush_to_zero`]).
#[must_use]
pub fn is_flushing_to_zero() -> bool {
    mode().flushing
}

impl Tensor {
    /// Flushes what was computed in place, if this thread flushes.
    pub(crate) fn flush_if_asked(&mut self) {
        if mode().flushing {
            self.flush_subnormals();
        }
    }

    /// Makes every subnormal number of this tensor the zero of its sign, in place; elements that are shared
    /// are copied first.
    pub fn flush_subnormals(&mut self) {
        match self.dtype() {
            DType::F32 => subnormal::flush_to_zero(self.dense_mut_slice::<f32>()),
            DType::F64 => subnormal::flush_to_zero(self.dense_mut_slice::<f64>()),
            DType::I64 | DType::Bool => {}
        }
    }
}
