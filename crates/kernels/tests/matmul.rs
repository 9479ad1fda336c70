//! Every product against a compensated sum in `f64`, over shapes, layouts, output modes and instruction sets.
#![allow(missing_docs, reason = "an integration test")]

use backflow_kernels::Float;
use backflow_kernels::isa::{self, Isa};
use backflow_kernels::matmul::{Matrix, Output, matmul};
use std::sync::{Mutex, MutexGuard};

/// The instruction set is a setting of the whole process: tests that force one take turns.
static ISA: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    ISA.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn each_level(mut test: impl FnMut(Isa)) {
    for level in isa::ALL.into_iter().filter(|level| level.is_available()) {
        isa::force(Some(level));
        test(level);
    }
    isa::force(None);
}

/// Numbers in −½..½ from a fixed linear congruential generator.
fn noise<T: Float>(count: usize, seed: u64) -> Vec<T> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        T::from_f64((state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5)
    };
    (0..count).map(|_| next()).collect()
}

#[derive(Clone, Copy, Debug)]
enum Layout {
    Rows,
    Transposed,
    /// Row-major with a margin on the right and an offset.
    Padded,
    /// Every row the same.
    Repeated,
    /// No axis is contiguous.
    Sparse,
}
const LAYOUTS: [Layout; 5] =
    [Layout::Rows, Layout::Transposed, Layout::Padded, Layout::Repeated, Layout::Sparse];

fn matrix<T>(data: &[T], rows: usize, cols: usize, layout: Layout) -> Matrix<'_, T> {
    let (offset, row_stride, col_stride) = match layout {
        Layout::Rows => (0, cols, 1),
        Layout::Transposed => (0, 1, rows),
        Layout::Padded => (3, cols + 5, 1),
        Layout::Repeated => (1, 0, 1),
        Layout::Sparse => (2, 2 * cols, 2),
    };
    Matrix { data, offset, row_stride, col_stride }
}

fn room(rows: usize, cols: usize) -> usize {
    2 * (rows + 1) * (cols + 5) + 8
}

fn at<T: Float>(x: &Matrix<'_, T>, i: usize, j: usize) -> f64 {
    x.data[x.offset + i * x.row_stride + j * x.col_stride].to_f64()
}

/// Kahan's sum of the products, and the sum of their magnitudes.
fn reference<T: Float>(k: usize, a: &Matrix<'_, T>, b: &Matrix<'_, T>, i: usize, j: usize) -> (f64, f64) {
    let (mut sum, mut lost, mut magnitude) = (0.0, 0.0, 0.0);
    for p in 0..k {
        let product = at(a, i, p) * at(b, p, j);
        magnitude += product.abs();
        let term = product - lost;
        let next = sum + term;
        lost = (next - sum) - term;
        sum = next;
    }
    (sum, magnitude)
}

fn check<T: Float>(m: usize, n: usize, k: usize, left: Layout, right: Layout) {
    let (a, b) = (noise::<T>(room(m, k), 1), noise::<T>(room(k, n), 2));
    let (a, b) = (matrix(&a, m, k, left), matrix(&b, k, n, right));
    let (old, bias) = (noise::<T>(m * n, 3), noise::<T>(n, 4));
    let exact: Vec<(f64, f64)> = (0..m * n).map(|at| reference(k, &a, &b, at / n, at % n)).collect();
    each_level(|level| {
        for mode in [Output::Overwrite, Output::Accumulate, Output::Bias(&bias)] {
            let mut c = old.clone();
            matmul(m, n, k, a, b, &mut c, mode);
            for (at, (&c, &(sum, magnitude))) in c.iter().zip(&exact).enumerate() {
                let start = match mode {
                    Output::Overwrite => 0.0,
                    Output::Accumulate => old[at].to_f64(),
                    Output::Bias(bias) => bias[at % n].to_f64(),
                };
                // Each of k products and k sums rounds once; one more sum adds the start.
                let bound = T::EPSILON.to_f64() * ((k + 1) as f64 * magnitude + start.abs());
                let (got, wanted) = (c.to_f64(), start + sum);
                assert!(
                    (got - wanted).abs() <= bound,
                    "{level:?} [{m}, {n}, {k}] {left:?} {right:?} {mode:?} at {at}: {got} for {wanted}"
                );
            }
        }
    });
}

#[test]
fn every_tile_edge_is_right() {
    let _turn = turn();
    for m in [1, 2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 29] {
        for n in [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65] {
            for k in [1, 7] {
                check::<f32>(m, n, k, Layout::Rows, Layout::Rows);
                check::<f64>(m, n, k, Layout::Rows, Layout::Rows);
            }
        }
    }
}

#[test]
fn every_pair_of_layouts_is_right() {
    let _turn = turn();
    for (m, n, k) in [(1, 40, 70), (3, 33, 130), (8, 5, 64), (17, 70, 65), (64, 10, 128), (15, 31, 520)] {
        for left in LAYOUTS {
            for right in LAYOUTS {
                check::<f32>(m, n, k, left, right);
                check::<f64>(m, n, k, left, right);
            }
        }
    }
}

/// Shapes that pack one operand or both, and run through several slices of `k`.
#[test]
fn packed_operands_are_right() {
    let _turn = turn();
    for (m, n, k) in [(130, 129, 600), (70, 600, 513), (257, 64, 511), (16, 300, 1030)] {
        for (left, right) in [
            (Layout::Rows, Layout::Rows),
            (Layout::Rows, Layout::Transposed),
            (Layout::Transposed, Layout::Rows),
            (Layout::Sparse, Layout::Padded),
        ] {
            check::<f32>(m, n, k, left, right);
        }
    }
    check::<f64>(130, 129, 600, Layout::Rows, Layout::Transposed);
    check::<f64>(70, 300, 600, Layout::Transposed, Layout::Rows);
}

#[test]
fn an_empty_axis_gives_zeros_or_nothing() {
    let empty = Matrix::<f32> { data: &[], offset: 0, row_stride: 1, col_stride: 1 };
    let mut c = [7.0; 6];
    matmul(2, 3, 0, empty, empty, &mut c, Output::Accumulate);
    assert_eq!(c, [7.0; 6]);
    matmul(2, 3, 0, empty, empty, &mut c, Output::Bias(&[1.0, 2.0, 3.0]));
    assert_eq!(c, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    matmul(2, 3, 0, empty, empty, &mut c, Output::Overwrite);
    assert_eq!(c, [0.0; 6]);
    matmul(0, 3, 5, empty, empty, &mut [], Output::Overwrite);
    matmul(3, 0, 5, empty, empty, &mut [], Output::Overwrite);
}

#[test]
fn non_finite_elements_reach_only_their_rows_and_columns() {
    let _turn = turn();
    each_level(|_| {
        let (m, n, k) = (17, 35, 70);
        let (mut a, b) = (noise::<f32>(m * k, 1), noise::<f32>(k * n, 2));
        a[3 * k + 69] = f32::NAN;
        a[16 * k] = f32::INFINITY;
        let mut c = vec![0.0; m * n];
        matmul(
            m,
            n,
            k,
            matrix(&a, m, k, Layout::Rows),
            matrix(&b, k, n, Layout::Rows),
            &mut c,
            Output::Overwrite,
        );
        for (i, row) in c.chunks(n).enumerate() {
            assert!(row.iter().all(|c| match i {
                3 => c.is_nan(),
                16 => c.is_infinite(),
                _ => c.is_finite(),
            }));
        }
    });
}

#[test]
fn bits_do_not_depend_on_threads() {
    let _turn = turn();
    for (m, n, k) in [(64, 256, 784), (30, 300, 100), (300, 310, 600), (700, 64, 512), (256, 784, 64)] {
        for (left, right) in [
            (Layout::Rows, Layout::Rows),
            (Layout::Rows, Layout::Transposed),
            (Layout::Transposed, Layout::Rows),
        ] {
            let (a, b) = (noise::<f32>(room(m, k), 1), noise::<f32>(room(k, n), 2));
            let run = || {
                let mut c = vec![0.0; m * n];
                let (a, b) = (matrix(&a, m, k, left), matrix(&b, k, n, right));
                matmul(m, n, k, a, b, &mut c, Output::Overwrite);
                c.iter().map(|c| c.to_bits()).collect::<Vec<_>>()
            };
            let on =
                |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run);
            let one = on(1);
            assert!(run() == one, "outside the pool [{m}, {n}, {k}] {left:?} {right:?}");
            assert!(on(2) == one && on(4) == one, "[{m}, {n}, {k}] {left:?} {right:?}");
        }
    }
}

/// A column computed alone has the bits it has inside a wide product: tile positions do not enter.
#[test]
fn bits_do_not_depend_on_neighbours() {
    let _turn = turn();
    let (m, n, k) = (40, 100, 530);
    let (a, b) = (noise::<f32>(m * k, 1), noise::<f32>(k * n, 2));
    let (a, b) = (matrix(&a, m, k, Layout::Rows), matrix(&b, k, n, Layout::Rows));
    let mut whole = vec![0.0; m * n];
    matmul(m, n, k, a, b, &mut whole, Output::Overwrite);
    for j in [0, 1, 31, 32, 50, 99] {
        let mut column = vec![0.0; m];
        matmul(m, 1, k, a, Matrix { offset: j, ..b }, &mut column, Output::Overwrite);
        assert!((0..m).all(|i| column[i].to_bits() == whole[i * n + j].to_bits()), "column {j}");
    }
}

#[test]
#[should_panic(
    expected = "matmul: b of [3, 4] with strides [4, 1] from 1 on leaves its slice of 12 elements"
)]
fn an_operand_outside_its_slice_is_refused() {
    let x = [0.0; 12];
    let a = Matrix { data: &x, offset: 0, row_stride: 3, col_stride: 1 };
    matmul(4, 4, 3, a, Matrix { offset: 1, row_stride: 4, ..a }, &mut [0.0; 16], Output::Overwrite);
}

#[test]
#[should_panic(expected = "matmul: 3 biases for 4 columns")]
fn a_bias_of_the_wrong_length_is_refused() {
    let x = [0.0; 16];
    let a = Matrix { data: &x, offset: 0, row_stride: 4, col_stride: 1 };
    matmul(4, 4, 4, a, a, &mut [0.0; 16], Output::Bias(&[0.0; 3]));
}
