//! Pooling and its gradients, at the shapes of training.

use crate::numbers;
use backflow_kernels::pooling::{Span, Windows, max, max_backward, mean, mean_backward};
use criterion::{Criterion, Throughput};
use std::hint::black_box;

/// Name, channels, side of the image, of the window, and pixels from window to window.
const LAYERS: [(&str, [usize; 4]); 4] = [
    ("halving", [64, 24, 2, 2]),
    ("overlapping", [64, 24, 3, 2]),
    ("few channels", [6, 24, 2, 2]),
    ("of the whole image", [64, 8, 8, 8]),
];

pub(crate) fn bench(criterion: &mut Criterion) {
    const BATCH: usize = 64;
    for (name, [channels, side, kernel, stride]) in LAYERS {
        let span = |window| Span { first: window * stride, count: kernel, share: kernel };
        let spans: Vec<Span> = (0..=(side - kernel) / stride).map(span).collect();
        let x = numbers(BATCH * channels * side * side);
        let (mut y, mut dx) = (numbers(BATCH * channels * spans.len() * spans.len()), x.clone());
        let (mut places, dy) = (vec![0; y.len()], y.clone());
        let windows =
            Windows { batch: BATCH, channels, image: [side; 2], step: [1; 2], spans: [spans.clone(), spans] };
        let mut group = criterion.benchmark_group(format!("pooling/{name}"));
        group.throughput(Throughput::Bytes((4 * (x.len() + y.len())) as u64));
        group.bench_function("max", |bencher| {
            bencher.iter(|| max(&windows, &x, black_box(&mut y), &mut places));
        });
        group.bench_function("max back", |bencher| {
            bencher.iter(|| max_backward(&windows, &dy, &places, black_box(&mut dx)));
        });
        group.bench_function("mean", |bencher| bencher.iter(|| mean(&windows, &x, black_box(&mut y))));
        group.bench_function("mean back", |bencher| {
            bencher.iter(|| mean_backward(&windows, &dy, black_box(&mut dx)));
        });
        group.finish();
    }
}
