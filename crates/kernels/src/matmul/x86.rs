//! The registers of AVX2 and AVX-512, and the squares they transpose.

use super::vector::Vector;
use std::arch::x86_64::*;

macro_rules! register {
    ($vector:ident, $register:ident, $element:ty, $lanes:literal, $splat:ident $load:ident
     $store:ident $add:ident $mul_add:ident; $side:literal $transpose:ident) => {
        #[doc = concat!(stringify!($lanes), " numbers in a wide register.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $vector($register);

        impl Vector for $vector {
            type Element = $element;
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn splat(x: $element) -> Self {
                // SAFETY: the caller vouches for the instruction set, here and below.
                Self(unsafe { $splat(x) })
            }
            #[inline(always)]
            unsafe fn load(from: *const $element) -> Self {
                // SAFETY: the caller vouches for `LANES` elements; the load needs no alignment.
                Self(unsafe { $load(from) })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $element) {
                // SAFETY: as in `load`.
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            unsafe fn prefetch(at: *const $element) {
                // SAFETY: a hint, which never faults.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: as in `splat`.
                Self(unsafe { $add(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: as in `splat`.
                Self(unsafe { $mul_add(self.0, b.0, c.0) })
            }

            const SIDE: usize = $side;
            #[inline(always)]
            unsafe fn transpose(
                from: *const $element,
                from_stride: usize,
                to: *mut $element,
                to_stride: usize,
            ) {
                // SAFETY: the caller vouches for both squares.
                unsafe { $transpose(from, from_stride, to, to_stride) }
            }
        }
    };
}
register!(F32x16, __m512, f32, 16, _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_add_ps _mm512_fmadd_ps; 8 transpose_8x8);
register!(F64x8, __m512d, f64, 8, _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_add_pd _mm512_fmadd_pd; 4 transpose_4x4);
register!(F32x8, __m256, f32, 8, _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_add_ps _mm256_fmadd_ps; 8 transpose_8x8);
register!(F64x4, __m256d, f64, 4, _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_add_pd _mm256_fmadd_pd; 4 transpose_4x4);

/// Three rounds of interleaving, at distance 1, 2 and 4.
#[inline]
#[target_feature(enable = "avx")]
unsafe fn transpose_8x8(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
    let mut rows = [_mm256_setzero_ps(); 8];
    for (i, row) in rows.iter_mut().enumerate() {
        // SAFETY: the caller vouches for 8 rows of 8.
        *row = unsafe { _mm256_loadu_ps(from.add(i * from_stride)) };
    }
    let [a, b, c, d, e, f, g, h] = rows;
    let pairs = [
        (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)),
        (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d)),
        (_mm256_unpacklo_ps(e, f), _mm256_unpackhi_ps(e, f)),
        (_mm256_unpacklo_ps(g, h), _mm256_unpackhi_ps(g, h)),
    ];
    let quads = [(0, 1), (2, 3)].map(|(i, j): (usize, usize)| {
        let ((a, b), (c, d)) = (pairs[i], pairs[j]);
        [
            _mm256_shuffle_ps::<0x44>(a, c),
            _mm256_shuffle_ps::<0xee>(a, c),
            _mm256_shuffle_ps::<0x44>(b, d),
            _mm256_shuffle_ps::<0xee>(b, d),
        ]
    });
    for i in 0..4 {
        let low = _mm256_permute2f128_ps::<0x20>(quads[0][i], quads[1][i]);
        let high = _mm256_permute2f128_ps::<0x31>(quads[0][i], quads[1][i]);
        // SAFETY: the caller vouches for 8 rows of 8.
        unsafe {
            _mm256_storeu_ps(to.add(i * to_stride), low);
            _mm256_storeu_ps(to.add((i + 4) * to_stride), high);
        }
    }
}

/// Two rounds of interleaving, at distance 1 and 2.
#[inline]
#[target_feature(enable = "avx")]
unsafe fn transpose_4x4(from: *const f64, from_stride: usize, to: *mut f64, to_stride: usize) {
    let mut rows = [_mm256_setzero_pd(); 4];
    for (i, row) in rows.iter_mut().enumerate() {
        // SAFETY: the caller vouches for 4 rows of 4.
        *row = unsafe { _mm256_loadu_pd(from.add(i * from_stride)) };
    }
    let [a, b, c, d] = rows;
    let low = [_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b)];
    let high = [_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d)];
    for i in 0..2 {
        // SAFETY: the caller vouches for 4 rows of 4.
        unsafe {
            _mm256_storeu_pd(to.add(i * to_stride), _mm256_permute2f128_pd::<0x20>(low[i], high[i]));
            _mm256_storeu_pd(to.add((i + 2) * to_stride), _mm256_permute2f128_pd::<0x31>(low[i], high[i]));
        }
    }
}
