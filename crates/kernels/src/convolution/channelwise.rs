//! Sums of a channel with itself: convolutions with one channel to a group, where lanes are channels.
//!
//! Nothing is shared between channels, so there is no product of matrices; what is read from memory decides.

use crate::Float;
use crate::isa::{self, Work};

/// Channels that are summed side by side, in registers.
const LANES: usize = 32;

/// A row of pixels, each a sum over taps: `y[x][c] = Σ_t from[place_t + x·step][c] · w[t][c] + bias[c]`.
#[derive(Debug)]
pub(super) struct Row<'a, T> {
    /// The band, from the first window of the row on.
    pub(super) from: &'a [T],
    /// Where each tap of the first window is.
    pub(super) taps: &'a [usize],
    /// Elements from window to window.
    pub(super) step: usize,
    /// A row of weights for each tap.
    pub(super) weights: &'a [T],
    pub(super) bias: Option<&'a [T]>,
    /// The result, from the row's first pixel on, and elements from pixel to pixel.
    pub(super) out: &'a mut [T],
    pub(super) pixel: usize,
    pub(super) pixels: usize,
    pub(super) channels: usize,
}

impl<T: Float> Row<'_, T> {
    pub(super) fn compute(self) {
        isa::dispatch(self);
    }
}

impl<T: Float> Work for Row<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for x in 0..self.pixels {
            let mut first = 0;
            // A constant number of lanes, so that the sums stay in registers.
            while first + LANES <= self.channels {
                let sums = self.sums(x, first);
                for lane in 0..LANES {
                    self.out[x * self.pixel + first + lane] = sums[lane];
                }
                first += LANES;
            }
            for channel in first..self.channels {
                self.out[x * self.pixel + channel] = self.sum(x, channel);
            }
        }
    }
}

impl<T: Float> Row<'_, T> {
    /// Of the channels from `first` on, of a pixel.
    #[inline(always)]
    fn sums(&self, x: usize, first: usize) -> [T; LANES] {
        let mut sums = [T::ZERO; LANES];
        for (tap, place) in self.taps.iter().enumerate() {
            let values = lanes(self.from, place + x * self.step + first);
            let weights = lanes(self.weights, tap * self.channels + first);
            for lane in 0..LANES {
                sums[lane] += values[lane] * weights[lane];
            }
        }
        if let Some(bias) = self.bias {
            let bias = lanes(bias, first);
            for lane in 0..LANES {
                sums[lane] += bias[lane];
            }
        }
        sums
    }

    #[inline(always)]
    fn sum(&self, x: usize, channel: usize) -> T {
        let mut sum = T::ZERO;
        for (tap, place) in self.taps.iter().enumerate() {
            let weight = self.weights[tap * self.channels + channel];
            sum += self.from[place + x * self.step + channel] * weight;
        }
        self.bias.map_or(sum, |bias| sum + bias[channel])
    }
}

/// The elements from a place on.
#[inline(always)]
fn lanes<T>(slice: &[T], first: usize) -> &[T; LANES] {
    slice[first..first + LANES].try_into().expect("of this length")
}

/// What a row of windows adds to the gradient of the weights: `dw[t][c] += Σ_x from[place_t + x·step][c] · dy[x][c]`.
#[derive(Debug)]
pub(super) struct WeightRow<'a, T> {
    pub(super) from: &'a [T],
    pub(super) taps: &'a [usize],
    pub(super) step: usize,
    /// The row of `dy`, channels innermost.
    pub(super) dy: &'a [T],
    pub(super) channels: usize,
    /// A row for each tap.
    pub(super) sums: &'a mut [T],
}

impl<T: Float> WeightRow<'_, T> {
    pub(super) fn compute(self) {
        isa::dispatch(self);
    }
}

impl<T: Float> Work for WeightRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let WeightRow { from, taps, step, dy, channels, sums } = self;
        for (tap, place) in taps.iter().enumerate() {
            let sums = &mut sums[tap * channels..(tap + 1) * channels];
            let mut first = 0;
            while first + LANES <= channels {
                let mut row = [T::ZERO; LANES];
                for (x, dy) in dy.chunks_exact(channels).enumerate() {
                    let (values, dy) = (lanes(from, place + x * step + first), lanes(dy, first));
                    for lane in 0..LANES {
                        row[lane] += values[lane] * dy[lane];
                    }
                }
                for lane in 0..LANES {
                    sums[first + lane] += row[lane];
                }
                first += LANES;
            }
            for channel in first..channels {
                let mut row = T::ZERO;
                for (x, dy) in dy.chunks_exact(channels).enumerate() {
                    row += from[place + x * step + channel] * dy[channel];
                }
                sums[channel] += row;
            }
        }
    }
}
