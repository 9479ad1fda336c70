//! One of two tensors, element by element, by a mask.
//!
//! ```text
//! y  = a where m, else b
//! da = dy where m, else 0;  db = 0 where m, else dy          keeps the mask
//! ```
//!
//! What is not chosen does not count: a NaN or an infinity there reaches neither the result nor a gradient.

use super::binary::{BROADCASTING, joint_shape};
use crate::catalogue::Samples;
use crate::dense::order_of_result;
use crate::dtype::{DType, Element, with_element};
use crate::error::misuse;
use crate::op::{Op, Zeros};
use crate::shape::Shape;
use crate::tensor::Tensor;
use backflow_kernels::strided;

pub(super) static OP: Op = Op::new("select_where")
    .formula("y = a where m, else b")
    .gradient("da = dy where m, db = dy where not m")
    .operands(&["a", "b"])
    .saves("the mask")
    .zeros(Zeros::Selection)
    .sampled_by(samples);

impl Tensor {
    /// The elements of `a` where `mask` is true, those of `b` elsewhere; all three broadcast. PyTorch's
    /// `where`.
    ///
    /// ```
    /// # use backflow_tensor::Tensor;
    /// let x = Tensor::from([-4.0, 9.0]);
    /// let y = Tensor::select_where(&x.gt(0.0), &x.sqrt(), &x);
    /// assert_eq!(y.to_vec::<f64>(), [-4.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If `mask` is not boolean, the element types of `a` and `b` differ, or the shapes do not broadcast.
    #[must_use]
    #[track_caller]
    pub fn select_where(mask: &Self, a: &Self, b: &Self) -> Self {
        if mask.dtype() != DType::Bool {
            let rows = [("mask", mask.dtype().to_string())];
            misuse("select_where", "the mask is not boolean", &rows, "compare first, e.g. x.gt(0.0)");
        }
        let both = joint_shape("select_where", a, b);
        let Some(shape) = mask.shape().broadcast(&both) else {
            let rows = [("mask", mask.shape().to_string()), ("a and b", both.to_string())];
            misuse("select_where", "shapes do not broadcast", &rows, BROADCASTING);
        };
        let mask = mask.untracked();
        let y = with_element!(a.dtype(), T => choose::<T>(&mask, a, b, shape));
        y.record(&OP, &[a, b], move |g| {
            let zero = Self::zeros(Shape::SCALAR, g.dy().dtype());
            g.give(0, |g| Self::select_where(&mask, g.dy(), &zero));
            g.give(1, |g| Self::select_where(&mask, &zero, g.dy()));
        })
    }

    /// This tensor with `value` where `mask` is true. PyTorch's `masked_fill`.
    ///
    /// # Panics
    /// As [`select_where`](Self::select_where).
    #[must_use]
    #[track_caller]
    pub fn masked_fill(&self, mask: &Self, value: f64) -> Self {
        Self::select_where(mask, &Self::full(Shape::SCALAR, value, self.dtype()), self)
    }
}

fn choose<T: Element>(mask: &Tensor, a: &Tensor, b: &Tensor, shape: Shape) -> Tensor {
    let order = order_of_result(&shape, &[mask, a, b]);
    let layouts = [mask, a, b].map(|x| x.layout.broadcast_to(&shape).permuted(order));
    Tensor::build_in_order::<T>(shape, order, |out| {
        let (a, b) = (a.laid_out_as::<T>(&layouts[1]), b.laid_out_as::<T>(&layouts[2]));
        strided::zip3(
            &layouts[0].shape,
            mask.laid_out_as(&layouts[0]),
            a,
            b,
            out,
            |mask: bool, a, b| {
                if mask { a } else { b }
            },
        );
    })
}

fn samples(s: &mut Samples) {
    // The mask is a function of the operands; numerical derivatives must not cross the border.
    s.avoid(&[0.5]);
    s.binary(-3.0..3.0, -3.0..3.0, "torch.where(a > 0.5, a, b)", |a, b| {
        Tensor::select_where(&a.gt(0.5), a, b)
    });
    let inputs = [s.draw(&[2, 3], -3.0..3.0), s.draw(&[3], -3.0..3.0)];
    s.case("mask broadcast", &inputs, "torch.where(torch.tensor([[True], [False]]), a, b)", |x| {
        Tensor::select_where(&Tensor::from([[true], [false]]), &x[0], &x[1])
    });
    s.unary(-3.0..3.0, "a.masked_fill(a < 0.5, 2.0)", |a| a.masked_fill(&a.lt(0.5), 2.0));
}
