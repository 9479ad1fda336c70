//! Convolutions and their gradients, at the shapes of training.

use crate::numbers;
use backflow_kernels::convolution::{Images, Sizes, forward, input, weight};
use criterion::{Criterion, Throughput};
use std::hint::black_box;

/// Name, batch, channels in and out, groups, side of the input and of the kernel, stride, padding.
const LAYERS: [(&str, [usize; 8]); 5] = [
    ("first of a cnn", [64, 1, 32, 1, 28, 3, 1, 0]),
    ("second of a cnn", [64, 32, 64, 1, 26, 3, 1, 0]),
    ("of a resnet", [64, 64, 64, 1, 8, 3, 1, 1]),
    ("strided", [64, 32, 64, 1, 16, 3, 2, 1]),
    ("channel by channel", [64, 64, 64, 64, 32, 3, 1, 1]),
];

pub(crate) fn bench(criterion: &mut Criterion) {
    for (name, [batch, in_channels, out_channels, groups, side, kernel, stride, padding]) in LAYERS {
        let out = (side + 2 * padding - kernel) / stride + 1;
        let sizes = Sizes {
            batch,
            in_channels,
            out_channels,
            groups,
            input: [side; 2],
            kernel: [kernel; 2],
            output: [out; 2],
            stride: [stride; 2],
            padding: [padding; 2],
            dilation: [1; 2],
        };
        let each = in_channels / groups * kernel * kernel;
        let x = numbers(batch * in_channels * side * side);
        let (w, mut y) = (numbers(out_channels * each), numbers(batch * out_channels * out * out));
        let (mut dx, mut dw) = (x.clone(), w.clone());
        let channels_last =
            |side: usize, channels: usize| [side * side * channels, 1, side * channels, channels];
        let images = |data, strides| Images { data, offset: 0, strides };
        let filters = images(&w, [each, kernel * kernel, kernel, 1]);
        let dy = y.clone();
        let mut group = criterion.benchmark_group(format!("convolution/{name}"));
        group.throughput(Throughput::Elements((2 * batch * out_channels * out * out * each) as u64));
        group.bench_function("y", |bencher| {
            let x = images(&x, channels_last(side, in_channels));
            bencher.iter(|| forward(&sizes, x, filters, None, black_box(&mut y)));
        });
        let dy = images(&dy, channels_last(out, out_channels));
        group.bench_function("dx", |bencher| bencher.iter(|| input(&sizes, dy, filters, black_box(&mut dx))));
        group.bench_function("dw", |bencher| {
            let x = images(&x, channels_last(side, in_channels));
            bencher.iter(|| weight(&sizes, x, dy, black_box(&mut dw)));
        });
        group.finish();
    }
}
