//! Subnormal numbers: to zero by arithmetic, and out of the way of products.
//!
//! Many processors, Intel's among them, multiply subnormal numbers by microcode, some 100 times as slowly as others.
//! So a product of many terms takes its operands a power of two larger ([`raise`]), where what is multiplied is not
//! subnormal, and its result is made smaller again ([`lower`]). Neither of these two multiplies a subnormal number, nor
//! has one as a product or a difference.
//!
//! **Flushing.** Processors can do this by themselves (the bits FTZ and DAZ of MXCSR on x86, FZ of FPCR on AArch64). This
//! crate does not use them: Rust defines its floating-point operations for the default environment alone, and
//! to run compiled Rust code in another one is undefined behaviour, also where the register is put back
//! afterwards (documentation of `std::arch`'s `_mm_setcsr`); only operations written in one block of assembly
//! may do so. A loop over what was computed is defined on every processor, gives the same bits on all of them
//! and has no state that other threads would have to be told of. The price is one more pass, over numbers
//! that are still in the cache; and what is subnormal inside a sum or a product, before its result is
//! written, is not touched.

use crate::isa::{Work, dispatch};
use crate::parallel::{self, GRAIN};
use crate::{Float, map};

/// Elements looked at without asking other threads.
const PIECE: usize = 1 << 16;
/// Elements in a nanosecond, about.
const PER_NANOSECOND: usize = 10;

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

/// Whether any number is subnormal.
///
/// ```
/// assert!(backflow_kernels::subnormal::any(&[0.0, 1.0, 1e-40_f32]));
/// assert!(!backflow_kernels::subnormal::any(&[0.0, 1.0, 1e-40_f64]));
/// ```
#[must_use]
pub fn any<T: Float>(x: &[T]) -> bool {
    largest(x, |x| u32::from(x.abs() < T::MIN_POSITIVE && x.abs() > T::ZERO)) > 0
}

/// The exponent of the number of the largest magnitude, ⌊log₂|x|⌋; one above the largest there is where infinities
/// or NaNs are, one below the smallest of a normal number where all are smaller than these.
///
/// ```
/// assert_eq!(backflow_kernels::subnormal::largest_exponent(&[0.25, -3.0_f32]), 1);
/// assert_eq!(backflow_kernels::subnormal::largest_exponent(&[f32::NAN, 0.0]), 128);
/// ```
#[must_use]
pub fn largest_exponent<T: Float>(x: &[T]) -> i32 {
    largest(x, |x| u32::from(x.biased_exponent())) as i32 - (T::EXPONENTS / 2 - 1) as i32
}

/// The largest of what `f` makes of each number; 0 of none.
fn largest<T: Float>(x: &[T], f: impl Fn(T) -> u32 + Copy + Send + Sync) -> u32 {
    let pieces: Vec<&[T]> = x.chunks(PIECE).collect();
    let each = parallel::map(x.len() / PER_NANOSECOND, &pieces, |x| dispatch(Largest(x, f)));
    each.into_iter().max().unwrap_or(0)
}

struct Largest<'a, T, F>(&'a [T], F);

impl<T: Float, F: Fn(T) -> u32> Work for Largest<'_, T, F> {
    type Output = u32;
    #[inline(always)]
    fn run(self) -> u32 {
        let Largest(x, f) = self;
        x.iter().fold(0, |largest, &x| largest.max(f(x)))
    }
}

/// `out[i] = x[i]·2^exponent`: exactly, where it does not overflow.
///
/// # Panics
/// If the lengths differ, or the exponent is negative or above 126 (1022 of `f64`).
#[track_caller]
pub fn raise<T: Float>(x: &[T], out: &mut [T], exponent: i32) {
    let factor = power::<T>(exponent);
    out.copy_from_slice(x);
    // A subnormal number and the smallest normal one have an exact sum, which is normal.
    let (below, added) = (T::MIN_POSITIVE, T::MIN_POSITIVE * factor);
    scale(out, [below, factor], move |scaled| scaled - added);
}

/// `x[i] = x[i]·2^−exponent`, rounded once, to even.
///
/// ```
/// use backflow_kernels::subnormal::{lower, raise};
/// let (x, mut y) = ([3e-45_f32, -1e-30, 0.5], [0.0; 3]);
/// raise(&x, &mut y, 100);
/// assert_eq!(y, x.map(|x| x * 2_f32.powi(100)));
/// lower(&mut y, 100);
/// assert_eq!(y, x);
/// ```
///
/// # Panics
/// As [`raise`].
#[track_caller]
pub fn lower<T: Float>(x: &mut [T], exponent: i32) {
    let factor = power::<T>(exponent);
    // Numbers up to twice the smallest that stays normal are as far apart as subnormal ones will be: the sum rounds as it
    // should.
    let below = T::MIN_POSITIVE * factor;
    scale(x, [below, T::ONE / factor], T::less_smallest_normal);
}

/// Numbers that are taken together, in the first-level cache.
const CHUNK: usize = 512;

/// `x·factor`; to magnitudes that are below a number this is added first, and `less` takes off what it made.
fn scale<T: Float>(x: &mut [T], [below, factor]: [T; 2], less: impl Fn(T) -> T + Copy + Sync) {
    parallel::for_pieces(x, GRAIN, &|_, x| dispatch(Scale { x, below, factor, less }));
}

struct Scale<'a, T, F> {
    x: &'a mut [T],
    below: T,
    factor: T,
    less: F,
}

impl<T: Float, F: Fn(T) -> T> Work for Scale<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { x, below, factor, less } = self;
        let mut normal = [T::ZERO; CHUNK];
        for x in x.chunks_mut(CHUNK) {
            // A loop of its own: in one, the compiler would multiply both what is normal and what is not, and choose.
            for (normal, x) in normal.iter_mut().zip(&*x) {
                let magnitude = x.abs();
                *normal = if magnitude < below { magnitude + below } else { magnitude };
            }
            for (x, normal) in x.iter_mut().zip(&normal) {
                let scaled = *normal * factor;
                *x = (if x.abs() < below { less(scaled) } else { scaled }).copysign(*x);
            }
        }
    }
}

#[track_caller]
fn power<T: Float>(exponent: i32) -> T {
    let most = T::EXPONENTS as i32 / 2 - 2;
    assert!((0..=most).contains(&exponent), "subnormal: an exponent of {exponent} is not among 0 to {most}");
    T::from_f64(f64::from_bits(((1023 + exponent) as u64) << 52))
}
