//! Weights as tiles read them: for each term of a sum, the weights of some channels side by side.

use super::Images;
use crate::Float;

/// Which weights take part, and which way round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filters<'a, T> {
    pub(super) w: Images<'a, T>,
    /// The tap that the first one stands for.
    pub(super) first: [usize; 2],
    /// From tap to tap, in the weights; backwards where sums are turned round.
    pub(super) step: [isize; 2],
    /// Whether terms are output channels, and columns input channels.
    pub(super) from_outputs: bool,
}

impl<T: Float> Filters<'_, T> {
    /// A weight by row and column of the window, term and column.
    fn at(&self, [row, column]: [usize; 2], channel: usize, output: usize) -> T {
        let Images { data, offset, strides } = self.w;
        let (o, c) = if self.from_outputs { (channel, output) } else { (output, channel) };
        let tap =
            |axis: usize, at: usize| self.first[axis].wrapping_add_signed(self.step[axis] * at as isize);
        data[offset
            + o * strides[0]
            + c * strides[1]
            + tap(0, row) * strides[2]
            + tap(1, column) * strides[3]]
    }

    /// Panels of `width` columns: for each term, tap by tap, the weights of the columns, and zeros behind the
    /// last.
    pub(super) fn pack(
        &self,
        taps: [usize; 2],
        channels: usize,
        columns: usize,
        width: usize,
        out: &mut [T],
    ) {
        let terms = taps[0] * taps[1] * channels;
        for (panel, out) in out.chunks_exact_mut(terms * width).enumerate() {
            let first = panel * width;
            let inside = width.min(columns - first);
            for (term, out) in out.chunks_exact_mut(width).enumerate() {
                let (tap, channel) = (term / channels, term % channels);
                let at = [tap / taps[1], tap % taps[1]];
                for (column, out) in out.iter_mut().enumerate() {
                    *out = if column < inside { self.at(at, channel, first + column) } else { T::ZERO };
                }
            }
        }
    }

    /// The weight of each tap and channel, where every channel is by itself.
    pub(super) fn per_channel(&self, taps: [usize; 2], channels: usize) -> Vec<T> {
        let one = Self { from_outputs: false, ..*self };
        let of = |at: usize| one.at([at / channels / taps[1], at / channels % taps[1]], 0, at % channels);
        (0..taps[0] * taps[1] * channels).map(of).collect()
    }
}
