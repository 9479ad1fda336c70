//! Linear recurrences along an axis, and running products as a case of them.
//!
//! ```text
//! y[k] = a[k]·y[k − 1] + b[k],  y[0] = b[0]
//! db[k] = dy[k] + a[k + 1]·db[k + 1],  da[k] = db[k]·y[k − 1]          keeps a and y
//! ```
//!
//! The gradient is a recurrence from the end, so any order comes of itself. It has nothing to divide by: that of a
//! product is right where a factor is 0. Sums run in `f64`, on one thread each.

use super::slice::Places;
use crate::catalogue::Samples;
use crate::dtype::{require_one_dtype, with_float};
use crate::error::misuse;
use crate::op::{Keep, Op, Zeros};
use crate::shape::{Axes, Reduction};
use crate::tensor::Tensor;
use backflow_kernels::scan;

pub(super) static OP: Op = Op::new("recurrence")
    .formula("y[k] = a[k]·y[k − 1] + b[k]")
    .gradient("db[k] = dy[k] + a[k + 1]·db[k + 1], da[k] = db[k]·y[k − 1]")
    .operands(&["a", "b"])
    .keep(Keep::InputsAndOutput)
    .zeros(Zeros::Product)
    .sampled_by(samples);

impl Tensor {
    /// `y[k] = a[k]·y[k − 1] + b[k]` along `axis`, with `y[0] = b[0]`; this tensor is a. The first a takes no part.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let (decay, x) = (Tensor::from([0.5, 0.5, 0.5]), Tensor::from([1.0, 0.0, 2.0]));
    /// assert_eq!(decay.recurrence(&x, 0).to_vec::<f64>(), [1.0, 0.5, 2.25]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, shapes or element types differ, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn recurrence(&self, b: &Self, axis: isize) -> Self {
        require_one_dtype("recurrence", self, b);
        if self.shape() != b.shape() {
            let rows = [("a", self.shape().to_string()), ("b", b.shape().to_string())];
            misuse("recurrence", "shapes differ", &rows, "broadcast_to makes them alike");
        }
        self.carried(b, self.shape().axis("recurrence", axis), false)
    }

    #[track_caller]
    fn carried(&self, b: &Self, axis: usize, from_end: bool) -> Self {
        let (len, inner) = (self.shape()[axis], self.shape()[axis + 1..].iter().product());
        let y = with_float!("recurrence", self.dtype(), T => {
            let operands = [self.contiguous(), b.contiguous()];
            let [a, b] = operands.each_ref().map(|x| x.as_slice::<T>().expect("made contiguous above"));
            Self::build_like::<T>(self, |y| scan::recurrence(a, b, len, inner, from_end, y))
        });
        y.record(&OP, &[self, b], move |g| {
            if len == 0 || !(g.wants(0) || g.wants(1)) {
                g.give(0, |g| g.dy().clone());
                return g.give(1, |g| g.dy().clone());
            }
            // A place on, against the direction, and none where it ends.
            let a = g.x(0).moved(axis, !from_end);
            let db = a.carried(g.dy(), axis, !from_end);
            g.give(0, |g| &db * g.y().moved(axis, from_end));
            g.give(1, |_| db.clone());
        })
    }

    /// Everything a place further along the axis, or back; zeros come in.
    #[track_caller]
    fn moved(&self, axis: usize, back: bool) -> Self {
        let size = self.shape()[axis];
        let places = |start| Places { axis, start, step: 1, count: size - 1 };
        let (from, to) = if back { (1, 0) } else { (0, 1) };
        self.places(places(from)).unslice(places(to), size)
    }

    /// The product of all elements along `axis` up to each of them.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([2.0, 0.0, 3.0]).requires_grad();
    /// let y = x.cumprod(0);
    /// assert_eq!(y.to_vec::<f64>(), [2.0, 0.0, 0.0]);
    /// assert_eq!(y.sum(..).backward().of(&x).to_vec::<f64>(), [1.0, 8.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn cumprod(&self, axis: isize) -> Self {
        let axis = self.shape().axis("cumprod", axis);
        if self.shape()[axis] == 0 {
            return self.unchanged();
        }
        let size = self.shape()[axis];
        let first = Places { axis, start: 0, step: 1, count: 1 };
        self.carried(&self.places(first).unslice(first, size), axis, false)
    }

    /// The product over `axes`; of no element it is 1. The gradient is right at zeros too.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([[2.0, 3.0], [0.0, 5.0]]).requires_grad();
    /// let y = x.prod(1);
    /// assert_eq!(y.to_vec::<f64>(), [6.0, 0.0]);
    /// assert_eq!(y.sum(..).backward().of(&x).to_vec::<f64>(), [3.0, 2.0, 5.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If an axis does not exist or is named twice, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn prod(&self, axes: impl Into<Axes>) -> Self {
        self.product(axes.into().resolve("prod", &self.layout.shape))
    }

    #[track_caller]
    fn product(&self, reduction: Reduction) -> Self {
        let Reduction { reduced, result, count, .. } = reduction;
        if count == 0 {
            // Sums of nothing, with a gradient like any other.
            let axes: Vec<usize> = (0..self.rank()).filter(|&axis| reduced[axis]).collect();
            return (self.sum(axes) + 1.0).reshape(result);
        }
        let (kept, last): (Vec<usize>, Vec<usize>) = (0..self.rank()).partition(|&axis| !reduced[axis]);
        let rows = self.permute([kept, last].concat()).reshape([result.elements(), count]);
        // Not a view, which would hold all products on the way.
        rows.cumprod(1).index_select(1, &Self::from(-1_i64)).reshape(result)
    }
}

fn samples(s: &mut Samples) {
    let shapes: [(&[usize], isize); 6] =
        [(&[5], 0), (&[3, 4], 0), (&[3, 4], 1), (&[2, 3, 2], 1), (&[2, 0], 1), (&[3, 17], -1)];
    for (shape, axis) in shapes {
        let inputs = [s.draw(shape, -1.0..1.0), s.draw(shape, -1.0..1.0)];
        s.case("", &inputs, "", move |x| x[0].recurrence(&x[1], axis));
        let x = s.draw(shape, -1.5..1.5);
        s.case("cumprod", &[x], &format!("a.cumprod({axis})"), move |x| x[0].cumprod(axis));
    }
    let inputs = [s.draw(&[4, 3], -1.0..1.0).t(), s.draw(&[3, 4], -1.0..1.0)];
    s.case("transposed", &inputs, "", |x| x[0].recurrence(&x[1], 1));
    let x = Tensor::from([[2.0, 0.0, -1.5], [0.0, 0.0, 0.5], [1.5, -2.0, 0.5]]);
    s.case("cumprod of zeros", std::slice::from_ref(&x), "a.cumprod(1)", |x| x[0].cumprod(1));
    s.case("prod of zeros", &[x], "a.prod(1)", |x| x[0].prod(1));
    let x = s.draw(&[2, 3, 2], -2.0..2.0);
    s.case("prod", &[x], "a.prod(2).prod(0)", |x| x[0].prod([0, -1]));
    let x = s.draw(&[2, 3], -2.0..2.0);
    s.case("prod of all", &[x], "a.prod()", |x| x[0].prod(..));
    let x = s.draw(&[3, 0], -2.0..2.0);
    s.case("prod of nothing", &[x], "a.prod(1)", |x| x[0].prod(1));
}
