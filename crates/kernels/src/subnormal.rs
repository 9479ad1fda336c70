//! Subnormal numbers to zero, by arithmetic.
//!
//! Processors can do this by themselves (the bits FTZ and DAZ of MXCSR on x86, FZ of FPCR on AArch64). This
//! crate does not use them: Rust defines its floating-point operations for the default environment alone, and
//! to run compiled Rust code in another one is undefined behaviour, also where the register is put back
//! afterwards (documentation of `std::arch`'s `_mm_setcsr`); only operations written in one block of assembly
//! may do so. A loop over what was computed is defined on every processor, gives the same bits on all of them
//! and has no state that other threads would have to be told of. The price is one more pass, over numbers
//! that are still in the cache; and what is subnormal inside a sum or a product, before its result is
//! written, is not touched.

use crate::{Float, map};

/// Makes every subnormal number the zero of its sign. All other numbers, infinities and NaNs stay as they
/// are.
///
/// ```
/// let mut x = [1e-39_f32, -1e-39, f32::MIN_POSITIVE, 0.5];
/// backflow_kernels::subnormal::flush_to_zero(&mut x);
/// assert_eq!(x.map(f32::to_bits), [0.0, -0.0, f32::MIN_POSITIVE, 0.5].map(f32::to_bits));
/// ```
pub fn flush_to_zero<T: Float>(x: &mut [T]) {
    map::map_inplace(x, |x| if x.abs() < T::MIN_POSITIVE { T::ZERO.copysign(x) } else { x });
}
