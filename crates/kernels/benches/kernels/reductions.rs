//! Reductions of whole arrays and of rows.

use crate::{SIZES, numbers};
use backflow_kernels::{reduce, softmax};
use criterion::{Criterion, Throughput};
use std::hint::black_box;

/// Classes of the rows that softmax and cross entropy are about.
const CLASSES: usize = 16;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reduction/sum");
    for (place, n) in SIZES {
        let (x, mut out) = (numbers(n), [0.0]);
        group.throughput(Throughput::BytesDecimal(4 * n as u64));
        group.bench_function(place, |bencher| {
            bencher.iter(|| reduce::sum(black_box(&x), 1, n, 1, black_box(&mut out)));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("reduction/sum of columns");
    for (place, n) in SIZES {
        let (x, mut out) = (numbers(n), vec![0.0; CLASSES]);
        group.throughput(Throughput::BytesDecimal(4 * n as u64));
        group.bench_function(place, |bencher| {
            bencher.iter(|| reduce::sum(black_box(&x), 1, n / CLASSES, CLASSES, black_box(&mut out)));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("reduction/moments");
    for (place, n) in SIZES {
        let x = numbers(n);
        group.throughput(Throughput::BytesDecimal(4 * n as u64));
        group.bench_function(place, |bencher| bencher.iter(|| reduce::moments(black_box(&x), None)));
    }
    group.finish();

    let mut group = criterion.benchmark_group("reduction/softmax");
    for (place, n) in SIZES {
        let (x, mut y) = (numbers(n), vec![0.0; n]);
        group.throughput(Throughput::BytesDecimal(8 * n as u64));
        group.bench_function(place, |bencher| {
            bencher.iter(|| softmax::softmax(black_box(&x), n / CLASSES, CLASSES, black_box(&mut y)));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("reduction/cross entropy");
    for (place, n) in SIZES {
        let rows = n / CLASSES;
        let (x, mut p, mut losses) = (numbers(n), vec![0.0; n], vec![0.0; rows]);
        let targets: Vec<i64> = (0..rows).map(|row| (row % CLASSES) as i64).collect();
        group.throughput(Throughput::BytesDecimal((8 * n + 12 * rows) as u64));
        group.bench_function(place, |bencher| {
            bencher.iter(|| {
                softmax::cross_entropy(
                    black_box(&x),
                    rows,
                    CLASSES,
                    &targets,
                    black_box(&mut losses),
                    &mut p,
                );
            });
        });
    }
    group.finish();
}
