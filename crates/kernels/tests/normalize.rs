//! Normalisation against sums of `f64` in a plain loop, at every instruction set and number of threads.
#![allow(missing_docs, reason = "an integration test")]

use backflow_kernels::isa::{self, Isa};
use backflow_kernels::normalize::channels::{self, Sizes};
use backflow_kernels::normalize::{Moments, rows};
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

/// Numbers around `centre`, at most 1 away, no two alike.
fn numbers(len: usize, centre: f64, seed: usize) -> Vec<f32> {
    let fraction = |i: usize| ((i + seed).wrapping_mul(2_654_435_761) % 1_000_003) as f64 / 1_000_003.0;
    (0..len).map(|i| (centre + 2.0 * fraction(i) - 1.0) as f32).collect()
}

const EPS: f64 = 1e-5;

/// What is normalised together, and with which parameter.
struct Naive<'a> {
    group: &'a dyn Fn(usize) -> usize,
    parameter: &'a dyn Fn(usize) -> usize,
    groups: usize,
    is_centred: bool,
}

/// Result, gradients by x, weight and bias, in `f64`.
fn naive(of: &Naive<'_>, x: &[f32], dy: &[f32], weight: &[f32], bias: &[f32]) -> [Vec<f64>; 4] {
    let n = (x.len() / of.groups.max(1)) as f64;
    let x: Vec<f64> = x.iter().map(|&x| x.into()).collect();
    let means = |value: &dyn Fn(usize) -> f64| {
        let mut sums = vec![0.0; of.groups];
        (0..x.len()).for_each(|i| sums[(of.group)(i)] += value(i) / n);
        sums
    };
    let mean = if of.is_centred { means(&|i| x[i]) } else { vec![0.0; of.groups] };
    let variance = means(&|i| (x[i] - mean[(of.group)(i)]).powi(2));
    let scale = |i: usize| 1.0 / (variance[(of.group)(i)] + EPS).sqrt();
    let standard = |i: usize| (x[i] - mean[(of.group)(i)]) * scale(i);
    let w = |i: usize| f64::from(weight[(of.parameter)(i)]);
    let g = |i: usize| f64::from(dy[i]) * w(i);
    let mean_g = if of.is_centred { means(&g) } else { vec![0.0; of.groups] };
    let mean_product = means(&|i| g(i) * standard(i));
    let (mut dw, mut db) = (vec![0.0; weight.len()], vec![0.0; weight.len()]);
    for i in 0..x.len() {
        dw[(of.parameter)(i)] += f64::from(dy[i]) * standard(i);
        db[(of.parameter)(i)] += f64::from(dy[i]);
    }
    let y = |i: usize| standard(i) * w(i) + f64::from(bias[(of.parameter)(i)]);
    let dx = |i: usize| scale(i) * (g(i) - mean_g[(of.group)(i)] - standard(i) * mean_product[(of.group)(i)]);
    [(0..x.len()).map(y).collect(), (0..x.len()).map(dx).collect(), dw, db]
}

/// The distance of the worst element, to the largest right one. Sums of n terms below the largest are off by a
/// few roundings of n times that.
fn require_near(what: &str, found: &[f64], right: &[f64], roundings: f64) {
    let largest = right.iter().fold(1.0, |largest: f64, x| largest.max(x.abs()));
    for (i, (found, right)) in found.iter().zip(right).enumerate() {
        let off = (found - right).abs() / largest / f64::from(f32::EPSILON);
        assert!(off <= roundings, "{what} {i}: {found} for {right}, {off} roundings");
    }
}

fn widened(x: Vec<f32>) -> Vec<f64> {
    x.into_iter().map(f64::from).collect()
}

/// Images, pixels, channels, groups: few and many, of whole registers and others, shared among threads or not.
const IMAGES: [[usize; 4]; 12] = [
    [1, 2, 1, 1],
    [1, 7, 3, 3],
    [1, 65, 10, 10],
    [1, 3000, 16, 16],
    [1, 1500, 64, 64],
    [1, 40_000, 3, 3],
    [1, 700, 100, 100],
    [5, 9, 6, 2],
    [3, 1, 8, 4],
    [4, 600, 64, 8],
    [40, 30, 32, 32],
    [2, 0, 4, 2],
];

#[test]
fn channels_are_normalised_as_in_a_plain_loop() {
    for [images, pixels, channels, groups] in IMAGES {
        // The further the mean, the fewer digits the numbers themselves have.
        for (centre, roundings) in [(0.0, 16.0), (1000.0, 16.0)] {
            let what = format!("{:?} around {centre}", [images, pixels, channels, groups]);
            let sizes = Sizes { images, pixels, channels, groups };
            let len = images * pixels * channels;
            let (x, dy) = (numbers(len, centre, 0), numbers(len, 0.5, 7));
            let (weight, bias) = (numbers(channels, 1.5, 1), numbers(channels, 0.0, 2));
            let run = || {
                let (mut y, mut dx) = (vec![0.0_f32; len], vec![0.0_f32; len]);
                let mut moments: Vec<Moments> = vec![[0.0; 2]; images * groups];
                channels::forward(&x, &sizes, [&weight, &bias], EPS, &mut y, &mut moments);
                let [dw, db] = channels::backward([&dy, &x], &sizes, &weight, EPS, &moments, &mut dx);
                [widened(y), widened(dx), dw, db]
            };
            let found = everywhere(&what, run);
            let group = |i: usize| i / (pixels * channels) * groups + i % channels / (channels / groups);
            let of = Naive {
                group: &group,
                parameter: &|i| i % channels,
                groups: images * groups,
                is_centred: true,
            };
            let right = naive(&of, &x, &dy, &weight, &bias);
            for (name, (found, right)) in ["y", "dx", "dw", "db"].iter().zip(found.iter().zip(&right)) {
                assert_eq!(found.len(), right.len());
                require_near(&format!("{what} {name}"), found, right, roundings);
            }
        }
    }
}

#[test]
fn rows_are_as_accurate_where_the_elements_looked_at_first_are_far_from_the_mean() {
    let (rows, n) = (3, 40_000);
    let mut x = numbers(rows * n, 0.0, 0);
    for row in x.chunks_exact_mut(n) {
        (0..4).for_each(|quarter| row[n * quarter / 4] = 1e4);
    }
    let (weight, bias) = (vec![1.0; n], vec![0.0; n]);
    let [y, moments] = everywhere("far from the mean", || {
        let (mut y, mut moments) = (vec![0.0_f32; rows * n], vec![[0.0; 2]; rows]);
        rows::forward::<f32, true>(&x, [&weight, &bias], EPS, &mut y, &mut moments);
        [widened(y), moments.into_flattened()]
    });
    let of = Naive { group: &|i| i / n, parameter: &|i| i % n, groups: rows, is_centred: true };
    require_near("y", &y, &naive(&of, &x, &x, &weight, &bias)[0], 4.0);
    for (row, moments) in x.chunks_exact(n).zip(moments.chunks_exact(2)) {
        let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64;
        let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n as f64;
        assert!((moments[0] - mean).abs() < 1e-6 * variance.sqrt(), "{} for {mean}", moments[0]);
        assert!((moments[1] / variance - 1.0).abs() < 1e-6, "{} for {variance}", moments[1]);
    }
}

const ROWS: [[usize; 2]; 9] =
    [[1, 1], [3, 7], [5, 16], [70, 33], [300, 256], [2, 40_000], [40, 1000], [0, 4], [4, 0]];

#[test]
fn rows_are_normalised_as_in_a_plain_loop() {
    for [rows, n] in ROWS {
        for (centre, is_centred) in [(0.0, true), (1000.0, true), (0.0, false), (1000.0, false)] {
            let what = format!("{:?} around {centre}, centred {is_centred}", [rows, n]);
            let (x, dy) = (numbers(rows * n, centre, 0), numbers(rows * n, 0.5, 7));
            let (weight, bias) = (numbers(n, 1.5, 1), numbers(n, 0.0, 2));
            let run = || {
                let (mut y, mut dx) = (vec![0.0_f32; rows * n], vec![0.0_f32; rows * n]);
                let mut moments: Vec<Moments> = vec![[0.0; 2]; rows];
                let (of, w) = ([&dy[..], &x], &weight);
                let [dw, db] = if is_centred {
                    rows::forward::<f32, true>(&x, [w, &bias], EPS, &mut y, &mut moments);
                    rows::backward::<f32, true>(of, w, EPS, &moments, &mut dx)
                } else {
                    rows::forward::<f32, false>(&x, [w, &bias], EPS, &mut y, &mut moments);
                    rows::backward::<f32, false>(of, w, EPS, &moments, &mut dx)
                };
                [widened(y), widened(dx), dw, db]
            };
            let found = everywhere(&what, run);
            let of = Naive { group: &|i| i / n, parameter: &|i| i % n, groups: rows, is_centred };
            let right = naive(&of, &x, &dy, &weight, &bias);
            for (name, (found, right)) in ["y", "dx", "dw", "db"].iter().zip(found.iter().zip(&right)) {
                assert_eq!(found.len(), right.len());
                require_near(&format!("{what} {name}"), found, right, 16.0);
            }
        }
    }
}

#[test]
fn squares_beyond_f32_do_not_overflow() {
    let x: Vec<f32> = (0..600).map(|i| if i % 2 == 0 { 2e30 } else { -1e30 }).collect();
    let (ones, zeros) = (vec![1.0_f32; 600], vec![0.0_f32; 600]);
    let right: Vec<f32> = (0..600).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let near = |y: &[f32]| y.iter().zip(&right).all(|(y, right)| (y - right).abs() < 1e-6);
    let (mut y, mut moments) = (zeros.clone(), [[0.0; 2]]);
    rows::forward::<f32, true>(&x, [&ones, &zeros], EPS, &mut y, &mut moments);
    assert!(near(&y), "{moments:?}");
    let sizes = Sizes { images: 1, pixels: 600, channels: 1, groups: 1 };
    channels::forward(&x, &sizes, [&[1.0], &[0.0]], EPS, &mut y, &mut moments);
    assert!(near(&y), "{moments:?}");
    let rms: Vec<f32> = (0..600).map(|_| 1e30).collect();
    rows::forward::<f32, false>(&rms, [&ones, &zeros], EPS, &mut y, &mut moments);
    assert!(y.iter().all(|y| (y - 1.0).abs() < 1e-6), "{moments:?}");
}
