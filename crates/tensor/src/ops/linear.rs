//! The affine map of a layer: matrix product and bias in one pass over the result.
//!
//! ```text
//! y  = x wᵀ + b
//! dx = dy w,  dw = dyᵀ x,  db = Σ dy over rows          keeps its inputs
//! ```

use crate::catalogue::{OpInfo, Samples};
use crate::dtype::with_float;
use crate::error::misuse;
use crate::graph::Keep;
use crate::shape::Shape;
use crate::tensor::Tensor;
use backflow_kernels::matmul::{Matrix, Output, matmul};

pub(super) const INFO: OpInfo = OpInfo {
    name: "linear",
    formula: "y = x wᵀ + b",
    gradient: "dx = dy w, dw = dyᵀ x, db = Σ dy",
    keep: Keep::Inputs,
    orders: 2,
    samples,
};

impl Tensor {
    /// `x wᵀ + b`. Shapes: x `[…, inputs]`, weight `[outputs, inputs]`, bias `[outputs]`; the result is `[…, outputs]`.
    ///
    /// # Panics
    /// If the shapes do not fit each other, or the element types differ.
    #[must_use]
    #[track_caller]
    pub fn linear(&self, weight: &Self, bias: &Self) -> Self {
        let (shape, sizes) = (self.shape(), weight.shape());
        let row = |x: &Self| format!("{} {}", x.shape(), x.dtype());
        let rows = || [("x", row(self)), ("weight", row(weight)), ("bias", row(bias))];
        if self.dtype() != weight.dtype() || self.dtype() != bias.dtype() {
            misuse("linear", "element types differ", &rows(), "convert x with to_dtype; 1.0 makes f64, 1.0_f32 makes f32");
        }
        let fits = sizes.rank() == 2 && shape.last() == Some(&sizes[1]) && bias.shape() == [sizes[0]];
        if !fits {
            misuse("linear", "operands do not fit", &rows(), "x […, inputs], weight [outputs, inputs], bias [outputs]");
        }
        let (n, k) = (sizes[0], sizes[1]);
        let m = shape[..shape.rank() - 1].iter().product::<usize>();
        let y = with_float!("linear", self.dtype(), T => {
            let (x, bias) = (self.contiguous(), bias.contiguous());
            Self::build::<T>(Shape::joined(&shape[..shape.rank() - 1], &[n]), |out| {
                let a = Matrix { data: x.storage_slice::<T>(), offset: x.layout.offset, row_stride: k.max(1), col_stride: 1 };
                let w = &weight.layout;
                let b = Matrix { data: weight.storage_slice::<T>(), offset: w.offset, row_stride: w.strides[1], col_stride: w.strides[0] };
                matmul(m, n, k, a, b, out, Output::Bias(bias.as_slice().expect("made contiguous above")));
            })
        });
        y.record("linear", &[self, weight, bias], Keep::Inputs, move |g| {
            g.give(0, |g| g.dy().matmul(g.x(1)));
            g.give(1, |g| g.dy().reshape([m, n]).t().matmul(&g.x(0).reshape([m, k])));
            // Rows are summed away when the bias takes its gradient, as after any broadcast.
            g.give(2, |g| g.dy().clone());
        })
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
