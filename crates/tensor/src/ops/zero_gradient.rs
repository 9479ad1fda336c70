//! Where no gradient comes, none goes on: dy = 0 gives dx = 0, also where the slope is infinite and 0 · ∞
//! would be NaN.
//!
//! So what a mask does not take cannot spoil a gradient: in `select_where(x > 0, √x, 0)` the root of 0 gets
//! the gradient 0. Loops over numbers look at each ([`Elementwise::STEEP`](super::elementwise::Elementwise));
//! what is made of tensor operations comes here.

use super::elementwise::{Elementwise, pull};
use super::formula::Number;
use crate::dtype::with_float;
use crate::mode::is_recording;
use crate::op::Op;
use crate::tensor::Tensor;
use backflow_kernels::{Float, reduce};

/// dx = `gradient(dy, operands)`, of the shape of dy or broadcast from it, and 0 where dy is 0 and that is
/// NaN.
///
/// There, operands are replaced by 1 before the gradient is taken: a derivative of dx must not meet the ∞.
/// An infinite slope has no derivative by dy either, and gets 0.
#[track_caller]
pub(super) fn zero_where_zero(
    dy: &Tensor,
    operands: &[&Tensor],
    gradient: &dyn Fn(&Tensor, &[&Tensor]) -> Tensor,
) -> Tensor {
    let dx = gradient(dy, operands);
    if !has_nan(&dx) {
        return dx;
    }
    let lost = dx.ne(&dx).masked_fill(&dy.ne(0.0), 0.0);
    let replaced: Vec<Tensor> = operands.iter().map(|x| x.masked_fill(&lost, 1.0)).collect();
    gradient(dy, &replaced.iter().collect::<Vec<_>>()).masked_fill(&lost, 0.0)
}

/// dy · x, and 0 where dy is 0.
#[track_caller]
pub(super) fn times(dy: &Tensor, x: &Tensor) -> Tensor {
    guarded(Times, dy, x, |dy, x| dy * x, Tensor::is_all_finite)
}

/// dy / x, and 0 where dy is 0.
#[track_caller]
pub(super) fn over(dy: &Tensor, x: &Tensor) -> Tensor {
    guarded(Over, dy, x, |dy, x| dy / x, |x| (1.0 / x).is_all_finite())
}

/// `f` of dy and an operand that broadcasts to it. Of a pass that is not recorded and two dense tensors alike
/// it is one loop; where the operand is `harmless`, there is nothing to guard against.
#[track_caller]
fn guarded<E: Elementwise>(
    op: E,
    dy: &Tensor,
    x: &Tensor,
    f: fn(&Tensor, &Tensor) -> Tensor,
    harmless: fn(&Tensor) -> bool,
) -> Tensor {
    if !is_recording() {
        if dy.shape() == x.shape() {
            let dense = with_float!("gradient", dy.dtype(), T => {
                let slices = dy.as_slice::<T>().zip(x.as_slice::<T>());
                slices.map(|(dys, xs)| Tensor::build_like::<T>(dy, |dx| pull(op, dys, xs, dx)))
            });
            if let Some(dx) = dense {
                return dx;
            }
        }
        if harmless(x) {
            return f(dy, x);
        }
    }
    zero_where_zero(dy, &[x], &|dy, x| f(dy, x[0]))
}

#[derive(Clone, Copy)]
struct Times;

impl Elementwise for Times {
    const OP: &'static Op = &super::mul::OP;
    const STEEP: bool = true;

    fn value<T: Float>(self, x: T) -> T {
        x
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy * x
    }
}

#[derive(Clone, Copy)]
struct Over;

impl Elementwise for Over {
    const OP: &'static Op = &super::div::OP;
    const STEEP: bool = true;

    fn value<T: Float>(self, x: T) -> T {
        x
    }

    fn pull<N: Number>(self, dy: N, x: N) -> N {
        dy / x
    }
}

/// Whether any element is NaN.
fn has_nan(x: &Tensor) -> bool {
    with_float!("gradient", x.dtype(), T => {
        let x = x.contiguous();
        match x.as_slice::<T>().expect("made contiguous above") {
            few if few.len() < 64 => few.iter().any(|x| x.is_nan()),
            many => {
                let mut largest = [0.0];
                reduce::max::<T>(many, 1, many.len(), 1, &mut largest);
                largest[0].is_nan()
            }
        }
    })
}
