//! The order of elements along an axis.
//!
//! ```text
//! y = places of x from the smallest to the largest, or the other way round          integers; no gradient
//! ```
//!
//! Equal elements stay in their order, in both directions. A NaN counts as the largest of all, as in PyTorch.

use crate::catalogue::Samples;
use crate::dtype::{Element, with_element};
use crate::error::misuse;
use crate::op::Op;
use crate::tensor::Tensor;
use backflow_kernels::parallel::{self, GRAIN, Rows};

pub(super) static OP: Op =
    Op::new("argsort").formula("y = places of x in their order").without_gradient().sampled_by(samples);

/// In which direction elements are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the smallest to the largest.
    Ascending,
    /// From the largest to the smallest.
    Descending,
}

impl Tensor {
    /// The places of the elements along `axis` in their order.
    ///
    /// ```
    /// # use backflow_tensor::{Order, Tensor};
    /// let x = Tensor::from([2.0, 3.0, 1.0]);
    /// assert_eq!(x.argsort(0, Order::Ascending).to_vec::<i64>(), [2, 0, 1]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, or the elements are booleans.
    #[must_use]
    #[track_caller]
    pub fn argsort(&self, axis: isize, order: Order) -> Self {
        let axis_idx = self.shape().axis("argsort", axis);
        // Along the last axis, which rows of elements are.
        let turned = self.untracked().transpose(axis, -1);
        let n = self.shape()[axis_idx].max(1);
        let places = with_element!(self.dtype(), T => {
            let x = turned.contiguous();
            let x = x.as_slice::<T>().expect("made contiguous above");
            Self::build::<i64>(turned.shape(), |out| {
                parallel::for_each(Rows::new(out, n), (GRAIN / 32 / n).max(1), |rows| {
                    for (idx, out) in rows.data.chunks_exact_mut(n).enumerate() {
                        put_in_order(&x[(rows.first + idx) * n..][..n], order, out);
                    }
                });
            })
        });
        let shape = self.shape();
        let places = places.transpose(axis, -1);
        Self::from_vec(places.to_vec::<i64>(), shape).unrecorded(&OP, &[self])
    }

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
    /// As [`argsort`](Self::argsort).
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
    /// As [`argsort`](Self::argsort), and if there are fewer than `k`.
    #[must_use]
    #[track_caller]
    pub fn topk(&self, k: usize, axis: isize) -> (Self, Self) {
        let size = self.shape()[self.shape().axis("topk", axis)];
        if k > size {
            let rows =
                [("shape", self.shape().to_string()), ("axis", axis.to_string()), ("k", k.to_string())];
            misuse("topk", "there are fewer elements", &rows, "");
        }
        let places = self.argsort(axis, Order::Descending).slice(axis, 0..k);
        (self.gather(axis, &places), places)
    }
}

fn put_in_order<T: Element + PartialOrd>(x: &[T], order: Order, out: &mut [i64]) {
    out.iter_mut().zip(0..).for_each(|(out, place)| *out = place);
    let by_value = |&a: &i64, &b: &i64| {
        let (a, b) = (x[a as usize], x[b as usize]);
        a.partial_cmp(&b).unwrap_or_else(|| is_nan(a).cmp(&is_nan(b)))
    };
    match order {
        Order::Ascending => out.sort_by(by_value),
        Order::Descending => out.sort_by(|a, b| by_value(b, a)),
    }
}

/// What does not equal itself.
#[expect(clippy::eq_op, reason = "that is what NaN is")]
fn is_nan<T: Element>(x: T) -> bool {
    x != x
}

fn samples(s: &mut Samples) {
    for (shape, axis) in [(&[7][..], 0), (&[3, 4], 0), (&[3, 4], 1), (&[2, 3, 4], 1), (&[2, 0], 1)] {
        let inputs = [s.draw_apart(shape)];
        let torch = format!("torch.argsort(a, {axis}, stable=True)");
        s.case("", &inputs, &torch, move |x| x[0].argsort(axis, Order::Ascending));
        let torch = format!("torch.sort(a, {axis}, descending=True)[0]");
        s.case("sort", &inputs, &torch, move |x| x[0].sort(axis, Order::Descending).0);
    }
    let x = s.draw_apart(&[3, 5]);
    s.case("topk", &[x], "torch.topk(a, 2, 1)[0]", |x| x[0].topk(2, 1).0);
    let x = s.draw_apart(&[4, 3]).t();
    s.case("transposed", &[x], "torch.argsort(a, 0)", |x| x[0].argsort(0, Order::Ascending));
    let x = Tensor::from([[1.0, f64::NAN, 1.0, -0.0, 0.0], [f64::NAN, 3.0, f64::NAN, 3.0, f64::INFINITY]]);
    s.case("ties and NaN", &[x.clone()], "torch.argsort(a, 1, stable=True)", |x| {
        x[0].argsort(1, Order::Ascending)
    });
    let torch = "torch.sort(a, 1, descending=True, stable=True)[1]";
    s.case("descending", &[x], torch, |x| x[0].argsort(1, Order::Descending));
}
