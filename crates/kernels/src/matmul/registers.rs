//! Which registers an element type has at which level.

use super::vector::{F32x4, F64x2, Vector};
#[cfg(target_arch = "x86_64")]
use super::x86::{F32x8, F32x16, F64x4, F64x8};

/// The registers of an element type, level by level.
pub trait Tiled: Sized {
    /// 512-bit registers.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Vector<Element = Self>;
    /// 256-bit registers.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Vector<Element = Self>;
    /// Whatever the target always has.
    type Portable: Vector<Element = Self>;
}

impl Tiled for f32 {
    #[cfg(target_arch = "x86_64")]
    type Avx512 = F32x16;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = F32x8;
    type Portable = F32x4;
}

impl Tiled for f64 {
    #[cfg(target_arch = "x86_64")]
    type Avx512 = F64x8;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = F64x4;
    type Portable = F64x2;
}
