//! Reductions and softmax against compensated sums, at every instruction set and number of threads.
#![allow(missing_docs, reason = "an integration test")]

use backflow_kernels::isa::{self, Isa};
use backflow_kernels::reduce::{self, Moments};
use backflow_kernels::{Float, softmax};
use std::sync::Mutex;

/// The instruction set is a setting of the whole process: tests that force one take turns.
static ISA: Mutex<()> = Mutex::new(());

/// Runs everywhere and at 1, 2 and 4 threads; all results must be the same.
fn everywhere<R: PartialEq + Send>(what: &str, run: impl Fn() -> R + Sync) -> R {
    let _turn = ISA.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    isa::force(Some(Isa::Portable));
    let portable = run();
    for level in isa::ALL.into_iter().filter(|level| level.is_available()) {
        isa::force(Some(level));
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(&run) == portable, "{what}: {level:?} with {threads} threads");
        }
    }
    isa::force(None);
    portable
}

/// `[outer, len, inner]`: around block sizes, empty, wide, long, and large enough for several threads.
const SHAPES: [[usize; 3]; 32] = [
    [1, 1, 1],
    [1, 0, 1],
    [3, 0, 4],
    [0, 5, 1],
    [2, 5, 0],
    [1, 7, 1],
    [1, 15, 1],
    [1, 16, 1],
    [1, 17, 1],
    [3, 63, 1],
    [3, 65, 1],
    [2, 255, 1],
    [2, 257, 1],
    [2, 511, 1],
    [2, 512, 1],
    [2, 513, 1],
    [1, 1025, 1],
    [64, 10, 1],
    [1, 32_769, 1],
    [2, 100_001, 1],
    [1, 64, 10],
    [1, 33, 31],
    [1, 31, 33],
    [1, 4, 1025],
    [3, 5, 7],
    [2, 129, 2],
    [1, 70_000, 3],
    [1, 600, 300],
    [5, 40, 300],
    [4000, 3, 9],
    [9000, 10, 1],
    [1, 97, 2050],
];

/// Numbers in −1..1 that repeat after a long while.
fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.618_034).fract() * 2.0 - 1.0).collect()
}

fn bits<T: Float>(x: &[T]) -> Vec<u64> {
    x.iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_f64().to_bits() }).collect()
}

/// The elements that result `at` is made of.
fn column<T: Copy>(x: &[T], [_, len, inner]: [usize; 3], at: usize) -> impl Iterator<Item = T> {
    (0..len).map(move |l| x[(at / inner * len + l) * inner + at % inner])
}

#[test]
fn sums_are_pairwise() {
    for shape @ [outer, len, inner] in SHAPES {
        let x = numbers(outer * len * inner);
        everywhere(&format!("sum {shape:?}"), || {
            let mut out = vec![9.0; outer * inner];
            reduce::sum(&x, outer, len, inner, &mut out);
            for (at, &got) in out.iter().enumerate() {
                let exact: f64 = column(&x, shape, at).map(f64::from).sum();
                let magnitude: f64 = column(&x, shape, at).map(|x| f64::from(x.abs())).sum();
                // A term takes part in at most 15 sums before the tree (16 narrow lanes, ragged end), and in
                // log₂ n of the tree. In columns: 8 of a run, 2 of a group of four, and the tree.
                let depth = 16.0 + (len.max(1) as f64).log2();
                let bound = depth * f64::from(f32::EPSILON) / 2.0 * magnitude;
                assert!((f64::from(got) - exact).abs() <= bound, "sum {shape:?} at {at}: {got} for {exact}");
            }
            bits(&out)
        });
    }
}

#[test]
fn sums_of_squares_have_the_bits_of_sums() {
    for [rows, len, _] in SHAPES {
        let x = numbers(rows * len);
        let squares: Vec<f32> = x.iter().map(|x| x * x).collect();
        let (mut got, mut expected) = (vec![9.0; rows], vec![9.0; rows]);
        reduce::sum_of_squares(&x, rows, len, &mut got);
        reduce::sum(&squares, rows, len, 1, &mut expected);
        assert!(bits(&got) == bits(&expected), "[{rows}, {len}]");
    }
}

#[test]
fn integer_sums_are_exact() {
    for shape @ [outer, len, inner] in SHAPES {
        let x: Vec<i64> = (0..outer * len * inner).map(|i| i as i64 * 1_000_003 % 1009 - 500).collect();
        let mut out = vec![9; outer * inner];
        reduce::sum_i64(&x, outer, len, inner, &mut out);
        assert!((0..out.len()).all(|at| out[at] == column(&x, shape, at).sum::<i64>()), "{shape:?}");
    }
}

#[test]
fn extremes_and_their_places_are_the_first_ones() {
    for shape @ [outer, len, inner] in SHAPES.into_iter().filter(|shape| shape[1] > 0) {
        // Few values, so that there are ties; some columns hold NaN.
        let mut x: Vec<f32> = (0..outer * len * inner).map(|i| ((i * 7919) % 97) as f32 - 48.0).collect();
        for i in (0..x.len()).step_by(1013).skip(1) {
            x[i] = f32::NAN;
        }
        everywhere(&format!("extremes {shape:?}"), || {
            let (mut max, mut min) = (vec![0.0; outer * inner], vec![0.0; outer * inner]);
            let (mut argmax, mut argmin) = (vec![0; outer * inner], vec![0; outer * inner]);
            reduce::max(&x, outer, len, inner, &mut max);
            reduce::min(&x, outer, len, inner, &mut min);
            reduce::argmax(&x, outer, len, inner, &mut argmax);
            reduce::argmin(&x, outer, len, inner, &mut argmin);
            for at in 0..max.len() {
                let values: Vec<f32> = column(&x, shape, at).collect();
                let (largest, smallest) = match values.iter().position(|x| x.is_nan()) {
                    Some(nan) => (nan, nan),
                    None => {
                        let first = |best: f32| values.iter().position(|&x| x == best).unwrap();
                        let fold = |f: fn(f32, f32) -> f32| values.iter().copied().reduce(f).unwrap();
                        (first(fold(f32::max)), first(fold(f32::min)))
                    }
                };
                assert_eq!((argmax[at], argmin[at]), (largest as i64, smallest as i64), "{shape:?} at {at}");
                assert!(
                    bits(&[max[at], min[at]]) == bits(&[values[largest], values[smallest]]),
                    "{shape:?} at {at}"
                );
            }
            (bits(&max), bits(&min), argmax, argmin)
        });
    }
}

#[test]
fn minus_infinity_alone_is_its_own_largest() {
    let x = [f32::NEG_INFINITY; 70];
    let (mut max, mut place) = ([0.0], [9]);
    reduce::max(&x, 1, 70, 1, &mut max);
    reduce::argmax(&x, 1, 70, 1, &mut place);
    assert_eq!((max, place), ([f32::NEG_INFINITY], [0]));
}

#[test]
fn statistics_agree_with_plain_loops() {
    for n in [0, 1, 15, 16, 17, 63, 511, 513, 5000, 70_000] {
        let mut x = numbers(n);
        for i in (0..n).step_by(17) {
            x[i] = 0.0;
        }
        let m = everywhere(&format!("moments {n}"), || reduce::moments(&x, Some((-0.5, 0.25))));
        let exact = |f: fn(f64) -> f64| x.iter().map(|&x| f(x.into())).sum::<f64>();
        // Products of two f32 are exact in f64; n additions round.
        let bound = n as f64 * f64::EPSILON * exact(f64::abs);
        // 64 numbers, each rounded (squares) and added in f32, by at most 2⁻²⁴ of themselves each time.
        let single = |exact: f64| 65.0 / f64::from(1 << 24) * exact;
        assert!((m.sum - exact(|x| x)).abs() <= single(exact(f64::abs)), "{n}");
        assert!((m.sum_squares - exact(|x| x * x)).abs() <= single(exact(|x| x * x)), "{n}");
        assert_eq!(m.outside, x.iter().filter(|&&x| !(-0.5..=0.25).contains(&x)).count() as u64);
        assert_eq!(m.max_abs, x.iter().map(|x| f64::from(x.abs())).fold(0.0, f64::max));
        assert_eq!(m.zeros, x.iter().filter(|&&x| x == 0.0).count() as u64);
        assert_eq!(m.non_finite, 0);
        let square = everywhere(&format!("sum_squares {n}"), || reduce::sum_squares(&x));
        assert!((square - exact(|x| x * x)).abs() <= bound);
        let reversed: Vec<f32> = x.iter().rev().copied().collect();
        let exact: f64 = x.iter().zip(&reversed).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
        assert!((reduce::dot(&x, &reversed) - exact).abs() <= bound);
    }
    let odd = [f32::NAN, f32::INFINITY, -0.0, f32::NEG_INFINITY, 3.0];
    let Moments { max_abs, zeros, non_finite, .. } = reduce::moments(&odd, None);
    assert!(max_abs.is_nan());
    assert_eq!((zeros, non_finite), (1, 3));
}

/// What vanishes and explodes is measured: its squares leave the range of `f32`, on both sides.
#[test]
fn moments_reach_over_the_whole_range() {
    for scale in [1e-44_f32, 1e-30, 1e-20, 1e-16, 1.0, 1e16, 1e20, 1e36] {
        let x: Vec<f32> = (0..1000).map(|i| if i % 2 == 0 { scale } else { 0.0 }).collect();
        let m = everywhere(&format!("{scale}"), || reduce::moments(&x, None));
        let expected = 500.0 * f64::from(scale) * f64::from(scale);
        assert!((m.sum_squares / expected - 1.0).abs() < 1e-5, "{scale}: {} of {expected}", m.sum_squares);
        assert_eq!((m.zeros, m.max_abs), (500, f64::from(scale)));
    }
}

#[test]
fn exponents_are_counted() {
    let x = [0.0_f32, -0.0, 1.0, -1.99, 2.0, 1e-40, f32::INFINITY, f32::NAN, 0.3];
    let counts = everywhere("exponents", || reduce::exponents(&x));
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (256, 9));
    assert_eq!([0, 127, 128, 255, 125].map(|e: usize| counts[e]), [3, 2, 1, 2, 1]);
    let wide = reduce::exponents(&[1.0, -0.3, f64::MIN_POSITIVE, 1e-310, f64::NEG_INFINITY]);
    assert_eq!(wide.len(), 2048);
    assert_eq!([0, 1, 1021, 1023, 2047].map(|e: usize| wide[e]), [1; 5]);
    // Longer than a block, and no multiple of one.
    let many: Vec<f32> = (0..2501).map(|i| 2.0_f32.powi(i % 5) * 1.5).collect();
    let counts = everywhere("many exponents", || reduce::exponents(&many));
    assert_eq!(counts[127..132], [501, 500, 500, 500, 500]);
}

/// Against a plain loop, for shapes on both sides of a block of rows, few and many silent columns, and marks
/// that were there.
#[test]
fn silent_columns_are_told_from_nonzero_ones() {
    for (rows, columns) in [(1, 1), (7, 5), (8, 64), (9, 3), (64, 256), (33, 40)] {
        for silent_share in [0, 3, 10] {
            let x: Vec<f32> = (0..rows * columns)
                .map(|i| {
                    let (row, column) = (i / columns, i % columns);
                    if column % 10 < silent_share || row != (column * 7) % rows { 0.0 } else { -1e-45 }
                })
                .collect();
            let mut nonzero = vec![false; columns];
            nonzero[columns / 2] = true;
            let expected: Vec<bool> =
                (0..columns).map(|c| nonzero[c] || (0..rows).any(|r| x[r * columns + c] != 0.0)).collect();
            let found = everywhere(&format!("hear {rows} × {columns}"), || {
                let mut nonzero = nonzero.clone();
                reduce::mark_nonzero_columns(&x, &mut nonzero);
                nonzero
            });
            assert_eq!(found, expected, "{rows} × {columns}, {silent_share}");
        }
    }
    let mut nonzero = [false; 4];
    reduce::mark_nonzero_columns(&[0.0, 1.0, f64::NAN, 0.0, 0.0, 0.0, 0.0, -0.0], &mut nonzero);
    assert_eq!(nonzero, [false, true, true, false]);
    reduce::mark_nonzero_columns::<f32>(&[], &mut nonzero);
}

#[test]
#[should_panic(expected = "mark_nonzero_columns: 5 elements in rows of 2")]
fn rows_must_be_whole() {
    reduce::mark_nonzero_columns(&[0.0; 5], &mut [false; 2]);
}

#[test]
#[should_panic(expected = "max: an empty axis has no largest element")]
fn nothing_has_no_largest() {
    reduce::max::<f32>(&[], 1, 0, 1, &mut [0.0]);
}

#[test]
#[should_panic(expected = "sum: [2, 3, 1] does not describe a slice of 5 elements")]
fn shapes_must_fit() {
    reduce::sum(&[0.0_f32; 5], 2, 3, 1, &mut [0.0; 2]);
}

/// Rows of −5..5, among them long ones and many short ones.
const MATRICES: [[usize; 2]; 9] =
    [[1, 1], [3, 10], [64, 10], [200, 37], [7, 256], [2, 1025], [1, 40_000], [3000, 10], [0, 4]];

#[test]
fn softmax_and_its_family_agree_with_f64() {
    for [rows, n] in MATRICES {
        let x: Vec<f32> = numbers(rows * n).iter().map(|x| 5.0 * x).collect();
        let wide: Vec<f64> = x.iter().map(|&x| x.into()).collect();
        let dy = numbers(rows * n);
        let targets: Vec<i64> = (0..rows).map(|r| (r * 31 % n) as i64).collect();
        everywhere(&format!("softmax {rows} × {n}"), || {
            let new = || vec![0.0_f32; rows * n];
            let (mut y, mut log_y, mut p, mut dx, mut dx_log) = (new(), new(), new(), new(), new());
            let (mut sums, mut losses) = (vec![0.0; rows], vec![0.0; rows]);
            softmax::softmax(&x, rows, n, &mut y);
            softmax::log_softmax(&x, rows, n, &mut log_y);
            softmax::logsumexp(&x, rows, n, &mut sums);
            softmax::cross_entropy(&x, rows, n, &targets, &mut losses, &mut p);
            softmax::softmax_backward(&dy, &y, rows, n, &mut dx);
            softmax::log_softmax_backward(&dy, &log_y, rows, n, &mut dx_log);
            assert!(bits(&p) == bits(&y));
            for r in 0..rows {
                let row = r * n..(r + 1) * n;
                let sum: f64 = wide[row.clone()].iter().map(|&x| libm::exp(x)).sum();
                let mean: f64 = row.clone().map(|i| f64::from(dy[i]) * f64::from(y[i])).sum();
                let total: f64 = row.clone().map(|i| f64::from(dy[i])).sum();
                let eps = f64::from(f32::EPSILON);
                let close = |got: f32, exact: f64, slack: f64| (f64::from(got) - exact).abs() <= slack * eps;
                // ln Σ is below 16 for these rows: a few roundings of numbers of that size.
                assert!(close(sums[r], libm::log(sum), 32.0), "{} {}", sums[r], libm::log(sum));
                let target = r * n + targets[r] as usize;
                assert!(close(losses[r], libm::log(sum) - wide[target], 32.0));
                for i in row {
                    let exact = libm::exp(wide[i]) / sum;
                    // x − max rounds at a size below 16, and the exponential turns that into a relative
                    // error.
                    assert!(close(y[i], exact, 16.0 * exact), "{} {exact}", y[i]);
                    assert!(close(log_y[i], wide[i] - libm::log(sum), 32.0));
                    // The sum over a row carries one rounding per level of its tree.
                    assert!(close(
                        dx[i],
                        f64::from(y[i]) * (f64::from(dy[i]) - mean),
                        32.0 * f64::from(y[i])
                    ));
                    let slack = 4.0 + 40.0 * n as f64 * exact;
                    assert!(close(dx_log[i], f64::from(dy[i]) - libm::exp(log_y[i].into()) * total, slack));
                }
            }
            [y, log_y, dx, dx_log, sums, losses].map(|x| bits(&x))
        });
    }
}

/// What counts of a row is a shorter row, to the bit; what does not is 0, whatever lies there.
#[test]
fn masked_rows_are_shorter_rows() {
    for [rows, n] in MATRICES {
        let counts: Vec<usize> = (0..rows).map(|row| [n, 0, n / 2, 1][row % 4].min(n)).collect();
        let (mut x, mut dy) = (numbers(rows * n), numbers(rows * n));
        for (row, &count) in counts.iter().enumerate() {
            x[row * n..][count..n].fill(f32::NAN);
            dy[row * n..][count..n].fill(f32::INFINITY);
        }
        everywhere(&format!("masked softmax {rows} × {n}"), || {
            let (mut y, mut dx) = (vec![9.0_f32; rows * n], vec![9.0_f32; rows * n]);
            softmax::masked_softmax(&x, &counts, n, &mut y);
            softmax::masked_softmax_backward(&dy, &y, &counts, n, &mut dx);
            for (row, &count) in counts.iter().enumerate() {
                let part = row * n..row * n + count;
                let (mut alone, mut alone_dx) = (vec![0.0; count], vec![0.0; count]);
                softmax::softmax(&x[part.clone()], 1, count, &mut alone);
                softmax::softmax_backward(&dy[part.clone()], &alone, 1, count, &mut alone_dx);
                assert!(bits(&y[part.clone()]) == bits(&alone) && bits(&dx[part]) == bits(&alone_dx));
                let behind = row * n + count..(row + 1) * n;
                assert!(y[behind.clone()].iter().chain(&dx[behind]).all(|&number| number.to_bits() == 0));
            }
            [y, dx].map(|x| bits(&x))
        });
    }
    let (mut y, inf) = ([9.0_f32; 3], f32::INFINITY);
    softmax::masked_softmax(&[-inf, -inf, 1.0], &[2], 3, &mut y);
    assert_eq!(y, [0.0; 3], "−∞ alone");
    softmax::masked_softmax(&[0.0, inf, 1.0], &[2], 3, &mut y);
    assert!(y[0].is_nan() && y[1].is_nan() && y[2] == 0.0);
}

#[test]
fn infinite_rows_behave_as_in_pytorch() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let cases: [([f32; 3], [f32; 3], f32); 5] = [
        ([-inf, -inf, -inf], [nan, nan, nan], -inf),
        ([0.0, inf, 0.0], [nan, nan, nan], inf),
        ([0.0, nan, 0.0], [nan, nan, nan], nan),
        ([0.0, -inf, 0.0], [0.5, 0.0, 0.5], std::f32::consts::LN_2),
        ([1000.0, -1000.0, 1000.0], [0.5, 0.0, 0.5], 1000.0 + std::f32::consts::LN_2),
    ];
    for (x, probabilities, sum) in cases {
        let (mut y, mut s) = ([9.0; 3], [9.0]);
        softmax::softmax(&x, 1, 3, &mut y);
        softmax::logsumexp(&x, 1, 3, &mut s);
        assert!(bits(&y) == bits(&probabilities), "softmax {x:?}: {y:?}");
        assert!(bits(&s) == bits(&[sum]), "logsumexp {x:?}: {s:?}");
    }
    let mut s = [9.0_f32; 2];
    softmax::logsumexp(&[], 2, 0, &mut s);
    assert_eq!(s, [-inf; 2]);
}

#[test]
#[should_panic(expected = "cross_entropy: target 10 of row 1 is not one of 10 classes")]
fn targets_must_be_classes() {
    softmax::cross_entropy(&[0.0_f32; 20], 2, 10, &[3, 10], &mut [0.0; 2], &mut [0.0; 20]);
}
