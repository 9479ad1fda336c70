//! Whole rows picked along an axis, as an embedding does.
//!
//! ```text
//! y[i, …] = x[index[i], …]           for axis 0, and so on for the others
//! dx      = zeros with dy added at those rows          keeps the index
//! ```

use crate::catalogue::Samples;
use crate::dtype::{DType, with_element};
use crate::error::misuse;
use crate::op::{Op, Zeros};
use crate::shape::Shape;
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("index_select")
    .formula("y[i, …] = x[index[i], …]")
    .gradient("dx = Σ dy[i, …] at row index[i]")
    .saves("the index")
    .zeros(Zeros::Cancellation)
    .why_zeros("the gradients of what was picked more than once cancel out")
    .sampled_by(samples);

impl Tensor {
    /// The rows at the places `index` (a vector of `i64`) along `axis`. PyTorch's `index_select`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let vectors = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// assert_eq!(vectors.index_select(0, &Tensor::from([2_i64, 0])).to_vec::<f64>(), [5.0, 6.0, 1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, `index` is not a vector of `i64`, or a place is outside the axis.
    #[must_use]
    #[track_caller]
    pub fn index_select(&self, axis: isize, index: &Self) -> Self {
        let shape = self.shape();
        let axis_idx = shape.axis("index_select", axis);
        let places = places("index_select", &shape, axis_idx, index);
        let (len, inner) = (shape[axis_idx], shape[axis_idx + 1..].iter().product::<usize>());
        let result = shape.with_size(axis_idx, places.len());
        let y = with_element!(self.dtype(), T => Self::build::<T>(result, |out| {
            let x = self.contiguous();
            let x = x.as_slice::<T>().expect("made contiguous above");
            if !out.is_empty() {
                for (nth, row) in out.chunks_exact_mut(inner).enumerate() {
                    let (outer, place) = (nth / places.len(), places[nth % places.len()]);
                    row.copy_from_slice(&x[(outer * len + place) * inner..][..inner]);
                }
            }
        }));
        let index = index.untracked();
        y.record(&OP, &[self], move |g| {
            g.give(0, |g| Self::zeros(shape, g.dy().dtype()).index_add(axis, &index, g.dy()));
        })
    }
}

/// The elements of `index`, each within the axis.
#[track_caller]
pub(super) fn places(op: &'static str, shape: &Shape, axis: usize, index: &Tensor) -> Vec<usize> {
    if index.dtype() != DType::I64 || index.rank() != 1 {
        let rows = [("index", index.described())];
        misuse(
            op,
            "the index is not a vector of i64",
            &rows,
            index_hint(index, "flatten it with flatten(0)"),
        );
    }
    let places = index.to_vec::<i64>();
    require_within(op, shape, axis, &places);
    places.into_iter().map(|place| place as usize).collect()
}

/// What to do about an index of another type; if it is of the right one, what is `otherwise` to be done.
pub(super) fn index_hint<'a>(index: &Tensor, otherwise: &'a str) -> &'a str {
    match index.dtype() {
        DType::I64 => otherwise,
        DType::Bool => "a mask is no index: choose with select_where, or zero with masked_fill",
        DType::F32 | DType::F64 => "convert it with to_dtype(DType::I64)",
    }
}

/// Panics unless all places are within the axis.
#[track_caller]
pub(super) fn require_within(op: &'static str, shape: &Shape, axis: usize, places: &[i64]) {
    let last = shape[axis] as i64 - 1;
    let sign = |place: i64| place | last.wrapping_sub(place);
    // A loop that vectorises, for they seldom are not.
    if places.iter().fold(0, |signs, &place| signs | sign(place)) >= 0 {
        return;
    }
    let nth = places.iter().position(|&place| sign(place) < 0).expect("one of them");
    let rows = [
        ("shape", shape.to_string()),
        ("axis", axis.to_string()),
        ("element", nth.to_string()),
        ("place", places[nth].to_string()),
    ];
    let hint = format!("places run from 0 to {} − 1", shape[axis]);
    misuse(op, "a place is outside the axis", &rows, &hint);
}

fn samples(s: &mut Samples) {
    for (axis, places) in [(0, vec![1_i64, 1, 0]), (1, vec![2, 0, 2, 1]), (2, vec![3]), (1, vec![])] {
        let x = s.draw(&[2, 3, 4], -3.0..3.0);
        let torch = format!("a.index_select({axis}, torch.tensor({places:?}, dtype=torch.long))");
        let index = Tensor::from_vec(places.clone(), [places.len()]);
        s.case("", &[x], &torch, move |x| x[0].index_select(axis, &index));
    }
    let x = s.draw(&[4, 3], -3.0..3.0).t();
    s.case("transposed", &[x], "a.index_select(0, torch.tensor([2, 0]))", |x| {
        x[0].index_select(0, &Tensor::from([2_i64, 0]))
    });
}
