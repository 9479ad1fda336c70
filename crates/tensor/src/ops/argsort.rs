//! The order of elements along an axis.
//!
//! ```text
//! y = places of x from the smallest to the largest, or the other way round          integers; no gradient
//! ```
//!
//! Equal elements stay in their order, in both directions. A NaN counts as the largest of all, as in PyTorch.

use crate::catalogue::Samples;
use crate::dtype::{Element, with_element};
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
        let shape = self.shape();
        let axis_idx = shape.axis("argsort", axis);
        let (len, inner) = (shape[axis_idx].max(1), shape[axis_idx + 1..].iter().product::<usize>().max(1));
        let places = with_element!(self.dtype(), T => {
            let x = self.contiguous();
            let x = x.as_slice::<T>().expect("made contiguous above");
            let block = len * inner;
            Self::build::<i64>(shape, |out| {
                parallel::for_each(Rows::new(out, block), (GRAIN / 32 / block).max(1), |rows| {
                    let x = x[rows.first * block..].chunks_exact(block);
                    for (x, out) in x.zip(rows.data.chunks_exact_mut(block)) {
                        (0..inner).for_each(|column| put_in_order(&x[column..], inner, order, &mut out[column..]));
                    }
                });
            })
        });
        places.unrecorded(&OP, &[self])
    }
}

/// The first of so many columns that lie side by side.
fn put_in_order<T: Element + PartialOrd>(x: &[T], columns: usize, order: Order, out: &mut [i64]) {
    let mut column: Vec<(T, i64)> = x.iter().copied().step_by(columns).zip(0..).collect();
    let by_value = |a: T, b: T| a.partial_cmp(&b).unwrap_or_else(|| is_nan(a).cmp(&is_nan(b)));
    match order {
        Order::Ascending => column.sort_by(|a, b| by_value(a.0, b.0)),
        Order::Descending => column.sort_by(|a, b| by_value(b.0, a.0)),
    }
    out.iter_mut().step_by(columns).zip(column).for_each(|(out, (_, place))| *out = place);
}

/// What does not equal itself.
#[expect(clippy::eq_op, reason = "that is what NaN is")]
fn is_nan<T: Element>(x: T) -> bool {
    x != x
}

fn samples(s: &mut Samples) {
    let shapes: [(&[usize], isize); 6] =
        [(&[7], 0), (&[3, 4], 0), (&[3, 4], 1), (&[2, 3, 4], 1), (&[2, 0], 1), (&[17, 33], 0)];
    for (shape, axis) in shapes {
        let x = s.draw_apart(shape);
        let torch = format!("torch.argsort(a, dim={axis}, stable=True)");
        s.case("", &[x], &torch, move |x| x[0].argsort(axis, Order::Ascending));
    }
    let x = s.draw_apart(&[4, 3]).t();
    s.case("transposed", &[x], "torch.argsort(a, 0)", |x| x[0].argsort(0, Order::Ascending));
    let x = Tensor::from([[1.0, f64::NAN, 1.0, -0.0, 0.0], [f64::NAN, 3.0, f64::NAN, 3.0, f64::INFINITY]]);
    s.case("ties and NaN", std::slice::from_ref(&x), "torch.argsort(a, dim=1, stable=True)", |x| {
        x[0].argsort(1, Order::Ascending)
    });
    let torch = "torch.sort(a, dim=1, descending=True, stable=True)[1]";
    s.case("descending", &[x], torch, |x| x[0].argsort(1, Order::Descending));
}
