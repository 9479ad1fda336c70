//! Convolutions and their gradients against sums written out in `f64`, over sizes, layouts, threads and
//! instruction sets.
#![allow(missing_docs, reason = "an integration test")]

use backflow_kernels::Float;
use backflow_kernels::convolution::{Images, Sizes, forward, input, weight};
use backflow_kernels::isa::{self, Isa};
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

fn output(input: usize, kernel: usize, stride: usize, padding: usize, dilation: usize) -> usize {
    (input + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1
}

fn sizes(
    [batch, in_channels, out_channels, groups]: [usize; 4],
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
) -> Sizes {
    let output = [0, 1].map(|at| output(input[at], kernel[at], stride[at], padding[at], dilation[at]));
    Sizes { batch, in_channels, out_channels, groups, input, kernel, output, stride, padding, dilation }
}

/// One of each kind: strides, padding, dilation, groups, channel by channel, many and few channels, partial tiles,
/// sums in several slices, kernels larger than the image.
fn cases() -> Vec<Sizes> {
    let (one, none) = ([1, 1], [0, 0]);
    vec![
        sizes([2, 3, 4, 1], [5, 6], [3, 3], one, none, one),
        sizes([1, 1, 1, 1], [1, 1], [1, 1], one, none, one),
        sizes([2, 5, 33, 1], [6, 5], [3, 2], one, [1, 1], one),
        sizes([3, 4, 6, 2], [7, 8], [3, 3], [2, 2], [1, 1], one),
        sizes([2, 6, 3, 3], [9, 7], [2, 3], [1, 2], [0, 2], [2, 1]),
        sizes([1, 2, 3, 1], [8, 9], [3, 3], [3, 2], [2, 0], [2, 3]),
        sizes([2, 35, 35, 35], [6, 7], [3, 3], one, [1, 1], one),
        sizes([2, 40, 40, 40], [7, 6], [3, 2], [2, 1], [1, 0], [1, 2]),
        sizes([1, 4, 8, 4], [5, 5], [3, 3], one, [1, 1], one),
        sizes([1, 3, 2, 1], [2, 2], [4, 4], one, [2, 2], one),
        sizes([2, 96, 17, 1], [4, 4], [3, 3], one, [1, 1], one),
        sizes([1, 600, 5, 1], [3, 3], [2, 2], one, none, one),
        sizes([1, 2, 2, 1], [1, 600], [1, 5], one, [0, 2], one),
        sizes([1, 4, 4, 1], [4, 4], [3, 3], one, [3, 3], one),
        sizes([2, 4, 4, 1], [9, 9], [1, 1], [3, 3], none, one),
        sizes([1, 3, 3, 1], [3, 3], [3, 3], one, [1, 1], one),
    ]
}

/// The same numbers `[n, c, y, x]` in another order of memory, with room around them.
#[derive(Clone, Copy, Debug)]
enum Layout {
    ChannelsFirst,
    ChannelsLast,
    /// Channels innermost, with a margin after each pixel and an offset.
    Sparse,
    /// Images turned on their side.
    Transposed,
}
const LAYOUTS: [Layout; 4] =
    [Layout::ChannelsFirst, Layout::ChannelsLast, Layout::Sparse, Layout::Transposed];

/// Elements between images, channels, rows and pixels.
fn strides([_, c, h, w]: [usize; 4], layout: Layout) -> (usize, [usize; 4]) {
    match layout {
        Layout::ChannelsFirst => (0, [c * h * w, h * w, w, 1]),
        Layout::ChannelsLast => (0, [h * w * c, 1, w * c, c]),
        Layout::Sparse => (3, [h * w * (c + 2), 1, w * (c + 2), c + 2]),
        Layout::Transposed => (1, [c * h * w, h * w, 1, h]),
    }
}

fn laid_out<T: Float>(values: &[T], shape: [usize; 4], layout: Layout) -> (Vec<T>, usize, [usize; 4]) {
    let (offset, strides) = strides(shape, layout);
    let [n, c, h, w] = shape;
    let mut data = vec![T::from_f64(f64::NAN); offset + n * strides[0] + c * strides[1] + 8];
    for (at, &value) in values.iter().enumerate() {
        let index = [at / (c * h * w), at / (h * w) % c, at / w % h, at % w];
        let place: usize = index.iter().zip(strides).map(|(index, stride)| index * stride).sum();
        data[offset + place] = value;
    }
    (data, offset, strides)
}

/// Calls `f` for every product of a sum: pixel of x, pixel of y, weight, all as indices of contiguous arrays with
/// channels before rows.
fn products(sizes: &Sizes, mut f: impl FnMut(usize, usize, usize)) {
    let Sizes { batch, in_channels, out_channels, groups, input, kernel, output, stride, padding, dilation } =
        *sizes;
    let (inputs, outputs) = (in_channels / groups, out_channels / groups);
    for n in 0..batch {
        for o in 0..out_channels {
            for (i, j) in (0..output[0]).flat_map(|i| (0..output[1]).map(move |j| (i, j))) {
                let y = ((n * out_channels + o) * output[0] + i) * output[1] + j;
                for c in 0..inputs {
                    for (a, b) in (0..kernel[0]).flat_map(|a| (0..kernel[1]).map(move |b| (a, b))) {
                        let row = (i * stride[0] + a * dilation[0]).wrapping_sub(padding[0]);
                        let column = (j * stride[1] + b * dilation[1]).wrapping_sub(padding[1]);
                        if row >= input[0] || column >= input[1] {
                            continue;
                        }
                        let channel = o / outputs * inputs + c;
                        let x = ((n * in_channels + channel) * input[0] + row) * input[1] + column;
                        f(x, y, ((o * inputs + c) * kernel[0] + a) * kernel[1] + b);
                    }
                }
            }
        }
    }
}

/// `[n, c, y, x]` of channels innermost.
fn channels_first<T: Float>(values: &[T], channels: usize, pixels: usize) -> Vec<T> {
    let mut turned = values.to_vec();
    for (at, value) in values.iter().enumerate() {
        let (n, pixel, c) = (at / (channels * pixels), at / channels % pixels, at % channels);
        turned[(n * channels + c) * pixels + pixel] = *value;
    }
    turned
}

/// A sum of `count` products of numbers below ½, with half a rounding for each.
fn close<T: Float>(found: &[T], sums: &[f64], magnitudes: &[f64], count: usize, what: &str) {
    assert_eq!(found.len(), sums.len(), "{what}");
    let rounding = if size_of::<T>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    for (at, ((found, sum), magnitude)) in found.iter().zip(sums).zip(magnitudes).enumerate() {
        let error = (found.to_f64() - sum).abs();
        assert!(error <= rounding * (count as f64 + 2.0) * magnitude, "{what}, {at}: {found} for {sum}");
    }
}

struct Expected {
    y: (Vec<f64>, Vec<f64>),
    dx: (Vec<f64>, Vec<f64>),
    dw: (Vec<f64>, Vec<f64>),
}

fn all_as_they_should<T: Float>(sizes: &Sizes, level: Isa) {
    let Sizes { batch, in_channels, out_channels, groups, input: [h, w], kernel, output: [oh, ow], .. } =
        *sizes;
    let x_shape = [batch, in_channels, h, w];
    let y_shape = [batch, out_channels, oh, ow];
    let w_shape = [out_channels, in_channels / groups, kernel[0], kernel[1]];
    let count = |shape: [usize; 4]| shape.iter().product::<usize>();
    let x: Vec<T> = noise(count(x_shape), 1);
    let filters: Vec<T> = noise(count(w_shape), 2);
    let dy: Vec<T> = noise(count(y_shape), 3);
    let bias: Vec<T> = noise(out_channels, 4);
    let zeros = |count: usize| (vec![0.0; count], vec![0.0; count]);
    let mut expected = Expected { y: zeros(dy.len()), dx: zeros(x.len()), dw: zeros(filters.len()) };
    for (at, y) in expected.y.0.iter_mut().enumerate() {
        *y = bias[at / (oh * ow) % out_channels].to_f64();
        expected.y.1[at] = y.abs();
    }
    products(sizes, |i, j, k| {
        let add = |sums: &mut (Vec<f64>, Vec<f64>), at: usize, a: T, b: T| {
            sums.0[at] += a.to_f64() * b.to_f64();
            sums.1[at] += (a.to_f64() * b.to_f64()).abs();
        };
        add(&mut expected.y, j, x[i], filters[k]);
        add(&mut expected.dx, i, dy[j], filters[k]);
        add(&mut expected.dw, k, x[i], dy[j]);
    });
    let taps = kernel[0] * kernel[1];
    let mut first: Option<[Vec<T>; 3]> = None;
    for layout in LAYOUTS {
        let what = format!("{sizes:?}, {layout:?}, {level:?}");
        let [x, dy, filters] = [(&x, x_shape), (&dy, y_shape), (&filters, w_shape)]
            .map(|(values, shape)| laid_out(values, shape, layout));
        let x = Images { data: &x.0, offset: x.1, strides: x.2 };
        let dy = Images { data: &dy.0, offset: dy.1, strides: dy.2 };
        let filters = Images { data: &filters.0, offset: filters.1, strides: filters.2 };
        let mut y = noise(count(y_shape), 5);
        forward(sizes, x, filters, Some(&bias), &mut y);
        let mut dx = noise(count(x_shape), 6);
        input(sizes, dy, filters, &mut dx);
        let mut dw = noise(count(w_shape), 7);
        weight(sizes, x, dy, &mut dw);
        let (y, dx) = (channels_first(&y, out_channels, oh * ow), channels_first(&dx, in_channels, h * w));
        close(&y, &expected.y.0, &expected.y.1, taps * in_channels / groups, &format!("y, {what}"));
        close(&dx, &expected.dx.0, &expected.dx.1, taps * out_channels / groups, &format!("dx, {what}"));
        close(&dw, &expected.dw.0, &expected.dw.1, batch * oh * ow, &format!("dw, {what}"));
        let bits = [y, dx, dw];
        match &first {
            None => first = Some(bits),
            Some(first) => assert!(*first == bits, "bits of {what}"),
        }
    }
}

#[test]
fn sums_are_those_written_out_in_every_layout_with_the_same_bits() {
    let _turn = turn();
    each_level(|level| {
        for sizes in cases() {
            all_as_they_should::<f32>(&sizes, level);
            all_as_they_should::<f64>(&sizes, level);
        }
    });
}

#[test]
fn nothing_in_gives_nothing_out() {
    let _turn = turn();
    let none = sizes([0, 3, 4, 1], [5, 5], [3, 3], [1, 1], [0, 0], [1, 1]);
    let filters: Vec<f32> = noise(4 * 3 * 9, 1);
    let w = Images { data: &filters, offset: 0, strides: [27, 9, 3, 1] };
    let empty = Images { data: &[], offset: 0, strides: [75, 25, 5, 1] };
    forward(&none, empty, w, None, &mut []);
    input(&none, empty, w, &mut []);
    let mut dw = vec![1.0; filters.len()];
    weight(&none, empty, empty, &mut dw);
    assert!(dw.iter().all(|&x| x == 0.0));
}

/// What a convolution of many images takes in pieces is the same on any number of threads.
#[test]
fn bits_do_not_depend_on_threads() {
    let _turn = turn();
    for sizes in [
        sizes([16, 24, 40, 1], [20, 18], [3, 3], [1, 1], [1, 1], [1, 1]),
        sizes([16, 16, 64, 2], [20, 18], [3, 3], [2, 1], [1, 1], [1, 1]),
        sizes([32, 64, 64, 64], [24, 24], [3, 3], [1, 1], [1, 1], [1, 1]),
    ] {
        let Sizes { batch, in_channels, out_channels, groups, input: [h, w], output: [oh, ow], .. } = sizes;
        let x: Vec<f32> = noise(batch * in_channels * h * w, 1);
        let filters: Vec<f32> = noise(out_channels * in_channels / groups * 9, 2);
        let dy: Vec<f32> = noise(batch * out_channels * oh * ow, 3);
        let all = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (_, strides) = strides([batch, in_channels, h, w], Layout::ChannelsLast);
                let x = Images { data: &x, offset: 0, strides };
                let (_, strides) = self::strides([batch, out_channels, oh, ow], Layout::ChannelsFirst);
                let dy = Images { data: &dy, offset: 0, strides };
                let filters =
                    Images { data: &filters, offset: 0, strides: [in_channels / groups * 9, 9, 3, 1] };
                let mut y = vec![0.0; batch * out_channels * oh * ow];
                forward(&sizes, x, filters, None, &mut y);
                let mut dx = vec![0.0; batch * in_channels * h * w];
                input(&sizes, dy, filters, &mut dx);
                let mut dw = vec![0.0; out_channels * in_channels / groups * 9];
                weight(&sizes, x, dy, &mut dw);
                [y, dx, dw]
            })
        };
        let one = all(1);
        for threads in [2, 3, 7] {
            assert!(all(threads) == one, "{threads} threads, {sizes:?}");
        }
    }
}

/// Zeros outside an image take part: an infinite weight there makes NaN, as in PyTorch.
#[test]
fn the_border_is_multiplied() {
    let _turn = turn();
    let sizes = sizes([1, 1, 1, 1], [2, 2], [3, 3], [1, 1], [1, 1], [1, 1]);
    let mut filters = [1.0_f32; 9];
    filters[0] = f32::INFINITY;
    let x = [1.0_f32; 4];
    let mut y = [0.0; 4];
    let images = |data, side| Images { data, offset: 0, strides: [4, 4, side, 1] };
    forward(&sizes, images(&x, 2), images(&filters, 3), None, &mut y);
    assert!(y[0].is_nan() && y[3] == f32::INFINITY, "{y:?}");
}
