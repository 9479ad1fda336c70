//! Where no gradient comes, none goes on: dy = 0 gives dx = 0, also where the slope is infinite and 0 · ∞ would
//! be NaN.
//!
//! So what a mask does not take cannot spoil a gradient: in `select_where(x > 0, √x, 0)` the root of 0 gets the
//! gradient 0. Loops over numbers look at each ([`Elementwise::STEEP`](super::elementwise::Elementwise)); what
//! is made of tensor operations comes here.

use crate::dtype::with_float;
use crate::tensor::Tensor;
use backflow_kernels::reduce;

/// dx = `gradient(dy, operands)`, of the shape of dy or broadcast from it, and 0 where dy is 0 and that is NaN.
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
