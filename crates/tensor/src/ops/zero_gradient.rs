//! Where no gradient comes, none goes on: dy = 0 gives dx = 0, also where the slope is infinite and 0 · ∞
//! would be NaN.
//!
//! So what a mask does not take cannot spoil a gradient: in `select_where(x > 0, √x, 0)` the root of 0 gets
//! the gradient 0. Loops over numbers look at each ([`Elementwise::STEEP`](super::elementwise::Elementwise));
//! what is made of tensor operations comes here.

use crate::dtype::with_float;
use crate::mode::is_recording;
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
    guarded::<Times>(dy, x)
}

/// dy / x, and 0 where dy is 0.
#[track_caller]
pub(super) fn over(dy: &Tensor, x: &Tensor) -> Tensor {
    guarded::<Over>(dy, x)
}

/// dy times something of an operand that broadcasts to it.
trait Product {
    fn of_numbers<T: Float>(dy: T, x: T) -> T;
    fn of_tensors(dy: &Tensor, x: &Tensor) -> Tensor;
    /// Whether all factors are finite, so that there is nothing to guard against.
    fn is_harmless(x: &Tensor) -> bool;
}

/// Of a pass that is not recorded and two tensors of one shape it is one loop.
#[track_caller]
fn guarded<P: Product>(dy: &Tensor, x: &Tensor) -> Tensor {
    if !is_recording() {
        let shape = dy.layout.shape;
        let of_one_shape = with_float!("gradient", dy.dtype(), T => {
            Tensor::zip_alike::<T, T, T>(dy, x, product::<P, T>).or_else(|| {
                (x.layout.shape == shape).then(|| Tensor::zip_strided(dy, x, shape, product::<P, T>))
            })
        });
        if let Some(dx) = of_one_shape {
            return dx;
        }
        if P::is_harmless(x) {
            return P::of_tensors(dy, x);
        }
    }
    zero_where_zero(dy, &[x], &|dy, x| P::of_tensors(dy, x[0]))
}

/// dx of one element.
#[inline(always)]
fn product<P: Product, T: Float>(dy: T, x: T) -> T {
    let dx = P::of_numbers(dy, x);
    // Not dy, which would be a store that is left out, and the loop one of branches.
    if dy == T::ZERO { T::ZERO } else { dx }
}

struct Times;

impl Product for Times {
    fn of_numbers<T: Float>(dy: T, x: T) -> T {
        dy * x
    }

    fn of_tensors(dy: &Tensor, x: &Tensor) -> Tensor {
        dy * x
    }

    fn is_harmless(x: &Tensor) -> bool {
        x.is_all_finite()
    }
}

struct Over;

impl Product for Over {
    fn of_numbers<T: Float>(dy: T, x: T) -> T {
        dy / x
    }

    fn of_tensors(dy: &Tensor, x: &Tensor) -> Tensor {
        dy / x
    }

    fn is_harmless(x: &Tensor) -> bool {
        (1.0 / x).is_all_finite()
    }
}

/// Whether any element is NaN.
fn has_nan(x: &Tensor) -> bool {
    with_float!("gradient", x.dtype(), T => {
        let x = x.dense();
        match x.dense_slice::<T>().expect("made dense above") {
            few if few.len() < 64 => few.iter().any(|x| x.is_nan()),
            many => {
                let mut largest = [0.0];
                reduce::max::<T>(many, 1, many.len(), 1, &mut largest);
                largest[0].is_nan()
            }
        }
    })
}
