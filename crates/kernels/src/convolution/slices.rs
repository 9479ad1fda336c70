//! The inner axis in slices: where a sum is cut, and how each slice is walked.
//!
//! Cuts depend on the numbers of taps and channels alone, and never on how images lie.

use crate::matmul::{DEPTH, Segment};

/// Terms that are summed in registers before they reach the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// The first term, counted over taps and channels.
    pub(super) first: usize,
    /// How many there are.
    pub(super) len: usize,
    pub(super) segments: Vec<Segment>,
}

/// All slices of a window of `taps` over `channels`, whose rows of taps are `row` elements apart, and whose taps
/// in a row `column`.
pub(super) fn all([height, width]: [usize; 2], channels: usize, row: usize, column: usize) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    for tap in 0..height * width {
        let place = tap / width * row + tap % width * column;
        // A tap with more channels than a slice has room for is cut.
        for first in (0..channels).step_by(DEPTH) {
            let segment = Segment { offset: place + first, len: DEPTH.min(channels - first) };
            let room = slices.last().map_or(0, |slice| DEPTH - slice.len);
            // Whole taps only: the rest of a tap that was cut stands alone.
            match slices.last_mut().filter(|_| channels <= DEPTH && segment.len <= room) {
                Some(slice) => slice.push(segment),
                None => slices.push(Slice {
                    first: tap * channels + first,
                    len: segment.len,
                    segments: vec![segment],
                }),
            }
        }
    }
    slices
}

impl Slice {
    /// Adds a segment, which lengthens the last one if nothing lies between.
    fn push(&mut self, segment: Segment) {
        self.len += segment.len;
        match self.segments.last_mut() {
            Some(last) if last.offset + last.len == segment.offset => last.len += segment.len,
            _ => self.segments.push(segment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn cuts_do_not_depend_on_places_and_every_term_is_there_once() {
        for (taps, channels) in
            [([3, 3], 32), ([3, 3], 64), ([5, 5], 1), ([1, 1], 2000), ([2, 3], 700), ([7, 1], 512)]
        {
            let cuts = |row, column| {
                all(taps, channels, row, column)
                    .iter()
                    .map(|slice| (slice.first, slice.len))
                    .collect::<Vec<_>>()
            };
            let (near, far) = (cuts(taps[1] * channels, channels), cuts(10_000, 2 * channels));
            assert_eq!(near, far);
            let mut next = 0;
            for (first, len) in near {
                assert!(first == next && (1..=512).contains(&len), "{first} {len}");
                next += len;
            }
            assert_eq!(next, taps[0] * taps[1] * channels);
        }
        // Taps side by side are one segment: a row of the kernel.
        let slices = all([3, 3], 32, 28 * 32, 32);
        assert_eq!(slices.len(), 1);
        assert_eq!(slices[0].segments.iter().map(|segment| segment.len).collect::<Vec<_>>(), [96; 3]);
    }
}
