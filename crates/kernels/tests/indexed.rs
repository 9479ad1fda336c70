//! Rows by their places, against loops of one element, on any number of threads.
#![allow(missing_docs, reason = "an integration test")]

use backflow_kernels::indexed::{add, are_within, pick};

/// `outer`, `len`, `inner`, how many places: small ones, and such as are cut into pieces.
const SIZES: [[usize; 4]; 9] = [
    [1, 3, 2, 5],
    [2, 1, 1, 4],
    [3, 4, 0, 2],
    [2, 3, 5, 0],
    [0, 3, 2, 4],
    [1, 1000, 64, 700],
    [7, 300, 3, 900],
    [40, 5, 7, 60],
    [1, 50_000, 1, 70_000],
];

fn places(len: usize, count: usize) -> Vec<usize> {
    (0..count).map(|nth| (nth * 7919 + nth * nth) % len).collect()
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|nth| (nth as f32 * 0.618_034).fract() - 0.5).collect()
}

fn on_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

#[test]
fn rows_are_picked_and_added_as_one_by_one() {
    for [outer, len, inner, count] in SIZES {
        let (x, src, at) = (numbers(outer * len * inner), numbers(outer * count * inner), places(len, count));
        let mut picked = vec![f32::NAN; outer * count * inner];
        let mut sums = x.clone();
        for o in 0..outer {
            for (nth, place) in at.iter().enumerate() {
                for i in 0..inner {
                    let (from, to) = ((o * len + place) * inner + i, (o * count + nth) * inner + i);
                    picked[to] = x[from];
                    sums[from] += src[to];
                }
            }
        }
        for threads in [1, 2, 5] {
            let mut out = vec![0.0; picked.len()];
            on_threads(threads, || pick(&x, len, inner, &at, &mut out));
            assert!(out == picked, "pick {outer} {len} {inner} {count}, {threads} threads");
            let mut out = x.clone();
            on_threads(threads, || add(&src, len, inner, &at, &mut out));
            assert!(out == sums, "add {outer} {len} {inner} {count}, {threads} threads");
        }
    }
}

#[test]
fn places_are_within_if_each_is() {
    for len in [0, 1, 3, 100] {
        let most = len as i64;
        let all: Vec<i64> = (-most..most).cycle().take(if len == 0 { 0 } else { 100_000 }).collect();
        assert!(are_within(&all, len));
        for wrong in [most, -most - 1, i64::MAX, i64::MIN] {
            for at in [0, all.len() / 2, all.len().saturating_sub(1)] {
                let mut all = all.clone();
                all.insert(at, wrong);
                assert!(!are_within(&all, len), "{wrong} of {len}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "add: a place is not one of 3")]
fn a_place_outside_is_told() {
    add(&[1.0_f32], 3, 1, &[3], &mut [0.0; 3]);
}

#[test]
#[should_panic(expected = "pick: 6 and 3 elements of [_, 3, 2] at 2 places")]
fn lengths_that_do_not_fit_are_told() {
    pick(&[1; 6], 3, 2, &[0, 1], &mut [0; 3]);
}
