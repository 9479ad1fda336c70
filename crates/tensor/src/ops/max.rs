//! The largest element along axes.
//!
//! ```text
//! y  = max x                                  over the given axes
//! dx = dy where x = y, else 0; k equal ones get dy / k each          keeps its input, and y
//! ```
//!
//! Ties share the gradient evenly, as in PyTorch's `amax`. A NaN makes the result and every gradient that it
//! took part in NaN.

use crate::catalogue::Samples;
use crate::dtype::with_float;
use crate::error::misuse;
use crate::op::{Keep, Op, Zeros};
use crate::shape::{Axes, keep};
use crate::tensor::Tensor;
use backflow_kernels::{Float, reduce};

pub(super) static OP: Op = Op::new("max")
    .formula("y = max x over axes")
    .gradient("dx = dy where x = y, shared among equals")
    .keep(Keep::InputsAndOutput)
    .zeros(Zeros::Selection)
    .sampled_by(samples);

/// Which end of the order is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Largest,
    Smallest,
}

impl Tensor {
    /// The largest element over `axes`; NaN if there is one. Equal ones share the gradient.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[1.0, 5.0], [5.0, 3.0]]);
    /// assert_eq!(x.max(1).to_vec::<f64>(), [5.0, 5.0]);
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice, there is nothing to choose from, or the elements are not
    /// floating point.
    #[must_use]
    #[track_caller]
    pub fn max(&self, axes: impl Into<Axes>) -> Self {
        self.extreme(&OP, axes.into(), End::Largest)
    }

    #[track_caller]
    pub(super) fn extreme(&self, op: &'static Op, axes: Axes, end: End) -> Self {
        let reduction = axes.resolve(op.name, &self.shape());
        if reduction.count == 0 {
            let rows = [("shape", self.shape().to_string())];
            misuse(op.name, "nothing to choose from", &rows, "an axis of size 0 is reduced");
        }
        let y = with_float!(op.name, self.dtype(), T => self.reduce::<T>(&reduction, match end {
            End::Largest => reduce::max,
            End::Smallest => reduce::min,
        }));
        let kept = reduction.kept;
        y.record(op, &[self], move |g| {
            g.give(0, |g| {
                let (x, chosen) = (g.x(0).untracked(), g.y().untracked().viewed(kept));
                let equal = with_float!(op.name, x.dtype(), T => {
                    Self::zip_to::<T, T, T>(&x, &chosen, x.shape(), |x, y| if x == y { T::ONE } else { T::ZERO })
                });
                let count = equal.sum(keep(axes.clone()));
                equal * (g.dy().reshape(kept) / count)
            });
        })
    }
}

/// Samples for both ends, over axes of all kinds.
pub(super) fn extremes(s: &mut Samples, torch: &str, run: fn(&Tensor, Axes) -> Tensor) {
    let all: [(&[usize], &str, Axes); 6] = [
        (&[], "a", Axes::from(..)),
        (&[7], &format!("torch.{torch}(a)"), Axes::from(..)),
        (&[2, 3, 4], &format!("torch.{torch}(a, 0)"), Axes::from(0)),
        (&[2, 3, 4], &format!("torch.{torch}(a, 1, keepdim=True)"), keep(1)),
        (&[2, 3, 4], &format!("torch.{torch}(a, (0, 2))"), Axes::from([0, -1])),
        (&[0, 3], &format!("torch.{torch}(a, 1)"), Axes::from(1)),
    ];
    for (shape, torch, axes) in all {
        let x = s.draw_apart(shape);
        s.case("", &[x], torch, move |x| run(&x[0], axes.clone()));
    }
    let x = s.draw_apart(&[3, 2, 4]).permute([1, 2, 0]);
    s.case("permuted", &[x], &format!("torch.{torch}(a, (0, 1))"), move |x| run(&x[0], Axes::from([0, 1])));
}

fn samples(s: &mut Samples) {
    extremes(s, "amax", |x, axes| x.max(axes));
}
