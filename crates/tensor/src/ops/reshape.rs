//! The same elements under another shape; a copy only where the layout forces one.
//!
//! ```text
//! y  = x, renumbered in row-major order
//! dx = dy, renumbered back           keeps nothing
//! ```

use crate::catalogue::Samples;
use crate::error::misuse;
use crate::op::{Op, Zeros};
use crate::shape::Shape;
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("reshape")
    .formula("y = x, in another shape")
    .gradient("dx = dy, in x's shape")
    .zeros(Zeros::Never)
    .sampled_by(samples);

impl Tensor {
    /// The same elements, in row-major order, under `shape`.
    ///
    /// # Panics
    /// If `shape` has another number of elements.
    #[must_use]
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Self {
        let (from, to) = (self.shape(), shape.into());
        if from == to {
            return self.unchanged();
        }
        if from.elements() != to.elements() {
            let row = |shape: Shape| format!("{shape}, {} elements", shape.elements());
            misuse("reshape", "numbers of elements differ", &[("from", row(from)), ("to", row(to))], "");
        }
        let same = if self.layout.is_contiguous() { self.untracked() } else { self.contiguous_copy() };
        same.viewed(to).record(&OP, &[self], move |g| {
            g.give(0, |g| g.dy().reshape(from));
        })
    }

    /// The axes from `start` on, joined into one: `[64, 28, 28]` flattened from 1 is `[64, 784]`.
    ///
    /// # Panics
    /// If there is no axis `start`.
    #[must_use]
    #[track_caller]
    pub fn flatten(&self, start: isize) -> Self {
        let shape = self.shape();
        let (kept, joined) = shape.split_at(shape.axis("flatten", start));
        self.reshape(Shape::joined(kept, &[joined.iter().product()]))
    }

    /// The same elements with an axis of size 1 put in at `axis`; a view of contiguous elements; negative
    /// axes count from the end of the result.
    ///
    /// # Panics
    /// If the result has no such axis.
    #[must_use]
    #[track_caller]
    pub fn unsqueeze(&self, axis: isize) -> Self {
        self.with_axis("unsqueeze", axis)
    }

    /// The same for `op`.
    #[track_caller]
    pub(super) fn with_axis(&self, op: &'static str, axis: isize) -> Self {
        let rank = self.rank() as isize;
        if !(-rank - 1..=rank).contains(&axis) {
            let rows = [("shape", self.shape().to_string()), ("axis", axis.to_string())];
            let hint = format!("places for one run from -{} to {rank}", rank + 1);
            misuse(op, "no such place for an axis", &rows, &hint);
        }
        let place = if axis < 0 { axis + rank + 1 } else { axis };
        self.reshape(self.shape().insert(place as usize, 1))
    }

    /// The same elements without `axis`, whose size must be 1; a view of contiguous elements.
    ///
    /// # Panics
    /// If there is no such axis or its size is not 1.
    #[must_use]
    #[track_caller]
    pub fn squeeze(&self, axis: isize) -> Self {
        let axis_idx = self.shape().axis("squeeze", axis);
        if self.shape()[axis_idx] != 1 {
            let rows = [("shape", self.shape().to_string()), ("axis", axis.to_string())];
            misuse("squeeze", "only an axis of size 1 can go", &rows, "");
        }
        self.reshape(self.shape().remove(axis_idx))
    }
}

fn samples(s: &mut Samples) {
    s.unary(-3.0..3.0, "a.reshape(-1)", |a| a.reshape([a.elements()]));
    let x = s.draw(&[2, 3, 4], -3.0..3.0);
    s.case("flatten", &[x], "a.flatten(1)", |x| x[0].flatten(1));
    let x = s.draw(&[2, 3], -3.0..3.0).t();
    s.case("unsqueeze transposed", &[x], "a.unsqueeze(-1)", |x| x[0].unsqueeze(-1));
    let x = s.draw(&[2, 1, 3], -3.0..3.0);
    s.case("squeeze", &[x], "a.squeeze(1)", |x| x[0].squeeze(-2));
}
