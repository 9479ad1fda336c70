//! What a product needs of a register, and the registers that every target has.

use crate::Float;

/// `LANES` numbers in one register.
///
/// # Safety of every method
/// The caller runs on a processor with the instruction set the type is named after, and pointers are valid
/// for `LANES` elements. Methods must be inlined into a function that enables the instruction set, or they
/// cost a call each.
pub trait Vector: Copy {
    /// What a lane holds.
    type Element: Float;
    /// Lanes in a register.
    const LANES: usize;

    /// `x` in every lane.
    unsafe fn splat(x: Self::Element) -> Self;
    /// The elements from `from` on.
    unsafe fn load(from: *const Self::Element) -> Self;
    /// Writes the lanes from `to` on.
    unsafe fn store(self, to: *mut Self::Element);
    /// Asks for the cache line at `at`, which need not be valid, where the processor can be asked.
    #[inline(always)]
    unsafe fn prefetch(at: *const Self::Element) {
        let _ = at;
    }
    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;
    /// `self·b + c`, fused where the processor can.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;

    /// The lanes, in order, in the first `LANES` places.
    #[inline(always)]
    unsafe fn to_array(self) -> [Self::Element; 16] {
        let mut lanes = [Self::Element::ZERO; 16];
        // SAFETY: no vector has more than 16 lanes.
        unsafe { self.store(lanes.as_mut_ptr()) };
        lanes
    }

    /// Side of the square that `transpose` moves.
    const SIDE: usize;
    /// Writes the transpose of `SIDE` rows of `SIDE` elements. Strides are those between rows, on either
    /// side.
    unsafe fn transpose(
        from: *const Self::Element,
        from_stride: usize,
        to: *mut Self::Element,
        to_stride: usize,
    );
}

/// 128-bit registers as plain arrays, which every compiler back end knows how to keep in registers.
macro_rules! portable {
    ($vector:ident, $element:ty, $lanes:literal) => {
        #[doc = concat!(stringify!($lanes), " numbers in a 128-bit register.")]
        #[derive(Clone, Copy, Debug)]
        #[repr(C, align(16))]
        pub struct $vector([$element; $lanes]);

        impl Vector for $vector {
            type Element = $element;
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn splat(x: $element) -> Self {
                Self([x; $lanes])
            }
            #[inline(always)]
            unsafe fn load(from: *const $element) -> Self {
                // SAFETY: the caller vouches for `LANES` elements; an array has the layout of its elements.
                Self(unsafe { from.cast::<[$element; $lanes]>().read_unaligned() })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $element) {
                // SAFETY: as in `load`.
                unsafe { to.cast::<[$element; $lanes]>().write_unaligned(self.0) }
            }
            #[inline(always)]
            unsafe fn add(mut self, other: Self) -> Self {
                for (x, y) in self.0.iter_mut().zip(other.0) {
                    *x += y;
                }
                self
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, mut c: Self) -> Self {
                for ((c, a), b) in c.0.iter_mut().zip(self.0).zip(b.0) {
                    // Without the instruction, `mul_add` is a slow library call.
                    *c = if cfg!(target_arch = "aarch64") { a.mul_add(b, *c) } else { a * b + *c };
                }
                c
            }

            const SIDE: usize = $lanes;
            #[inline(always)]
            unsafe fn transpose(
                from: *const $element,
                from_stride: usize,
                to: *mut $element,
                to_stride: usize,
            ) {
                for i in 0..$lanes {
                    for j in 0..$lanes {
                        // SAFETY: inside the two squares the caller vouches for.
                        unsafe { *to.add(j * to_stride + i) = *from.add(i * from_stride + j) };
                    }
                }
            }
        }
    };
}
portable!(F32x4, f32, 4);
portable!(F64x2, f64, 2);
