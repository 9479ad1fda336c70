//! [`AxisRange`]: part of an axis, written as Rust's ranges are, with ends that may count from the end.

use crate::scalar::Integer;
use std::fmt;
use std::ops::{Bound, Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

/// Places along an axis, one after the other: `2..5`, `1..`, `..=3`, `..`. Negative ends count from the end,
/// as in NumPy, so `-2..` are the last two and `1..-1` is all but the first and the last. Unlike NumPy's,
/// ends beyond the axis are refused.
///
/// ```
/// # use backflow_tensor::Tensor;
/// let x = Tensor::from([0_i64, 1, 2, 3, 4]);
/// assert_eq!(x.slice(0, 1..-1).to_vec::<i64>(), [1, 2, 3]);
/// assert_eq!(x.slice(0, -2..).to_vec::<i64>(), [3, 4]);
/// assert_eq!(x.slice(0, ..=-3).to_vec::<i64>(), [0, 1, 2]);
/// ```
///
/// Clippy, which knows ranges of numbers alone, takes a written `1..-1` for an empty one
/// (`reversed_empty_ranges`): allow it there, or cut twice, `1..` and `..-1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisRange {
    start: Option<isize>,
    end: Bound<isize>,
}

impl AxisRange {
    /// The places of this range in an axis of `size`; `None` if they do not lie within it.
    pub(crate) fn within(self, size: usize) -> Option<Range<usize>> {
        let size = size as isize;
        let from_start = |end: isize| if end < 0 { end + size } else { end };
        let start = from_start(self.start.unwrap_or(0));
        let end = match self.end {
            Bound::Included(last) => from_start(last).saturating_add(1),
            Bound::Excluded(end) => from_start(end),
            Bound::Unbounded => size,
        };
        (0 <= start && start <= end && end <= size).then_some(start as usize..end as usize)
    }
}

/// As it was written.
impl fmt::Display for AxisRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(start) = self.start {
            write!(f, "{start}")?;
        }
        match self.end {
            Bound::Included(last) => write!(f, "..={last}"),
            Bound::Excluded(end) => write!(f, "..{end}"),
            Bound::Unbounded => f.write_str(".."),
        }
    }
}

macro_rules! from_ranges {
    ($($Range:ident, |$range:ident| $start:expr, $end:expr;)*) => {$(
        impl<I: Integer> From<$Range<I>> for AxisRange {
            fn from($range: $Range<I>) -> Self {
                Self { start: $start, end: $end }
            }
        }
    )*};
}
from_ranges! {
    Range, |range| Some(range.start.to_isize()), Bound::Excluded(range.end.to_isize());
    RangeFrom, |range| Some(range.start.to_isize()), Bound::Unbounded;
    RangeTo, |range| None, Bound::Excluded(range.end.to_isize());
    RangeInclusive, |range| Some(range.start().to_isize()), Bound::Included(range.end().to_isize());
    RangeToInclusive, |range| None, Bound::Included(range.end.to_isize());
}

impl From<RangeFull> for AxisRange {
    fn from(_: RangeFull) -> Self {
        Self { start: None, end: Bound::Unbounded }
    }
}
