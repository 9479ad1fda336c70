//! Elements picked along an axis by a tensor of places.
//!
//! ```text
//! y[i, j] = x[index[i, j], j]        for axis 0, and so on for the others
//! dx      = dy added back at those places          keeps the index
//! ```

use super::argsort::Order;
use super::index_select::{from_start, index_hint, require_within};
use crate::catalogue::Samples;
use crate::dtype::{DType, with_element};
use crate::error::misuse;
use crate::layout::Layout;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::parallel::{self, GRAIN, Rows};
use std::borrow::Cow;

pub(super) static OP: Op = Op::new("gather")
    .formula("y[i, j] = x[index[i, j], j]")
    .gradient("dx = Σ dy at the same places")
    .saves("the index")
    .zeros(Zeros::Cancellation)
    .why_zeros("the gradients of what was picked more than once cancel out")
    .sampled_by(samples);

impl Tensor {
    /// Elements picked along `axis`: the result has the shape of `index`, which has as many axes as this
    /// tensor and is nowhere longer except along `axis`; negative places count from the end. PyTorch's
    /// `gather`. Whole rows are picked by [`index_select`](Self::index_select).
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
        let places = Places::new("gather", &self.layout, axis_idx, index);
        let y = with_element!(self.dtype(), T => Self::build::<T>(index.shape(), |out| {
            let (x, n) = (self.storage_slice::<T>(), places.row_length());
            parallel::for_each(Rows::new(out, n), (GRAIN / 4 / n).max(1), |rows| {
                for (idx, row) in rows.data.chunks_exact_mut(n).enumerate() {
                    if let Some((first, places)) = places.along(rows.first + idx) {
                        let x = &x[first..];
                        row.iter_mut().zip(places).for_each(|(out, place)| *out = x[place]);
                        continue;
                    }
                    for (out, position) in row.iter_mut().zip(places.row(rows.first + idx)) {
                        *out = x[position];
                    }
                }
            });
        }));
        let (shape, index) = (self.shape(), index.untracked());
        y.record(&OP, &[self], move |g| {
            g.give(0, |g| Self::zeros(shape, g.dy().dtype()).scatter_add(axis, &index, g.dy()));
        })
    }
}

/// Elements in the order of their values: picked by [`argsort`](Tensor::argsort).
impl Tensor {
    /// The elements along `axis` in their order, and the places they come from. The gradient goes back to where each
    /// comes from.
    ///
    /// ```
    /// # use backflow_tensor::{Order, Tensor};
    /// let (sorted, places) = Tensor::from([2.0, 3.0, 1.0]).sort(0, Order::Descending);
    /// assert_eq!((sorted.to_vec::<f64>(), places.to_vec::<i64>()), (vec![3.0, 2.0, 1.0], vec![1, 0, 2]));
    /// ```
    ///
    /// # Panics
    /// If there is no such axis.
    #[must_use]
    #[track_caller]
    pub fn sort(&self, axis: isize, order: Order) -> (Self, Self) {
        let places = self.argsort(axis, order);
        (self.gather(axis, &places), places)
    }

    /// The `k` largest elements along `axis`, the largest first, and the places they come from.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let (largest, places) = Tensor::from([2.0, 3.0, 1.0]).topk(2, 0);
    /// assert_eq!((largest.to_vec::<f64>(), places.to_vec::<i64>()), (vec![3.0, 2.0], vec![1, 0]));
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, or there are fewer than `k` elements along it.
    #[must_use]
    #[track_caller]
    pub fn topk(&self, k: usize, axis: isize) -> (Self, Self) {
        let size = self.shape()[self.shape().axis("topk", axis)];
        if k > size {
            let rows =
                [("shape", self.shape().to_string()), ("axis", axis.to_string()), ("k", k.to_string())];
            misuse("topk", "k is larger than the axis", &rows, &format!("at most {size} along this axis"));
        }
        let places = self.argsort(axis, Order::Descending).slice(axis, 0..k);
        (self.gather(axis, &places), places)
    }
}

/// Elements of a tensor that belong together, and the rows of an index that are about them.
pub(super) struct Block {
    pub(super) rows: usize,
    pub(super) elements: usize,
}

/// Where in the storage of a tensor the places of an index along an axis are.
pub(super) struct Places<'a> {
    of: &'a Layout,
    axis: usize,
    index: Cow<'a, Tensor>,
}

impl<'a> Places<'a> {
    /// Panics unless the index fits the tensor, and its places the axis.
    #[track_caller]
    pub(super) fn new(op: &'static str, of: &'a Layout, axis: usize, index: &'a Tensor) -> Self {
        let (shape, places) = (of.shape, index.shape());
        let fits = |other: usize| other == axis || places[other] <= shape[other];
        if index.dtype() != DType::I64 || places.rank() != shape.rank() || !(0..shape.rank()).all(fits) {
            let rows =
                [("shape", shape.to_string()), ("index", index.described()), ("axis", axis.to_string())];
            let hint = index_hint(index, "as many axes, and nowhere longer except along the axis");
            misuse(op, "the index does not fit", &rows, hint);
        }
        let places = Self { of, axis, index: index.contiguous() };
        require_within(op, &shape, axis, places.all());
        places
    }

    fn all(&self) -> &[i64] {
        self.index.as_slice().expect("made contiguous above")
    }

    /// Elements in a row along the last axis of the index; 1 if it is empty.
    pub(super) fn row_length(&self) -> usize {
        self.index.layout.shape.last().map_or(1, |&n| n.max(1))
    }

    /// What elements of a contiguous tensor some rows of the index have for themselves.
    pub(super) fn block(&self) -> Block {
        let (all, index, axis) = (&self.of.shape, &self.index.layout.shape, self.axis);
        // Where the index leaves out places of an axis before, its blocks are not those of the tensor, one after the other.
        let axis = if axis < all.rank() && all[..axis] == index[..axis] { axis } else { 0 };
        let last = index.rank().saturating_sub(1).max(axis);
        Block {
            rows: index.get(axis..last).unwrap_or(&[]).iter().product(),
            elements: all.get(axis..).unwrap_or(&[]).iter().product(),
        }
    }

    /// The positions of its elements in the `row`-th row.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = usize> {
        let (first, step) = self.start(row);
        let (across, size) = (self.of.strides[self.axis], self.of.shape[self.axis]);
        let places = self.of_row(row).iter();
        places.enumerate().map(move |(at, &place)| first + at * step + from_start(place, size) * across)
    }

    /// The `row`-th row, if it picks from elements that lie side by side: where the first of these is, and the places
    /// counted from there. The usual case, which costs half of the others.
    pub(super) fn along(&self, row: usize) -> Option<(usize, impl Iterator<Item = usize>)> {
        let ((first, step), size) = (self.start(row), self.of.shape[self.axis]);
        let places = self.of_row(row).iter().map(move |&place| from_start(place, size));
        (step == 0 && self.of.strides[self.axis] == 1).then_some((first, places))
    }

    /// Where the `row`-th row begins, and how far its elements are apart, but for what the places say.
    fn start(&self, row: usize) -> (usize, usize) {
        let (last, shape) = (self.of.shape.rank() - 1, self.index.layout.shape);
        // Along the axis the place counts, not where it stands.
        let stride = |other: usize| if other == self.axis { 0 } else { self.of.strides[other] };
        let (mut rest, mut first) = (row, self.of.offset);
        for other in (0..last).rev() {
            first += rest % shape[other] * stride(other);
            rest /= shape[other];
        }
        (first, stride(last))
    }

    fn of_row(&self, row: usize) -> &[i64] {
        let n = self.row_length();
        &self.all()[row * n..][..n]
    }
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
    for (shape, axis) in [(&[3, 4][..], 0), (&[3, 4], 1), (&[2, 3, 4], 1), (&[2, 0], 1)] {
        let x = s.draw_apart(shape);
        let torch = format!("torch.sort(a, {axis}, descending=True)[0]");
        s.case("sorted", &[x], &torch, move |x| x[0].sort(axis, Order::Descending).0);
    }
    let x = s.draw_apart(&[3, 5]);
    s.case("the largest two", &[x], "torch.topk(a, 2, 1)[0]", |x| x[0].topk(2, 1).0);
}
