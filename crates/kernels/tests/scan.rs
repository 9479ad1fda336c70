//! Running sums, against loops of one element, on any number of threads.
#![allow(missing_docs, reason = "an integration test")]

use backflow_kernels::scan::{cumsum, recurrence};

/// `outer`, `len`, `inner`: numbers of rows around those that run side by side, and columns around those.
const SIZES: [[usize; 3]; 12] = [
    [1, 5, 1],
    [7, 4, 1],
    [8, 1, 1],
    [9, 33, 1],
    [17, 6, 1],
    [300, 257, 1],
    [3, 4, 2],
    [2, 5, 31],
    [2, 3, 33],
    [5, 100, 70],
    [0, 3, 1],
    [2, 0, 3],
];

fn on_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

#[test]
fn sums_run_as_one_by_one() {
    for [outer, len, inner] in SIZES {
        let count = outer * len * inner;
        let b: Vec<f32> = (0..count).map(|nth| (nth as f32 * 0.618_034).fract() - 0.5).collect();
        let a: Vec<f32> = (0..count).map(|nth| (nth as f32 * 0.414_214).fract() * 2.0 - 1.0).collect();
        for from_end in [false, true] {
            let mut expected = [vec![0.0; count], vec![0.0; count]];
            for o in 0..outer {
                for i in 0..inner {
                    let mut sums = [0.0_f64; 2];
                    for nth in 0..len {
                        let place = if from_end { len - 1 - nth } else { nth };
                        let at = (o * len + place) * inner + i;
                        sums = [sums[0] + f64::from(b[at]), f64::from(a[at]) * sums[1] + f64::from(b[at])];
                        (expected[0][at], expected[1][at]) = (sums[0] as f32, sums[1] as f32);
                    }
                }
            }
            for threads in [1, 3] {
                let mut out = [vec![0.0; count], vec![0.0; count]];
                on_threads(threads, || {
                    let [sums, states] = &mut out;
                    cumsum(&b, len, inner, from_end, sums);
                    recurrence(&a, &b, len, inner, from_end, states);
                });
                assert!(out == expected, "{outer} {len} {inner}, from the end: {from_end}");
            }
        }
    }
}

#[test]
fn the_first_factor_multiplies_nothing() {
    let (a, b) = ([f32::INFINITY, 2.0, f32::NAN], [1.0, 3.0, 0.5]);
    let mut y = [0.0; 3];
    recurrence(&a, &b, 3, 1, false, &mut y);
    assert!(y[..2] == [1.0, 5.0] && y[2].is_nan());
    recurrence(&a, &b, 3, 1, true, &mut y);
    assert_eq!(y, [f32::INFINITY, 4.0, 0.5]);
}
