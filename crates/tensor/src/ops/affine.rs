//! The affine map of a layer and the function of its result, in one op: what [`linear`](Tensor::linear) and its relatives with an
//! activation share.
//!
//! ```text
//! z  = x wᵀ + b,  y = f(z)
//! dz = dy · f'(z),  dx = dz w,  dw = dzᵀ x,  db = Σ dz over rows
//! ```
//!
//! The function is applied to each part of the product while it is in the cache, and z is never stored: only functions
//! whose slope can be told from y can be one op with the product. Bits are those of the two ops one after the other.

use super::elementwise::{Elementwise, pulled};
use crate::backward::Cotangent;
use crate::dtype::{FloatElement, with_float};
use crate::error::misuse;
use crate::graph::Keep;
use crate::tensor::Tensor;
use backflow_kernels::matmul::{Matrix, Output, matmul, matmul_map};
use backflow_kernels::{Float, reduce};

/// No function: y = z.
#[derive(Clone, Copy)]
pub(super) struct Identity;

impl Elementwise for Identity {
    const NAME: &'static str = "linear";
    const KEEP: Keep = Keep::Nothing;

    fn value<T: Float>(self, x: T) -> T {
        x
    }

    fn pull<T: Float>(self, dy: T, _: T) -> T {
        dy
    }

    fn pull_tensor(self, dy: &Tensor, _: &Tensor) -> Tensor {
        dy.clone()
    }
}

impl Tensor {
    /// f(x wᵀ + b), recorded as `name`. Shapes: x `[…, inputs]`, weight `[outputs, inputs]`, bias `[outputs]`; the result is
    /// `[…, outputs]`. The function keeps its output, or nothing if it is the identity.
    #[track_caller]
    pub(super) fn affine<F: Elementwise>(
        &self,
        name: &'static str,
        weight: &Self,
        bias: &Self,
        f: F,
    ) -> Self {
        require_fit(name, self, weight, bias);
        let is_identity = F::KEEP == Keep::Nothing;
        let rank = self.rank();
        let [n, k] = [weight.size(0), weight.size(1)];
        let m = self.layout.shape[..rank - 1].iter().product::<usize>();
        let y = with_float!(name, self.dtype(), T => {
            let (x, bias) = (self.contiguous(), bias.contiguous());
            Self::build::<T>(self.layout.shape.with_size(rank - 1, n), |out| {
                let (a, b) = (rows(&x, k), matrix(weight).transposed());
                let bias = bias.as_slice().expect("made contiguous above");
                if is_identity {
                    matmul(m, n, k, a, b, out, Output::Bias(bias));
                } else {
                    matmul_map(m, n, k, a, b, out, bias, |z| f.value(z));
                }
            })
        });
        let keep = if is_identity { Keep::Inputs } else { Keep::InputsAndOutput };
        y.record(name, &[self, weight, bias], keep, move |g| {
            let dz = if is_identity {
                g.dy().clone()
            } else {
                let y = g.y();
                pulled(f, g, Some(y))
            };
            give(g, &dz, [m, n, k]);
        })
    }
}

/// Gives the operands their gradients.
fn give(g: &mut Cotangent<'_>, dz: &Tensor, [m, n, k]: [usize; 3]) {
    if g.is_recorded() {
        g.give(0, |g| dz.matmul(g.x(1)));
        g.give(1, |g| dz.reshape([m, n]).t().matmul(&g.x(0).reshape([m, k])));
        // Rows are summed away when the bias takes its gradient, as after any broadcast.
        return g.give(2, |_| dz.clone());
    }
    with_float!("linear", dz.dtype(), T => {
        let dz = dz.contiguous();
        let slice = dz.as_slice::<T>().expect("made contiguous above");
        let dz = rows::<T>(&dz, n);
        g.give(0, |g| {
            Tensor::build_like::<T>(g.x(0), |dx| matmul(m, k, n, dz, matrix(g.x(1)), dx, Output::Overwrite))
        });
        g.give(1, |g| {
            let x = g.x(0).contiguous();
            Tensor::build_like::<T>(g.x(1), |dw| matmul(n, k, m, dz.transposed(), rows(&x, k), dw, Output::Overwrite))
        });
        g.give(2, |g| Tensor::build_like::<T>(g.x(2), |db| reduce::sum(slice, 1, m, n, db)));
    });
}

/// A contiguous tensor as rows of `n`.
fn rows<T: FloatElement>(x: &Tensor, n: usize) -> Matrix<'_, T> {
    Matrix { data: x.storage_slice(), offset: x.layout.offset, row_stride: n.max(1), col_stride: 1 }
}

/// A matrix as it lies.
fn matrix<T: FloatElement>(x: &Tensor) -> Matrix<'_, T> {
    let [row_stride, col_stride, ..] = x.layout.strides;
    Matrix { data: x.storage_slice(), offset: x.layout.offset, row_stride, col_stride }
}

#[track_caller]
fn require_fit(name: &'static str, x: &Tensor, weight: &Tensor, bias: &Tensor) {
    let (shape, sizes) = (&x.layout.shape, &weight.layout.shape);
    let fits = sizes.rank() == 2 && shape.last() == Some(&sizes[1]) && *bias.layout.shape == sizes[..1];
    let is_alike = x.dtype() == weight.dtype() && x.dtype() == bias.dtype();
    if fits && is_alike {
        return;
    }
    let row = |x: &Tensor| format!("{} {}", x.shape(), x.dtype());
    let rows = [("x", row(x)), ("weight", row(weight)), ("bias", row(bias))];
    if is_alike {
        misuse(name, "operands do not fit", &rows, "x […, inputs], weight [outputs, inputs], bias [outputs]");
    }
    misuse(name, "element types differ", &rows, "convert x with to_dtype; 1.0 makes f64, 1.0_f32 makes f32");
}
