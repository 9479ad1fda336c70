//! Elements picked along an axis by a tensor of places.
//!
//! ```text
//! y[i, j] = x[index[i, j], j]        for axis 0, and so on for the others
//! dx      = dy added back at those places          keeps the index
//! ```

use super::index_select::{index_hint, within};
use crate::catalogue::Samples;
use crate::dtype::{DType, with_element};
use crate::error::misuse;
use crate::layout::Layout;
use crate::op::{Op, Zeros};
use crate::shape::MAX_RANK;
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("gather")
    .formula("y[i, j] = x[index[i, j], j]")
    .gradient("dx = Σ dy at the same places")
    .saves("the index")
    .zeros(Zeros::Cancellation)
    .why_zeros("the gradients of what was picked more than once cancel out")
    .sampled_by(samples);

impl Tensor {
    /// Elements picked along `axis`: the result has the shape of `index`, which has as many axes as this
    /// tensor and is nowhere longer except along `axis`. PyTorch's `gather`. Whole rows are picked by
    /// [`index_select`](Self::index_select).
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// let picked = x.gather(1, &Tensor::from([[2_i64], [0]]));
    /// assert_eq!(picked.to_vec::<f64>(), [3.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, `index` has not such a shape or is not `i64`, or a place is outside the
    /// axis.
    #[must_use]
    #[track_caller]
    pub fn gather(&self, axis: isize, index: &Self) -> Self {
        let axis_idx = self.shape().axis("gather", axis);
        let positions = positions("gather", &self.layout, axis_idx, index);
        let y = with_element!(self.dtype(), T => Self::build::<T>(index.shape(), |out| {
            let x = self.storage_slice::<T>();
            for (out, &position) in out.iter_mut().zip(&positions) {
                *out = x[position];
            }
        }));
        let (shape, index) = (self.shape(), index.untracked());
        y.record(&OP, &[self], move |g| {
            g.give(0, |g| Self::zeros(shape, g.dy().dtype()).scatter_add(axis, &index, g.dy()));
        })
    }
}

/// Where in the storage of a tensor the places of `index` are, in row-major order.
#[track_caller]
pub(super) fn positions(op: &'static str, of: &Layout, axis: usize, index: &Tensor) -> Vec<usize> {
    let (shape, places) = (of.shape, index.shape());
    let fits = |other: usize| other == axis || places[other] <= shape[other];
    if index.dtype() != DType::I64 || places.rank() != shape.rank() || !(0..shape.rank()).all(fits) {
        let rows = [("shape", shape.to_string()), ("index", index.described()), ("axis", axis.to_string())];
        let hint = index_hint(index, "as many axes, and nowhere longer except along the axis");
        misuse(op, "the index does not fit", &rows, hint);
    }
    let mut at = [0; MAX_RANK];
    let step = |place: usize| {
        let across: usize =
            (0..shape.rank()).filter(|&other| other != axis).map(|other| at[other] * of.strides[other]).sum();
        for other in (0..shape.rank()).rev() {
            at[other] += 1;
            if at[other] < places[other] {
                break;
            }
            at[other] = 0;
        }
        of.offset + across + place * of.strides[axis]
    };
    within(op, &shape, axis, index).into_iter().map(step).collect()
}

fn samples(s: &mut Samples) {
    let x = s.draw(&[3, 4], -3.0..3.0);
    s.case("along rows", &[x], "a.gather(1, torch.tensor([[0, 3], [3, 3], [1, 2]]))", |x| {
        x[0].gather(1, &Tensor::from([[0_i64, 3], [3, 3], [1, 2]]))
    });
    let x = s.draw(&[4, 3], -3.0..3.0).t();
    s.case("transposed", &[x], "a.gather(0, torch.tensor([[2, 0], [2, 1]]))", |x| {
        x[0].gather(0, &Tensor::from([[2_i64, 0], [2, 1]]))
    });
    let x = s.draw(&[5], -3.0..3.0);
    s.case("vector", &[x], "a.gather(0, torch.tensor([4, 4, 4, 0, 1, 2, 3]))", |x| {
        x[0].gather(-1, &Tensor::from([4_i64, 4, 4, 0, 1, 2, 3]))
    });
    let x = s.draw(&[2, 3, 2], -3.0..3.0);
    s.case("rank 3", &[x], "a.gather(1, torch.tensor([[[0, 2]], [[1, 1]]]))", |x| {
        x[0].gather(1, &Tensor::from([[[0_i64, 2]], [[1, 1]]]))
    });
    let x = s.draw(&[2, 3], -3.0..3.0);
    s.case("nothing", &[x], "a[:, :0]", |x| x[0].gather(1, &Tensor::zeros([2, 0], DType::I64)));
}
