//! Elementwise loops, forwards, and the update of an optimizer.

use crate::{SIZES, numbers};
use backflow_kernels::{Float, map, subnormal};
use criterion::{Criterion, Throughput};
use std::hint::black_box;

pub(crate) fn bench(criterion: &mut Criterion) {
    // Each closure is a loop of its own; a list of functions could not be inlined.
    macro_rules! maps {
        ($($name:literal: $f:expr;)*) => {$({
            let mut group = criterion.benchmark_group(concat!("elementwise/", $name));
            for (place, n) in SIZES {
                let (x, mut y) = (numbers(n), vec![0.0; n]);
                group.throughput(Throughput::BytesDecimal(8 * n as u64));
                group.bench_function(place, |bencher| bencher.iter(|| map::map(black_box(&x), black_box(&mut y), $f)));
            }
            group.finish();
        })*};
    }
    maps! {
        "relu": |x: f32| if x < 0.0 { 0.0 } else { x };
        "sigmoid": |x: f32| Float::sigmoid(x);
        "tanh": |x: f32| Float::tanh(x);
        "exp": |x: f32| Float::exp(x);
        "ln": |x: f32| Float::ln(x);
        "gelu": |x: f32| 0.5 * x * (1.0 + Float::erf(x * std::f32::consts::FRAC_1_SQRT_2));
    }

    let mut group = criterion.benchmark_group("elementwise/add");
    for (place, n) in SIZES {
        let (x, y, mut out) = (numbers(n), numbers(n), vec![0.0; n]);
        group.throughput(Throughput::BytesDecimal(12 * n as u64));
        group.bench_function(place, |bencher| {
            bencher.iter(|| {
                map::zip(black_box(&x), black_box(&y), black_box(&mut out), |a: f32, b: f32| a + b);
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("elementwise/flush to zero");
    for (place, n) in SIZES {
        let mut x = numbers(n);
        group.throughput(Throughput::BytesDecimal(8 * n as u64));
        group.bench_function(place, |bencher| bencher.iter(|| subnormal::flush_to_zero(black_box(&mut x))));
    }
    group.finish();

    let mut group = criterion.benchmark_group("update/adam");
    for (place, n) in SIZES {
        let (mut w, g, mut m, mut v) = (numbers(n), numbers(n), vec![0.0; n], vec![0.0; n]);
        group.throughput(Throughput::BytesDecimal(28 * n as u64));
        group.bench_function(place, |bencher| {
            bencher.iter(|| {
                map::update(black_box(&mut w), black_box(&g), [&mut m, &mut v], |w: f32, g, [m, v]| {
                    let (m, v) = (m + 0.1 * (g - m), v + 0.001 * (g * g - v));
                    let u = 1e-3 * m / (Float::sqrt(v) + 1e-8);
                    (w - u, [m, v], [g * g, w * w, u * u])
                })
            });
        });
    }
    group.finish();
}
