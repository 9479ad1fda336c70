//! Part of an axis, without a copy.
//!
//! ```text
//! y  = x[start, start + step, …]     along one axis
//! dx = dy put back among zeros       keeps nothing
//! ```

use crate::axis_range::AxisRange;
use crate::catalogue::Samples;
use crate::error::misuse;
use crate::layout::Layout;
use crate::op::{Op, Zeros};
use crate::scalar::Integer;
use crate::tensor::Tensor;
use std::ops::Range;
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
    /// A view of the part of `axis` within `range`. Negative ends count from the end: `x.slice(0, -2..)`, as
    /// [`AxisRange`] says.
    ///
    /// ```
    /// # use backflow_tensor::{DType, Tensor};
    /// let x = Tensor::arange(6, DType::I64).reshape([2, 3]);
    /// assert_eq!(x.slice(1, 1..).to_vec::<i64>(), [1, 2, 4, 5]);
    /// assert_eq!(x.slice(1, ..-1).to_vec::<i64>(), [0, 1, 3, 4]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, or the range does not lie within it.
    #[must_use]
    #[track_caller]
    pub fn slice(&self, axis: isize, range: impl Into<AxisRange>) -> Self {
        self.sliced(axis, range.into())
    }

    #[track_caller]
    fn sliced(&self, axis: isize, range: AxisRange) -> Self {
        let axis_idx = self.shape().axis("slice", axis);
        let size = self.shape()[axis_idx];
        let Some(Range { start, end }) = range.within(size) else {
            let rows = [
                ("shape", self.shape().to_string()),
                ("axis", axis.to_string()),
                ("range", range.to_string()),
            ];
            let hint = format!("ends run from 0 to {size}, or from -{size} to -1 counted from the end");
            misuse("slice", "the range does not lie within the axis", &rows, &hint);
        };
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

    /// Views of at most `count` parts of `axis`, one after the other: all as long as the first, but for the last. PyTorch's
    /// `chunk`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let parts = Tensor::from([1.0, 2.0, 3.0, 4.0, 5.0]).chunk(3, 0);
    /// assert_eq!(parts.iter().map(|part| part.elements()).collect::<Vec<_>>(), [2, 2, 1]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, or `count` is 0.
    #[must_use]
    #[track_caller]
    pub fn chunk(&self, count: usize, axis: isize) -> Vec<Self> {
        let size = self.shape()[self.shape().axis("chunk", axis)];
        if count == 0 {
            misuse("chunk", "the number of parts is 0", &[("shape", self.shape().to_string())], "");
        }
        let each = size.div_ceil(count).max(1);
        let mut parts = Vec::with_capacity(count);
        for start in (0..size.max(1)).step_by(each) {
            parts.push(self.slice(axis, start..size.min(start + each)));
        }
        parts
    }

    /// What is at one place along `axis`, which is gone from the result; a view where the layout allows it. A
    /// negative place counts from the end.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let steps = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// assert_eq!(steps.select(0, -1).to_vec::<f64>(), [5.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis or no such place.
    #[must_use]
    #[track_caller]
    pub fn select(&self, axis: isize, place: impl Integer) -> Self {
        self.selected(axis, place.to_isize())
    }

    #[track_caller]
    fn selected(&self, axis: isize, place: isize) -> Self {
        let axis_idx = self.shape().axis("select", axis);
        let size = self.shape()[axis_idx];
        let Some(Range { start, .. }) = AxisRange::from(place..=place).within(size) else {
            let rows = [
                ("shape", self.shape().to_string()),
                ("axis", axis.to_string()),
                ("place", place.to_string()),
            ];
            misuse("select", "no such place along the axis", &rows, "");
        };
        let part = self.places(Places { axis: axis_idx, start, step: 1, count: 1 });
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
    let x = s.draw(&[2, 5], -3.0..3.0);
    s.case("chunk", &[x], "a.chunk(3, 1)[1]", |x| x[0].chunk(3, 1)[1].clone());
}
