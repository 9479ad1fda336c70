//! The widest instruction set this processor has, chosen when the program runs.
//!
//! A plain build for x86-64 may use SSE2 alone: four `f32` at a time and no fused multiply-add. So every hot
//! loop is compiled several times, once per [`Isa`], and [`dispatch`] picks one. The idea is that of the
//! `pulp` crate: the loop is a value that implements [`Work`], because a closure cannot be compiled under
//! several target features.
//!
//! Loops run through here give the same bits at every level: Rust never contracts `a * b + c` into one
//! rounding, `mul_add` is one at every level, and lane counts are fixed in the source, not taken from the register width.
//! What a loop calls has to be inlined into it, which is for `scripts/registers` to check.

use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set, from the narrowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Isa {
    /// What the compiler may assume of every processor of the target: SSE2 on x86-64, NEON on AArch64.
    Portable = 1,
    /// AVX2 and fused multiply-add: 256-bit registers (x86-64, 2013 on).
    Avx2 = 2,
    /// AVX-512 F, VL, DQ and BW: 512-bit registers (x86-64).
    Avx512 = 3,
}

/// All levels, for tests and benchmarks to go through.
pub const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

/// The level in use, 0 before the first question.
static CURRENT: AtomicU8 = AtomicU8::new(0);

impl Isa {
    /// Whether this processor can run code of this level.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The level kernels run at: the best available one, or the one given to [`force`].
    #[inline]
    #[must_use]
    pub fn current() -> Self {
        match CURRENT.load(Ordering::Relaxed) {
            1 => Self::Portable,
            2 => Self::Avx2,
            3 => Self::Avx512,
            _ => detect(),
        }
    }
}

#[cold]
fn detect() -> Isa {
    let best = ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Isa::Portable);
    CURRENT.store(best as u8, Ordering::Relaxed);
    best
}

/// Makes the whole process run at `isa`, or at the best level again with `None`. For tests and benchmarks.
///
/// # Panics
/// If this processor lacks the level.
pub fn force(isa: Option<Isa>) {
    match isa {
        None => _ = detect(),
        Some(isa) => {
            assert!(isa.is_available(), "isa::force: this processor has no {isa:?}");
            CURRENT.store(isa as u8, Ordering::Relaxed);
        }
    }
}

/// A loop to be compiled once per instruction set.
///
/// `run` must be `#[inline(always)]`, and so must be what it calls in the loop: only code that is inlined is
/// compiled for the wider registers.
pub trait Work {
    /// What the loop returns.
    type Output;
    /// Runs the loop.
    fn run(self) -> Self::Output;
}

/// Runs `work` compiled for the current level. With `--cfg backflow_one_isa` loops are compiled once, for
/// what the compiler is told to compile for: mutation testing builds thousands of them and asks for no speed.
#[inline]
pub fn dispatch<W: Work>(work: W) -> W::Output {
    match Isa::current() {
        // SAFETY: `current` is AVX-512 only after `is_available` saw every feature that `avx512` enables.
        #[cfg(all(target_arch = "x86_64", not(backflow_one_isa)))]
        Isa::Avx512 => unsafe { avx512(work) },
        // SAFETY: `current` is AVX2 only after `is_available` saw both features that `avx2` enables.
        #[cfg(all(target_arch = "x86_64", not(backflow_one_isa)))]
        Isa::Avx2 => unsafe { avx2(work) },
        _ => portable(work),
    }
}

// Not inlined, so that a loop that is called from several places is compiled once.
#[inline(never)]
fn portable<W: Work>(work: W) -> W::Output {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn avx512<W: Work>(work: W) -> W::Output {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<W: Work>(work: W) -> W::Output {
    work.run()
}
