//! Which elements of a parameter an update moved at all.
//!
//! What is subtracted from a weight and is less than half of the distance to the next number leaves it as it
//! is. To see that takes the weights before and after. So it is looked at only where somebody observes and
//! the step before was near that limit: where gradients vanish that is every step, and costs a tenth of a
//! training.

use backflow_tensor::{DType, FloatElement, Tensor, with_float};
use std::borrow::Cow;

/// Elements that are counted at once.
const BLOCK: usize = 4096;

/// Whether an update of this share of the weights, by their RMS, is near their rounding: within some 16
/// times, or 0.
pub(crate) fn is_near(update_ratio: f64, dtype: DType) -> bool {
    let epsilon = if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    update_ratio < 8.0 * epsilon
}

/// The share of elements that changed, of those whose gradient is not 0; `None` if there are none.
pub(crate) fn changed_share(before: &Tensor, after: &Tensor, g: &Tensor) -> Option<f64> {
    fn run<T: FloatElement>(before: &[T], after: &[T], g: &[T]) -> Option<f64> {
        let (mut changed, mut all) = (0_u64, 0_u64);
        // Counted in as few bits as an element has, so that the compiler takes several at a time.
        for ((before, after), g) in before.chunks(BLOCK).zip(after.chunks(BLOCK)).zip(g.chunks(BLOCK)) {
            let (mut changed_here, mut all_here) = (0_u32, 0_u32);
            for ((before, after), g) in before.iter().zip(after).zip(g) {
                let counts = u32::from(*g != T::ZERO);
                all_here += counts;
                changed_here += counts & u32::from(before != after);
            }
            changed += u64::from(changed_here);
            all += u64::from(all_here);
        }
        (all > 0).then(|| changed as f64 / all as f64)
    }
    with_float!("step", after.dtype(), T => {
        let [before, after, g] = [before, after, g]
            .map(|x| x.as_slice::<T>().map_or_else(|| Cow::Owned(x.to_vec()), Cow::Borrowed));
        run(&before, &after, &g)
    })
}
