//! What the machine can do at most: bytes that a plain copy moves, and multiply-adds that never leave the
//! registers.

use crate::{SIZES, numbers};
#[cfg(target_arch = "x86_64")]
use backflow_kernels::isa::Isa;
use criterion::{Criterion, Throughput};
use std::hint::black_box;

/// Independent chains of multiply-adds: four cycles of latency, times two units.
const CHAINS: usize = 8;
const ROUNDS: usize = 1000;

/// x ← a·x + b in every lane of every chain. In intrinsics: of a plain loop the compiler keeps only a part in
/// registers.
#[cfg(target_arch = "x86_64")]
macro_rules! multiply_add {
    ($name:ident, $features:literal, $float:ty, $vector:ty, $set:ident, $fma:ident) => {
        #[target_feature(enable = $features)]
        pub(super) fn $name(a: $float, b: $float) -> [$vector; CHAINS] {
            let (mut x, a, b) = ([$set(1.0); CHAINS], $set(a), $set(b));
            for _ in 0..ROUNDS {
                x = x.map(|x| $fma(x, a, b));
            }
            x
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{CHAINS, ROUNDS};
    use std::arch::x86_64::*;

    multiply_add!(single_512, "avx512f", f32, __m512, _mm512_set1_ps, _mm512_fmadd_ps);
    multiply_add!(double_512, "avx512f", f64, __m512d, _mm512_set1_pd, _mm512_fmadd_pd);
    multiply_add!(single_256, "avx2,fma", f32, __m256, _mm256_set1_ps, _mm256_fmadd_ps);
    multiply_add!(double_256, "avx2,fma", f64, __m256d, _mm256_set1_pd, _mm256_fmadd_pd);
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("floor/copy");
    for (place, n) in SIZES {
        let (x, mut y) = (numbers(n), vec![0.0; n]);
        group.throughput(Throughput::BytesDecimal(8 * n as u64));
        group.bench_function(place, |bencher| {
            bencher.iter(|| black_box(&mut y).copy_from_slice(black_box(&x)));
        });
    }
    group.finish();
    #[cfg(target_arch = "x86_64")]
    multiply_add(criterion);
}

/// Of the widest registers that the kernels would use.
#[cfg(target_arch = "x86_64")]
fn multiply_add(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("floor/multiply-add");
    macro_rules! benches {
        ($($id:literal: $function:ident, $lanes:literal;)*) => {{$(
            group.throughput(Throughput::Elements(2 * $lanes * (CHAINS * ROUNDS) as u64));
            group.bench_function($id, |bencher| {
                // SAFETY: `Isa::current` has seen the features that the function enables.
                bencher.iter(|| unsafe { x86::$function(black_box(0.5), black_box(0.5)) });
            });
        )*}};
    }
    match Isa::current() {
        Isa::Avx512 => benches! { "f32": single_512, 16; "f64": double_512, 8; },
        Isa::Avx2 => benches! { "f32": single_256, 8; "f64": double_256, 4; },
        Isa::Portable => {}
    }
    group.finish();
}
