//! Part of an axis, without a copy.
//!
//! ```text
//! y  = x[start, start + step, …]     along one axis
//! dx = dy put back among zeros       keeps nothing
//! ```

use crate::catalogue::Samples;
use crate::error::misuse;
use crate::op::{Op, Zeros};
use crate::tensor::{Layout, Tensor};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

pub(super) static OP: Op = Op::new("slice")
    .formula("y = x[start..end; step]")
    .gradient("dx = dy among zeros")
    .zeros(Zeros::Never)
    .sampled_by(samples);

/// Places `start, start + step, …` along `axis`: `count` of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) axis: usize,
    pub(super) start: usize,
    pub(super) step: usize,
    pub(super) count: usize,
}

impl Places {
    pub(super) fn of(self, layout: &Layout) -> Layout {
        let Layout { shape, mut strides, mut offset, .. } = *layout;
        let shape = shape.with_size(self.axis, self.count);
        // A part without elements shows nothing: its offset must stay within the storage all the same.
        if shape.elements() > 0 {
            offset += self.start * strides[self.axis];
        }
        strides[self.axis] *= self.step;
        Layout::new(shape, strides, offset)
    }
}

impl Tensor {
    /// A view of the part of `axis` within `range`.
    ///
    /// ```
    /// # use backflow_tensor::{DType, Tensor};
    /// let x = Tensor::arange(6, DType::I64).reshape([2, 3]);
    /// assert_eq!(x.slice(1, 1..).to_vec::<i64>(), [1, 2, 4, 5]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, or the range does not lie within it.
    #[must_use]
    #[track_caller]
    pub fn slice(&self, axis: isize, range: impl RangeBounds<usize>) -> Self {
        let axis_idx = self.shape().axis("slice", axis);
        let size = self.shape()[axis_idx];
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => size,
        };
        if start > end || end > size {
            let rows = [
                ("shape", self.shape().to_string()),
                ("axis", axis.to_string()),
                ("range", format!("{start}..{end}")),
            ];
            misuse("slice", "the range does not lie within the axis", &rows, "");
        }
        self.places(Places { axis: axis_idx, start, step: 1, count: end - start })
    }

    /// A view of every `step`-th place along `axis`, from the first on.
    ///
    /// # Panics
    /// If there is no such axis, or `step` is 0.
    #[must_use]
    #[track_caller]
    pub fn step_by(&self, axis: isize, step: usize) -> Self {
        let axis_idx = self.shape().axis("step_by", axis);
        if step == 0 {
            misuse("step_by", "the step is 0", &[("shape", self.shape().to_string())], "");
        }
        let size = self.shape()[axis_idx];
        // A longer step shows no more than the first place; the stride must not overflow.
        let step = step.min(size.max(1));
        self.places(Places { axis: axis_idx, start: 0, step, count: size.div_ceil(step) })
    }

    /// What is at one place along `axis`, which is gone from the result; a view where the layout allows it.
    ///
    /// # Panics
    /// If there is no such axis or no such place.
    #[must_use]
    #[track_caller]
    pub fn select(&self, axis: isize, idx: usize) -> Self {
        let axis_idx = self.shape().axis("select", axis);
        let part = self.slice(axis, idx..=idx);
        let shape = part.shape().remove(axis_idx);
        part.reshape(shape)
    }

    #[track_caller]
    pub(super) fn places(&self, places: Places) -> Self {
        let size = self.shape()[places.axis];
        if places.count == size {
            return self.unchanged();
        }
        let y = Self { storage: self.storage.clone(), layout: Arc::new(places.of(&self.layout)), node: None };
        y.record(&OP, &[self], move |g| g.give(0, |g| g.dy().unslice(places, size)))
    }
}

fn samples(s: &mut Samples) {
    let x = s.draw(&[5, 4], -3.0..3.0);
    s.case("rows", &[x], "a[1:4]", |x| x[0].slice(0, 1..4));
    let x = s.draw(&[5, 4], -3.0..3.0);
    s.case("none", &[x], "a[2:2]", |x| x[0].slice(0, 2..2));
    let x = s.draw(&[3, 7], -3.0..3.0).t();
    s.case("every third, transposed", &[x], "a[::3]", |x| x[0].step_by(0, 3));
    let x = s.draw(&[2, 3, 4], -3.0..3.0);
    s.case("select", &[x], "a[:, 2]", |x| x[0].select(1, 2));
}
