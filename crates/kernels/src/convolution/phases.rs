//! The gradient in the input, as sums over windows of `dy`.
//!
//! A pixel of the input gets something from the windows whose taps it lies under. With a stride of `s`, which
//! taps these are depends on where the pixel lies between two windows: there are `s` kinds of rows and as many of
//! columns, the phases. The pixels of one phase are themselves a grid, and their gradient is a convolution of
//! `dy` with the taps that reach them, turned round: no zeros are multiplied.

use super::gather::{self, Places, Window};
use super::panels::Filters;
use super::{Images, Sizes};
use crate::Float;

/// The taps of one axis that reach the pixels of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Phase {
    /// Pixels of the phase.
    pixels: usize,
    /// Taps that reach them; the tap that comes first when they are turned round, and from tap to tap.
    taps: usize,
    last: usize,
    step: usize,
    /// Pixels of `dy` between neighbouring taps, and before the first.
    dilation: usize,
    before: isize,
}

impl Phase {
    /// Pixels `r, r + stride, …`.
    fn of(sizes: &Sizes, axis: usize, r: usize) -> Self {
        let (stride, dilation) = (sizes.stride[axis], sizes.dilation[axis]);
        let kernel = sizes.kernel[axis];
        let pixels = if r < sizes.input[axis] { (sizes.input[axis] - r).div_ceil(stride) } else { 0 };
        let reaches = |tap: usize| (r + sizes.padding[axis]).abs_diff(tap * dilation).is_multiple_of(stride);
        let Some(first) = (0..kernel).find(|&tap| reaches(tap)) else {
            return Self { pixels, taps: 0, last: 0, step: 1, dilation: 1, before: 0 };
        };
        let common = gcd(stride, dilation);
        let (step, apart) = (stride / common, dilation / common);
        let taps = (kernel - first).div_ceil(step);
        // Pixel r + stride·j and tap `first` meet in the window j + shift.
        let shift = ((r + sizes.padding[axis]) as isize - (first * dilation) as isize) / stride as isize;
        Self {
            pixels,
            taps,
            last: first + (taps - 1) * step,
            step,
            dilation: apart,
            before: ((taps - 1) * apart) as isize - shift,
        }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

pub(super) fn input<T: Float>(sizes: &Sizes, dy: Images<'_, T>, w: Images<'_, T>, dx: &mut [T]) {
    let [height, width] = sizes.input;
    let (rows, columns) = (sizes.stride[0].min(height), sizes.stride[1].min(width));
    let phases = |axis: usize, count: usize| (0..count).map(move |r| Phase::of(sizes, axis, r));
    let is_reached = |phase: Phase| phase.taps > 0;
    if !(phases(0, rows).all(is_reached) && phases(1, columns).all(is_reached)) {
        // Between windows that leave pixels out, these get nothing.
        dx.fill(T::ZERO);
    }
    let channels = sizes.in_channels;
    let [groups, inputs, outputs] = sizes.parts();
    for (r, down) in phases(0, rows).enumerate() {
        for (q, right) in phases(1, columns).enumerate() {
            if down.taps * right.taps == 0 {
                continue;
            }
            let window = Window {
                batch: sizes.batch,
                input: sizes.output,
                output: [down.pixels, right.pixels],
                taps: [down.taps, right.taps],
                stride: [1, 1],
                dilation: [down.dilation, right.dilation],
                before: [down.before, right.before],
                channels: outputs,
                columns: inputs,
                per_channel: sizes.is_channelwise(),
            };
            let places = Places {
                image: height * width * channels,
                row: sizes.stride[0] * width * channels,
                pixel: sizes.stride[1] * channels,
            };
            for group in 0..groups {
                let first_output = group * outputs;
                let filters = Filters {
                    w: Images { offset: w.offset + first_output * w.strides[0], ..w },
                    first: [down.last, right.last],
                    step: [-(down.step as isize), -(right.step as isize)],
                    from_outputs: true,
                };
                let first = (r * width + q) * channels + group * inputs;
                gather::run(&window, dy.at_channel(first_output), &filters, None, dx, first, places);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sizes;
    use super::Phase;

    /// Every pair of a pixel and a window that meet is found by one phase and tap, and no other.
    #[test]
    fn phases_find_every_window_once() {
        for (input, kernel, stride, padding, dilation) in [
            (7, 3, 1, 0, 1),
            (8, 3, 2, 1, 1),
            (9, 4, 3, 2, 2),
            (11, 2, 4, 0, 3),
            (5, 5, 2, 4, 1),
            (6, 1, 3, 2, 1),
        ] {
            let output = (input + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
            let sizes = Sizes {
                batch: 1,
                in_channels: 1,
                out_channels: 1,
                groups: 1,
                input: [input; 2],
                kernel: [kernel; 2],
                output: [output; 2],
                stride: [stride; 2],
                padding: [padding; 2],
                dilation: [dilation; 2],
            };
            let mut expected = Vec::new();
            for window in 0..output {
                for tap in 0..kernel {
                    let pixel = (window * stride + tap * dilation).checked_sub(padding);
                    expected.extend(pixel.filter(|&pixel| pixel < input).map(|pixel| (pixel, window, tap)));
                }
            }
            let mut found = Vec::new();
            for r in 0..stride.min(input) {
                let phase = Phase::of(&sizes, 0, r);
                for j in 0..phase.pixels {
                    for t in 0..phase.taps {
                        let window = (j + t * phase.dilation) as isize - phase.before;
                        if (0..output as isize).contains(&window) {
                            found.push((r + stride * j, window as usize, phase.last - t * phase.step));
                        }
                    }
                }
            }
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected);
        }
    }
}
