//! The three products of a linear layer, at the shapes of training.

use crate::numbers;
use backflow_kernels::Float;
use backflow_kernels::matmul::{Matrix, Output, matmul};
use criterion::{Criterion, Throughput};
use std::hint::black_box;

/// Batch, outputs, inputs.
const LAYERS: [(&str, [usize; 3]); 5] = [
    ("one example", [1, 256, 784]),
    ("small", [64, 64, 64]),
    ("first of an MLP", [64, 256, 784]),
    ("last of an MLP", [64, 10, 128]),
    ("wide", [512, 1024, 1024]),
];

pub(crate) fn bench(criterion: &mut Criterion) {
    products::<f32>(criterion, "f32");
    products::<f64>(criterion, "f64");
}

fn products<T: Float>(criterion: &mut Criterion, dtype: &str) {
    for (layer, [batch, outputs, inputs]) in LAYERS {
        let array = |n| numbers(n).into_iter().map(|x| T::from_f64(x.into())).collect::<Vec<T>>();
        let (x, w, dy) = (array(batch * inputs), array(outputs * inputs), array(batch * outputs));
        let mut group = criterion.benchmark_group(format!("matmul/{dtype}/{layer}"));
        group.throughput(Throughput::Elements((2 * batch * outputs * inputs) as u64));
        let mut y = dy.clone();
        group.bench_function("y = x wᵀ + b", |bencher| {
            let (a, b) = (rows(&x, inputs), transposed(&w, inputs));
            let bias = &w[..outputs];
            bencher.iter(|| matmul(batch, outputs, inputs, a, b, black_box(&mut y), Output::Bias(bias)));
        });
        let mut dx = x.clone();
        group.bench_function("dx = dy w", |bencher| {
            let (a, b) = (rows(&dy, outputs), rows(&w, inputs));
            bencher.iter(|| matmul(batch, inputs, outputs, a, b, black_box(&mut dx), Output::Overwrite));
        });
        let mut dw = w.clone();
        group.bench_function("dw = dyᵀ x", |bencher| {
            let (a, b) = (transposed(&dy, outputs), rows(&x, inputs));
            bencher.iter(|| matmul(outputs, inputs, batch, a, b, black_box(&mut dw), Output::Overwrite));
        });
        group.finish();
    }
}

fn rows<T>(data: &[T], row_stride: usize) -> Matrix<'_, T> {
    Matrix { data, offset: 0, row_stride, col_stride: 1 }
}

/// The transpose of a row-major matrix of this row length.
fn transposed<T>(data: &[T], row_length: usize) -> Matrix<'_, T> {
    Matrix { data, offset: 0, row_stride: 1, col_stride: row_length }
}
