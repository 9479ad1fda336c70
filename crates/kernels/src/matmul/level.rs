//! The kernels of each instruction set, as tables of functions.

use std::marker::PhantomData;

use super::dot::dots;
use super::gathered::{Gathered, gathered};
use super::operand::{Block, Operand};
use super::pack::{Panels, pack};
use super::tile::{Tile, tile};
use super::vector::Vector;
use crate::Float;
use crate::isa::Isa;

/// Kernels for one and for two registers of columns.
type Tiles<T> = [unsafe fn(&Tile<T>); 2];

/// The same for rows that lie anywhere.
type GatheredTiles<T> = [unsafe fn(&Gathered<'_, T>); 2];

/// What a blocked product needs of an instruction set. All of it may be called on this processor.
pub(crate) struct Level<T: 'static> {
    /// `tiles[r - 1]` computes `r` rows; the last one is the largest.
    pub(super) tiles: &'static [Tiles<T>],
    /// As many.
    pub(crate) gathered: &'static [GatheredTiles<T>],
    /// Columns in a register.
    pub(crate) lanes: usize,
    pub(super) pack: unsafe fn(&Panels<T>, &mut [T]),
    pub(super) dots: unsafe fn(&Block<T>, Operand<T>),
}

impl<T: Float> Level<T> {
    /// The kernels for the level in use.
    pub(crate) fn current() -> Self {
        match Isa::current() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Avx512::kernels(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Avx2::kernels(),
            _ => Portable::kernels(),
        }
    }
}

/// Compiles the kernels for the registers `$level` of `Tiled`, with tiles of the given numbers of rows.
macro_rules! level {
    ($level:ident, [$($rows:literal)*] $(, $features:literal)?) => {
        struct $level<T>(PhantomData<T>);

        impl<T: Float> $level<T> {
            const TILES: &'static [Tiles<T>] = &[$([Self::tile::<$rows, 1>, Self::tile::<$rows, 2>]),*];
            const GATHERED: &'static [GatheredTiles<T>] =
                &[$([Self::gathered::<$rows, 1>, Self::gathered::<$rows, 2>]),*];

            fn kernels() -> Level<T> {
                Level {
                    tiles: Self::TILES,
                    gathered: Self::GATHERED,
                    lanes: T::$level::LANES,
                    pack: Self::pack,
                    dots: Self::dots,
                }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn gathered<const MR: usize, const NV: usize>(x: &Gathered<'_, T>) {
                // SAFETY: as in `tile`.
                unsafe { gathered::<T::$level, MR, NV>(x) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn tile<const MR: usize, const NV: usize>(x: &Tile<T>) {
                // SAFETY: the caller's promise; the features enabled here are those of the registers.
                unsafe { tile::<T::$level, MR, NV>(x) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn pack(x: &Panels<T>, out: &mut [T]) {
                // SAFETY: as in `tile`.
                unsafe { pack::<T::$level>(x, out) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn dots(x: &Block<T>, a: Operand<T>) {
                // SAFETY: as in `tile`.
                unsafe { dots::<T::$level>(x, a) }
            }
        }
    };
}
// A tile of r rows is computed by the next larger even number: at most one row is computed twice.
#[cfg(target_arch = "x86_64")]
level!(Avx512, [1 2 4 4 6 6 8 8 10 10 12 12 14 14], "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma");
#[cfg(target_arch = "x86_64")]
level!(Avx2, [1 2 4 4 6 6], "avx2,fma");
#[cfg(target_arch = "aarch64")]
level!(Portable, [1 2 4 4 6 6 8 8]);
#[cfg(not(target_arch = "aarch64"))]
level!(Portable, [1 2 4 4]);
