//! Which elements of a parameter an update moved at all.
//!
//! What is subtracted from a weight and is less than half of the distance to the next number leaves it as it
//! is. To see that takes the weights before and after. So it is looked at only where somebody observes and
//! the step before was near that limit: where gradients vanish that is every step, and costs a tenth of a
//! training.

use backflow_tensor::{DType, FloatElement, Tensor, with_float};

/// Whether an update of this share of the weights, by their RMS, is near their rounding: within some 16
/// times, or 0.
pub(crate) fn is_near(update_ratio: f64, dtype: DType) -> bool {
    let epsilon = if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    update_ratio < 8.0 * epsilon
}

/// The share of elements that changed, of those whose gradient is not 0; `None` if there are none.
pub(crate) fn changed_share(before: &Tensor, after: &Tensor, g: &Tensor) -> Option<f64> {
    fn run<T: FloatElement>(before: &Tensor, after: &Tensor, g: &Tensor) -> Option<f64> {
        let (before, after, g) = (before.to_vec::<T>(), after.to_vec::<T>(), g.to_vec::<T>());
        let (mut changed, mut all) = (0_u64, 0_u64);
        for ((before, after), g) in before.into_iter().zip(after).zip(g) {
            if g != T::ZERO {
                all += 1;
                changed += u64::from(before != after);
            }
        }
        (all > 0).then(|| changed as f64 / all as f64)
    }
    with_float!("step", after.dtype(), T => run::<T>(before, after, g))
}
