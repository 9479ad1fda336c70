//! The affine map of a layer: matrix product and bias in one pass over the result.
//!
//! ```text
//! y  = x wᵀ + b
//! dx = dy w,  dw = dyᵀ x,  db = Σ dy over rows          keeps its inputs
//! ```
//!
//! Several layers, with the functions between them, are one op as well: `mlp.rs`.

use super::matmul::product_operations;
use crate::catalogue::Samples;
use crate::dtype::{FloatElement, with_float};
use crate::error::misuse;
use crate::op::{Keep, Op, Work, Zeros};
use crate::pitfall::Pitfall;
use crate::shape::Shape;
use crate::tensor::Tensor;
use backflow_kernels::matmul::{Matrix, Output, matmul};
use backflow_kernels::reduce;

pub(super) static OP: Op = Op::new("linear")
    .formula("y = x wᵀ + b")
    .gradient("dx = dy w, dw = dyᵀ x, db = Σ dy")
    .operands(&["x", "weight", "bias"])
    .keep(Keep::Inputs)
    .work(Work::Products(product_operations))
    .zeros(Zeros::Product)
    .pitfalls(&[Pitfall::ZERO_TIMES_INFINITY])
    .sampled_by(samples);

impl Tensor {
    /// `x wᵀ + b`. Shapes: x `[…, inputs]`, weight `[outputs, inputs]`, bias `[outputs]`; the result is
    /// `[…, outputs]`.
    ///
    /// # Panics
    /// If the shapes do not fit each other, or the element types differ.
    #[must_use]
    #[track_caller]
    pub fn linear(&self, weight: &Self, bias: &Self) -> Self {
        let (shape, sizes) = (self.shape(), weight.shape());
        let rows = || [("x", self.described()), ("weight", weight.described()), ("bias", bias.described())];
        if self.dtype() != weight.dtype() || self.dtype() != bias.dtype() {
            let hint = "convert x with to_dtype; 1.0 makes f64, 1.0_f32 makes f32";
            misuse("linear", "element types differ", &rows(), hint);
        }
        let fits = sizes.rank() == 2 && shape.last() == Some(&sizes[1]) && bias.shape() == [sizes[0]];
        if !fits {
            let hint = "x […, inputs], weight [outputs, inputs], bias [outputs]";
            misuse("linear", "operands do not fit", &rows(), hint);
        }
        let [n, k] = [sizes[0], sizes[1]];
        let m = shape[..shape.rank() - 1].iter().product::<usize>();
        let y = with_float!("linear", self.dtype(), T => {
            let (x, bias) = (self.contiguous(), bias.contiguous());
            Self::build::<T>(Shape::joined(&shape[..shape.rank() - 1], &[n]), |out| {
                let bias = bias.as_slice().expect("made contiguous above");
                matmul(m, n, k, x.rows(k), weight.matrix().transposed(), out, Output::Bias(bias));
            })
        });
        y.record(&OP, &[self, weight, bias], move |g| {
            if g.is_recorded() {
                g.give(0, |g| g.dy().matmul(g.x(1)));
                g.give(1, |g| g.dy().reshape([m, n]).t().matmul(&g.x(0).reshape([m, k])));
                // Rows are summed away when the bias takes its gradient, as after any broadcast.
                return g.give(2, |g| g.dy().clone());
            }
            let dy = g.dy().contiguous().into_owned();
            with_float!("linear", dy.dtype(), T => {
                let rows = dy.rows::<T>(n);
                g.give(0, |g| {
                    Self::build_like::<T>(g.x(0), |dx| matmul(m, k, n, rows, g.x(1).matrix(), dx, Output::Overwrite))
                });
                g.give(1, |g| {
                    let x = g.x(0).contiguous();
                    Self::build_like::<T>(g.x(1), |dw| matmul(n, k, m, rows.transposed(), x.rows(k), dw, Output::Overwrite))
                });
                let slice = dy.as_slice::<T>().expect("made contiguous above");
                g.give(2, |g| Self::build_like::<T>(g.x(2), |db| reduce::sum(slice, 1, m, n, db)));
            });
        })
    }

    /// A contiguous tensor as rows of `n`, for the kernels.
    pub(crate) fn rows<T: FloatElement>(&self, n: usize) -> Matrix<'_, T> {
        Matrix { data: self.storage_slice(), offset: self.layout.offset, row_stride: n.max(1), col_stride: 1 }
    }

    /// A tensor of rank 2 as it lies, for the kernels.
    pub(crate) fn matrix<T: FloatElement>(&self) -> Matrix<'_, T> {
        let [row_stride, col_stride, ..] = self.layout.strides;
        Matrix { data: self.storage_slice(), offset: self.layout.offset, row_stride, col_stride }
    }
}

fn samples(s: &mut Samples) {
    let torch = "torch.nn.functional.linear(a, b, c)";
    let shapes: [(&[usize], [usize; 2]); 6] = [
        (&[3, 4], [5, 4]),
        (&[4], [2, 4]),
        (&[2, 3, 4], [5, 4]),
        (&[0, 4], [5, 4]),
        (&[3, 0], [2, 0]),
        (&[17, 33], [9, 33]),
    ];
    for (shape, [n, k]) in shapes {
        let inputs = [s.draw(shape, -2.0..2.0), s.draw(&[n, k], -2.0..2.0), s.draw(&[n], -2.0..2.0)];
        s.case("", &inputs, torch, |x| x[0].linear(&x[1], &x[2]));
    }
    let inputs = [
        s.draw(&[4, 3], -2.0..2.0).t(),
        s.draw(&[4, 5], -2.0..2.0).t(),
        s.draw(&[10], -2.0..2.0).step_by(0, 2),
    ];
    s.case("strided", &inputs, torch, |x| x[0].linear(&x[1], &x[2]));
}
