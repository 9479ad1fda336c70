//! Normalisation forwards and back, at the shapes of training.

use crate::numbers;
use backflow_kernels::normalize::channels::{self, Sizes};
use backflow_kernels::normalize::rows;
use criterion::{Criterion, Throughput};
use std::hint::black_box;

const EPS: f64 = 1e-5;

pub(crate) fn bench(criterion: &mut Criterion) {
    let (count, n) = (4096, 256);
    let (x, dy, weight, bias) = (numbers(count * n), numbers(count * n), numbers(n), numbers(n));
    let (mut y, mut moments) = (x.clone(), vec![[0.0; 2]; count]);
    let mut group = criterion.benchmark_group("normalize/rows");
    group.throughput(Throughput::Bytes((2 * count * n * size_of::<f32>()) as u64));
    group.bench_function("y", |bencher| {
        bencher.iter(|| {
            rows::forward::<f32, true>(&x, [&weight, &bias], EPS, black_box(&mut y), &mut moments);
        });
    });
    group.throughput(Throughput::Bytes((3 * count * n * size_of::<f32>()) as u64));
    group.bench_function("dx, dw, db", |bencher| {
        bencher.iter(|| rows::backward::<f32, true>([&dy, &x], &weight, EPS, &moments, black_box(&mut y)));
    });
    group.finish();

    let sizes = Sizes { images: 1, pixels: 64 * 24 * 24, channels: 64, groups: 64 };
    let len = sizes.pixels * sizes.channels;
    let (x, dy, weight, bias) = (numbers(len), numbers(len), numbers(64), numbers(64));
    let (mut y, mut moments) = (x.clone(), vec![[0.0; 2]; 64]);
    let mut group = criterion.benchmark_group("normalize/channels");
    group.throughput(Throughput::Bytes((3 * len * size_of::<f32>()) as u64));
    group.bench_function("y", |bencher| {
        bencher.iter(|| {
            channels::forward(&x, &sizes, [&weight, &bias], EPS, black_box(&mut y), &mut moments);
        });
    });
    group.throughput(Throughput::Bytes((5 * len * size_of::<f32>()) as u64));
    group.bench_function("dx, dw, db", |bencher| {
        bencher.iter(|| channels::backward([&dy, &x], &sizes, &weight, EPS, &moments, black_box(&mut y)));
    });
    group.finish();
}
