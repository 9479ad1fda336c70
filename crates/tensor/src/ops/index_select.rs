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
use backflow_kernels::indexed;

pub(super) static OP: Op = Op::new("index_select")
    .formula("y[i, …] = x[index[i], …]")
    .gradient("dx = Σ dy[i, …] at row index[i]")
    .saves("the index")
    .zeros(Zeros::Cancellation)
    .why_zeros("the gradients of what was picked more than once cancel out")
    .sampled_by(samples);

impl Tensor {
    /// The rows at the places `index` along `axis`, which becomes the axes of `index`: one for a vector of places, none
    /// for a single one. A negative place counts from the end. PyTorch's `index_select`, and its `x[index]`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let vectors = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// assert_eq!(vectors.index_select(0, &Tensor::from([2_i64, 0])).to_vec::<f64>(), [5.0, 6.0, 1.0, 2.0]);
    /// let words = Tensor::from([[0_i64, 1, -1], [2, 2, 0]]);
    /// assert_eq!(vectors.index_select(0, &words).shape(), [2, 3, 2]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, `index` is not of `i64`, or a place is outside the axis.
    #[must_use]
    #[track_caller]
    pub fn index_select(&self, axis: isize, index: &Self) -> Self {
        let shape = self.shape();
        let axis_idx = shape.axis("index_select", axis);
        if index.rank() != 1 {
            if index.dtype() != DType::I64 {
                let rows = [("index", index.described())];
                misuse("index_select", "the index is not of i64", &rows, index_hint(index, ""));
            }
            let rows = self.index_select(axis, &Self::from_vec(index.to_vec::<i64>(), [index.elements()]));
            let (before, after) = (&shape[..axis_idx], &shape[axis_idx + 1..]);
            return rows.reshape([before, &index.shape(), after].concat());
        }
        let places = places("index_select", &shape, axis_idx, index);
        let (len, inner) = (shape[axis_idx], shape[axis_idx + 1..].iter().product::<usize>());
        let result = shape.with_size(axis_idx, places.len());
        let y = with_element!(self.dtype(), T => Self::build::<T>(result, |out| {
            let x = self.contiguous();
            let x = x.as_slice::<T>().expect("made contiguous above");
            indexed::pick(x, len, inner, &places, out);
        }));
        let index = index.untracked();
        y.record(&OP, &[self], move |g| {
            g.give(0, |g| match g.is_recorded() {
                true => Self::zeros(shape, g.dy().dtype()).index_add(axis, &index, g.dy()),
                false => g.dy().added_to_zeros(shape, axis_idx, &places),
            });
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
    places.into_iter().map(|place| from_start(place, shape[axis])).collect()
}

/// A place, of which negative ones count from the end of an axis of this size.
pub(super) fn from_start(place: i64, size: usize) -> usize {
    (if place < 0 { place + size as i64 } else { place }) as usize
}

/// What to do about an index of another type; if it is of the right one, what is `otherwise` to be done.
pub(super) fn index_hint<'a>(index: &Tensor, otherwise: &'a str) -> &'a str {
    match index.dtype() {
        DType::I64 => otherwise,
        DType::Bool => "a mask is no index: see masked_select, select_where and masked_fill",
        DType::F32 | DType::F64 => "convert it with to_dtype(DType::I64)",
    }
}

/// Panics unless all places are within the axis.
#[track_caller]
pub(super) fn require_within(op: &'static str, shape: &Shape, axis: usize, places: &[i64]) {
    let size = shape[axis] as i64;
    let sign = |place: i64| place.wrapping_add(size) | (size - 1).wrapping_sub(place);
    if indexed::are_within(places, shape[axis]) {
        return;
    }
    let nth = places.iter().position(|&place| sign(place) < 0).expect("one of them");
    let rows = [
        ("shape", shape.to_string()),
        ("axis", axis.to_string()),
        ("element", nth.to_string()),
        ("place", places[nth].to_string()),
    ];
    let hint = match size {
        0 => "the axis has no places".to_owned(),
        _ => format!("places run from 0 to {}, or from -{size} to -1 counted from the end", size - 1),
    };
    misuse(op, "a place is outside the axis", &rows, &hint);
}

impl Tensor {
    /// The elements where `mask` is true, in row-major order, as a vector; the mask broadcasts. How many there are is
    /// told from the mask's values. PyTorch's `masked_select`, and its `x[mask]`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[1.0, -2.0], [3.0, -4.0]]);
    /// assert_eq!(x.masked_select(&x.gt(0.0)).to_vec::<f64>(), [1.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If the mask is not boolean, or does not broadcast to this tensor's shape.
    #[must_use]
    #[track_caller]
    pub fn masked_select(&self, mask: &Self) -> Self {
        let rows = || [("x", self.described()), ("mask", mask.described())];
        if mask.dtype() != DType::Bool {
            misuse("masked_select", "the mask is not boolean", &rows(), "compare first, e.g. x.gt(0.0)");
        }
        if mask.shape().broadcast(&self.shape()) != Some(self.shape()) {
            let hint = "aligned from the right, sizes of the mask must be those of x or 1";
            misuse("masked_select", "the mask does not broadcast to x", &rows(), hint);
        }
        let chosen = mask.detach().broadcast_to(self.shape()).to_vec::<bool>();
        let places: Vec<i64> =
            chosen.iter().zip(0..).filter(|(chosen, _)| **chosen).map(|(_, place)| place).collect();
        let count = places.len();
        self.reshape([self.elements()]).index_select(0, &Self::from_vec(places, [count]))
    }

    /// Windows of `size` places along `axis`, one each `step`: the axis counts windows, and what is in one lies along a
    /// new axis at the end. PyTorch's `unfold`, as a copy.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([1.0, 2.0, 3.0, 4.0, 5.0]);
    /// assert_eq!(x.unfold(0, 3, 2).to_vec::<f64>(), [1.0, 2.0, 3.0, 3.0, 4.0, 5.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, it is shorter than a window, or `step` is 0.
    #[must_use]
    #[track_caller]
    pub fn unfold(&self, axis: isize, size: usize, step: usize) -> Self {
        let axis_idx = self.shape().axis("unfold", axis);
        let len = self.shape()[axis_idx];
        if step == 0 {
            misuse("unfold", "the step is 0", &[("shape", self.shape().to_string())], "");
        }
        if size > len {
            let rows =
                [("shape", self.shape().to_string()), ("axis", axis.to_string()), ("size", size.to_string())];
            misuse("unfold", "the window is longer than the axis", &rows, "");
        }
        let count = (len - size) / step + 1;
        let places = (0..count)
            .flat_map(|window| (0..size).map(move |place| (window * step + place) as i64))
            .collect();
        let windows = self.index_select(axis_idx as isize, &Self::from_vec(places, [count, size]));
        let axes = (0..windows.rank()).filter(|&axis| axis != axis_idx + 1).chain([axis_idx + 1]);
        windows.permute(axes.collect::<Vec<_>>())
    }
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
    let x = s.draw(&[2, 3, 4], -3.0..3.0);
    s.case("a matrix of places", &[x], "a[:, torch.tensor([[0, -1], [-3, 2]])]", |x| {
        x[0].index_select(1, &Tensor::from([[0_i64, -1], [-3, 2]]))
    });
    let x = s.draw(&[2, 3], -3.0..3.0);
    s.case("one place", &[x], "a[:, -1]", |x| x[0].index_select(1, &Tensor::from(-1_i64)));
    let x = s.draw(&[3, 4], -3.0..3.0);
    s.case("by a mask", &[x], "a.masked_select(torch.tensor([True, False, False, True]))", |x| {
        x[0].masked_select(&Tensor::from([true, false, false, true]))
    });
    for (axis, size, step) in [(0, 2, 1), (1, 3, 2), (-1, 4, 1), (1, 0, 1)] {
        let x = s.draw(&[3, 4], -3.0..3.0);
        s.case("windows", &[x], &format!("a.unfold({axis}, {size}, {step})"), move |x| {
            x[0].unfold(axis, size, step)
        });
    }
}
