//! Pooling and borders of images against loops over indices, at every instruction set, with any number of channels.
#![allow(missing_docs, reason = "an integration test")]

use backflow_kernels::Float;
use backflow_kernels::isa;
use backflow_kernels::padding::{Border, pad};
use backflow_kernels::pooling::{Span, Windows, max, max_backward, mean, mean_backward};

/// Numbers in −½..½ with few values, so that some are equal, from a fixed linear congruential generator.
fn noise<T: Float>(count: usize, values: u64) -> Vec<T> {
    let mut state = count as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        T::from_f64((state >> 33) as f64 % values as f64 / values as f64 - 0.5)
    };
    (0..count).map(|_| next()).collect()
}

/// Windows that follow each other, that overlap, that leave pixels out, of several sizes, with gaps inside, over
/// images of so many channels, in all groups of lanes.
fn cases() -> Vec<Windows> {
    let span = |first, count, share| Span { first, count, share };
    let sides = [
        (vec![span(0, 2, 2), span(2, 2, 2), span(4, 1, 2)], 5, 1),
        (vec![span(0, 3, 3), span(1, 3, 4), span(2, 3, 1)], 5, 1),
        (vec![span(1, 2, 2), span(2, 2, 5)], 7, 3),
        (vec![span(3, 1, 1)], 6, 2),
        (vec![span(0, 20, 20), span(0, 6, 7)], 20, 1),
    ];
    let mut cases = Vec::new();
    for (at, channels) in [1, 2, 3, 4, 7, 8, 13, 32, 33, 47, 64].into_iter().enumerate() {
        let [rows, columns] = [&sides[at % 5], &sides[(at + at / 5) % 5]];
        for batch in [1, 3] {
            cases.push(Windows {
                batch,
                channels,
                image: [rows.1, columns.1],
                step: [rows.2, columns.2],
                spans: [rows.0.clone(), columns.0.clone()],
            });
        }
    }
    cases
}

/// Calls `f` with the element of the result and those of its window, row by row, and whether a row begins.
fn naive(windows: &Windows, mut f: impl FnMut(usize, [Span; 2], &[Vec<usize>])) {
    let Windows { batch, channels, image, step, spans } = windows;
    for n in 0..*batch {
        for (i, rows) in spans[0].iter().enumerate() {
            for (j, columns) in spans[1].iter().enumerate() {
                for channel in 0..*channels {
                    let element = ((n * spans[0].len() + i) * spans[1].len() + j) * channels + channel;
                    let row = |row: usize| {
                        let y = rows.first + row * step[0];
                        let x = |column: usize| columns.first + column * step[1];
                        (0..columns.count)
                            .map(|column| ((n * image[0] + y) * image[1] + x(column)) * channels + channel)
                            .collect()
                    };
                    f(element, [*rows, *columns], &(0..rows.count).map(row).collect::<Vec<Vec<usize>>>());
                }
            }
        }
    }
}

fn bits<T: Float>(x: &[T]) -> Vec<u64> {
    x.iter().map(|x| x.to_f64().to_bits()).collect()
}

fn check_largest<T: Float>(windows: &Windows) {
    let image = windows.image[0] * windows.image[1] * windows.channels;
    let pooled = windows.spans[0].len() * windows.spans[1].len() * windows.channels;
    for (above, special) in [(0.2, 0.0), (0.2, f64::NAN), (-1.0, f64::NEG_INFINITY)] {
        let mut x: Vec<T> = noise(windows.batch * image, 9);
        for x in x.iter_mut().filter(|x| x.to_f64() > above) {
            *x = T::from_f64(special);
        }
        let (mut y, mut places) = (vec![T::ZERO; windows.batch * pooled], vec![7; windows.batch * pooled]);
        max(windows, &x, &mut y, &mut places);
        let dy: Vec<T> = noise(y.len(), 1000);
        let (mut dx, mut expected) = (vec![T::NAN; x.len()], vec![T::ZERO; x.len()]);
        max_backward(windows, &dy, &places, &mut dx);
        naive(windows, |element, _, window| {
            let all: Vec<usize> = window.concat();
            let best = all
                .iter()
                .copied()
                .fold(all[0], |best, at| if x[at] > x[best] || x[at].is_nan() { at } else { best });
            let place = best % image / windows.channels;
            assert_eq!(places[element] as usize, place, "{windows:?} {element}");
            assert_eq!(bits(&y[element..=element]), bits(&x[best..=best]), "{windows:?} {element}");
            expected[best] += dy[element];
        });
        assert_eq!(bits(&dx), bits(&expected), "{windows:?}");
    }
}

fn check_means<T: Float>(windows: &Windows) {
    let count = |axis: usize| windows.spans[axis].len();
    let x: Vec<T> = noise(windows.batch * windows.image[0] * windows.image[1] * windows.channels, 1000);
    let mut y = vec![T::NAN; windows.batch * count(0) * count(1) * windows.channels];
    mean(windows, &x, &mut y);
    let dy: Vec<T> = noise(y.len(), 1000);
    let (mut dx, mut expected) = (vec![T::NAN; x.len()], vec![T::ZERO; x.len()]);
    mean_backward(windows, &dy, &mut dx);
    naive(windows, |element, [rows, columns], window| {
        let sum = |row: &Vec<usize>| row.iter().fold(T::ZERO, |sum, &at| sum + x[at]);
        let share = T::from_f64((rows.share * columns.share) as f64);
        let mean = window.iter().map(sum).fold(T::ZERO, |sums, sum| sums + sum) / share;
        assert_eq!(bits(&y[element..=element]), bits(&[mean]), "{windows:?} {element}");
        window.iter().flatten().for_each(|&at| expected[at] += dy[element] / share);
    });
    assert_eq!(bits(&dx), bits(&expected), "{windows:?}");
}

/// Every tenth row and column shows nothing.
fn check_borders<T: Float>(outer: usize, inner: usize, sources: [&[usize]; 2]) {
    let sources = sources.map(|all| all.iter().map(|&source| (source != 10).then_some(source)).collect());
    let border = Border { outer, inner, image: [3, 5], sources };
    let [height, width] = border.image;
    let [rows, columns] = &border.sources;
    let x: Vec<T> = noise(outer * height * width * inner, 1000);
    let mut y = vec![T::NAN; outer * rows.len() * columns.len() * inner];
    pad(&border, &x, T::ONE, &mut y);
    for (element, y) in y.iter().enumerate() {
        let (image, row) =
            (element / (inner * columns.len() * rows.len()), element / (inner * columns.len()));
        let (row, column) = (rows[row % rows.len()], columns[element / inner % columns.len()]);
        let from = row
            .zip(column)
            .map(|(row, column)| ((image * height + row) * width + column) * inner + element % inner);
        assert_eq!(*y, from.map_or(T::ONE, |from| x[from]), "{border:?} {element}");
    }
}

#[test]
fn kernels_are_loops_over_indices() {
    for level in isa::ALL.into_iter().filter(|level| level.is_available()) {
        isa::force(Some(level));
        for windows in cases() {
            check_largest::<f32>(&windows);
            check_largest::<f64>(&windows);
            check_means::<f32>(&windows);
            check_means::<f64>(&windows);
        }
        for inner in [1, 3, 40] {
            check_borders::<f32>(2, inner, [&[1, 0, 1, 2, 1], &[0, 0, 1, 2, 3, 4, 4]]);
            check_borders::<f64>(3, inner, [&[10, 0, 1, 2, 10], &[10, 10, 0, 1, 2, 3, 4, 10]]);
            check_borders::<f32>(1, inner, [&[2, 0, 1, 2, 0], &[4, 0, 1, 2, 3, 4, 0, 1]]);
            check_borders::<f64>(70, inner, [&[], &[0]]);
        }
    }
    isa::force(None);
}
