//! Tensors joined along an axis.
//!
//! ```text
//! y   = x₁, x₂, … one after the other
//! dxₖ = its part of dy               keeps nothing
//! ```

use super::slice::Places;
use crate::catalogue::Samples;
use crate::dtype::{require_one_dtype, with_element};
use crate::error::misuse;
use crate::op::{Op, Zeros};
use crate::tensor::Tensor;
use backflow_kernels::strided;
use smallvec::SmallVec;

pub(super) static OP: Op = Op::new("cat")
    .formula("y = x₁, x₂, … along an axis")
    .gradient("dxₖ = its part of dy")
    .zeros(Zeros::Selection)
    .why_zeros("the gradient belongs to the other operands")
    .sampled_by(samples);

impl Tensor {
    /// Tensors joined along `axis`, which is the only one along which their sizes may differ. They come as
    /// tensors or references, in an array, a vector or any other iterator.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let (a, b) = (Tensor::from([1.0]), Tensor::from([2.0, 3.0]));
    /// assert_eq!(Tensor::cat([&a, &b], 0).to_vec::<f64>(), [1.0, 2.0, 3.0]);
    /// let squares = [a, b].into_iter().map(|x| x.square());
    /// assert_eq!(Tensor::cat(squares, 0).to_vec::<f64>(), [1.0, 4.0, 9.0]);
    /// ```
    ///
    /// # Panics
    /// If there are no tensors, no such axis, or shapes or element types do not fit.
    #[must_use]
    #[track_caller]
    pub fn cat(tensors: impl IntoIterator<Item: AsRef<Self>>, axis: isize) -> Self {
        let tensors: SmallVec<[_; 4]> = tensors.into_iter().collect();
        Self::joined("cat", &tensors.iter().map(AsRef::as_ref).collect::<SmallVec<[&Self; 4]>>(), axis)
    }

    #[track_caller]
    fn joined(op: &'static str, tensors: &[&Self], axis: isize) -> Self {
        let Some(first) = tensors.first() else { misuse(op, "nothing to join", &[], "") };
        let axis_idx = first.shape().axis(op, axis);
        let mut ends = Vec::with_capacity(tensors.len());
        let mut end = 0;
        for (nth, x) in tensors.iter().enumerate() {
            require_one_dtype(op, first, x);
            if x.rank() != first.rank()
                || x.shape().with_size(axis_idx, first.shape()[axis_idx]) != first.shape()
            {
                let number = format!("number {nth}");
                let rows = [
                    ("first", first.shape().to_string()),
                    (&*number, x.shape().to_string()),
                    ("axis", axis.to_string()),
                ];
                misuse(op, "shapes do not fit", &rows, "sizes may differ along the axis only");
            }
            end += x.shape()[axis_idx];
            ends.push(end);
        }
        let shape = first.shape().with_size(axis_idx, end);
        let behind: usize = shape[axis_idx + 1..].iter().product();
        let y = with_element!(first.dtype(), T => Self::build::<T>(shape, |out| {
            let parts: SmallVec<[_; 4]> = tensors.iter().map(|x| x.contiguous()).collect();
            let parts = parts.iter().map(|x| {
                (x.as_slice::<T>().expect("made contiguous above"), x.shape()[axis_idx] * behind)
            });
            strided::side_by_side(&parts.collect::<SmallVec<[_; 4]>>(), out);
        }));
        let part = |nth: usize| {
            let start = if nth == 0 { 0 } else { ends[nth - 1] };
            Places { axis: axis_idx, start, step: 1, count: ends[nth] - start }
        };
        let parts: Vec<Places> = (0..tensors.len()).map(part).collect();
        y.record(&OP, tensors, move |g| {
            for (nth, &part) in parts.iter().enumerate() {
                g.give(nth, |g| g.dy().places(part));
            }
        })
    }

    /// The elements along `axis` moved on by so many places, or back by a negative number; those that leave it at one end
    /// come in at the other. PyTorch's `roll`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([1.0, 2.0, 3.0]);
    /// assert_eq!(x.roll(1, 0).to_vec::<f64>(), [3.0, 1.0, 2.0]);
    /// assert_eq!(x.roll(-1, 0).to_vec::<f64>(), [2.0, 3.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis.
    #[must_use]
    #[track_caller]
    pub fn roll(&self, places: isize, axis: isize) -> Self {
        let size = self.shape()[self.shape().axis("roll", axis)];
        let first = (-places).rem_euclid(size.max(1) as isize);
        Self::cat([self.slice(axis, first..), self.slice(axis, ..first)], axis)
    }

    /// Tensors of one shape put side by side along a new `axis`; negative axes count from the end of the
    /// result. They come as in [`cat`](Self::cat); [`iter_axis`](Self::iter_axis) is the way back.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let rows = vec![Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0])];
    /// assert_eq!(Tensor::stack(&rows, 0).shape(), [2, 2]);
    /// assert_eq!(Tensor::stack(rows.iter().map(|x| x.sum(..)), 0).to_vec::<f64>(), [3.0, 7.0]);
    /// ```
    ///
    /// # Panics
    /// If there are no tensors, no such place for an axis, or shapes or element types differ.
    #[must_use]
    #[track_caller]
    pub fn stack(tensors: impl IntoIterator<Item: AsRef<Self>>, axis: isize) -> Self {
        let tensors: SmallVec<[_; 4]> = tensors.into_iter().collect();
        Self::stacked(&tensors.iter().map(AsRef::as_ref).collect::<SmallVec<[&Self; 4]>>(), axis)
    }

    #[track_caller]
    fn stacked(tensors: &[&Self], axis: isize) -> Self {
        let mut slices = Vec::with_capacity(tensors.len());
        for (nth, x) in tensors.iter().enumerate() {
            require_one_dtype("stack", tensors[0], x);
            if x.shape() != tensors[0].shape() {
                let number = format!("number {nth}");
                let rows = [("first", tensors[0].shape().to_string()), (&*number, x.shape().to_string())];
                misuse("stack", "shapes differ", &rows, "");
            }
            slices.push(x.with_axis("stack", axis));
        }
        Self::joined("stack", &slices.iter().collect::<Vec<_>>(), axis)
    }
}

impl AsRef<Self> for Tensor {
    fn as_ref(&self) -> &Self {
        self
    }
}

fn samples(s: &mut Samples) {
    for (axis, sizes) in
        [(0, [[2, 3], [1, 3], [4, 3]]), (1, [[3, 2], [3, 0], [3, 1]]), (-1, [[2, 2], [2, 3], [2, 1]])]
    {
        let inputs = sizes.map(|size| s.draw(&size, -3.0..3.0));
        s.case("", &inputs, &format!("torch.cat([a, b, c], {axis})"), move |x| {
            Tensor::cat(&[&x[0], &x[1], &x[2]], axis)
        });
    }
    let inputs = [s.draw(&[4, 3], -3.0..3.0).t(), s.draw(&[3, 8], -3.0..3.0).step_by(1, 2)];
    s.case("strided", &inputs, "torch.cat([a, b], 0)", |x| Tensor::cat(&[&x[0], &x[1]], 0));
    let x = s.draw(&[2, 2], -3.0..3.0);
    s.case("with itself", &[x], "torch.cat([a, a], 1)", |x| Tensor::cat(&[&x[0], &x[0]], 1));
    for axis in [0, 1, -1] {
        let inputs = [s.draw(&[2, 3], -3.0..3.0), s.draw(&[2, 3], -3.0..3.0)];
        s.case("stack", &inputs, &format!("torch.stack([a, b], {axis})"), move |x| {
            Tensor::stack(&[&x[0], &x[1]], axis)
        });
    }
    let inputs = [s.draw(&[], -3.0..3.0), s.draw(&[], -3.0..3.0)];
    s.case("stack of scalars", &inputs, "torch.stack([a, b], 0)", |x| Tensor::stack(&[&x[0], &x[1]], 0));
    for (places, axis) in [(1, 0), (-4, 1), (3, 1), (0, 0)] {
        let x = s.draw(&[2, 3], -3.0..3.0);
        s.case("roll", &[x], &format!("a.roll({places}, {axis})"), move |x| x[0].roll(places, axis));
    }
}
