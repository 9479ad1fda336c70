//! Whole rows added at given places along an axis: what undoes `index_select`.
//!
//! ```text
//! y  = x, then y[index[i], …] += src[i, …]          for axis 0, and so on for the others
//! dx = dy,  dsrc[i, …] = dy[index[i], …]            keeps the index
//! ```
//!
//! Additions to one row happen in the order of the index: the same bits every time.

use super::index_select::places;
use crate::catalogue::Samples;
use crate::dtype::{require_one_dtype, with_float};
use crate::error::misuse;
use crate::op::{Op, Zeros};
use crate::shape::Shape;
use crate::tensor::Tensor;
use backflow_kernels::{Float, indexed, strided};

pub(super) static OP: Op = Op::new("index_add")
    .formula("y = x; y[index[i], …] += src[i, …]")
    .gradient("dx = dy, dsrc[i, …] = dy[index[i], …]")
    .operands(&["x", "src"])
    .saves("the index")
    .zeros(Zeros::Selection)
    .why_zeros("the gradient belongs to places where nothing was added")
    .sampled_by(samples);

impl Tensor {
    /// This tensor with the rows of `src` added at the places `index` (a vector of `i64`) along `axis`.
    /// PyTorch's `index_add`.
    ///
    /// # Panics
    /// If there is no such axis, the shapes or element types do not fit, or a place is outside the axis.
    #[must_use]
    #[track_caller]
    pub fn index_add(&self, axis: isize, index: &Self, src: &Self) -> Self {
        require_one_dtype("index_add", self, src);
        let shape = self.shape();
        let axis_idx = shape.axis("index_add", axis);
        let places = places("index_add", &shape, axis_idx, index);
        if src.shape() != shape.with_size(axis_idx, places.len()) {
            let rows = [
                ("shape", shape.to_string()),
                ("index", index.shape().to_string()),
                ("src", src.shape().to_string()),
            ];
            let hint = "src has this tensor's shape, with one row for each place";
            misuse("index_add", "shapes do not fit", &rows, hint);
        }
        let (len, inner) = (shape[axis_idx], shape[axis_idx + 1..].iter().product::<usize>());
        let y = with_float!("index_add", self.dtype(), T => Self::build::<T>(shape, |out| {
            strided::copy(&shape, self.strided::<T>(), out);
            let src = src.contiguous();
            let src = src.as_slice::<T>().expect("made contiguous above");
            indexed::add(src, len, inner, &places, out);
        }));
        let index = index.untracked();
        y.record(&OP, &[self, src], move |g| {
            g.give(0, |g| g.dy().clone());
            g.give(1, |g| g.dy().index_select(axis, &index));
        })
    }

    /// Zeros of a shape with the rows of this tensor added at places along an axis, as an untracked tensor: the gradient of
    /// rows that were picked, without zeros that are made first and copied.
    pub(super) fn added_to_zeros(&self, shape: Shape, axis: usize, places: &[usize]) -> Self {
        let (len, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        with_float!("index_add", self.dtype(), T => Self::build::<T>(shape, |out| {
            out.fill(T::ZERO);
            let src = self.contiguous();
            indexed::add(src.as_slice::<T>().expect("made contiguous above"), len, inner, places, out);
        }))
    }
}

fn samples(s: &mut Samples) {
    for (axis, places) in [(0, vec![1_i64, 1, 0]), (1, vec![2, 0, 2, 1]), (2, vec![3]), (1, vec![])] {
        let mut rows = [2, 3, 4];
        rows[axis] = places.len();
        let inputs = [s.draw(&[2, 3, 4], -3.0..3.0), s.draw(&rows, -3.0..3.0)];
        let torch = format!("a.index_add({axis}, torch.tensor({places:?}, dtype=torch.long), b)");
        let index = Tensor::from_vec(places.clone(), [places.len()]);
        s.case("", &inputs, &torch, move |x| x[0].index_add(axis as isize, &index, &x[1]));
    }
    let inputs = [s.draw(&[4, 3], -3.0..3.0).t(), s.draw(&[4, 2], -3.0..3.0).t()];
    s.case("transposed", &inputs, "a.index_add(0, torch.tensor([2, 2]), b)", |x| {
        x[0].index_add(0, &Tensor::from([2_i64, 2]), &x[1])
    });
}
