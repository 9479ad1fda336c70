//! `+ − × ÷` and unary minus on tensors and numbers, by reference or by value, and `+=` with its kin.
//!
//! On the right a number may be of any type ([`Scalar`]). On the left there is one type for each kind of
//! literal, `f64` and `i32`: with a second one, the compiler could not tell the type of `2.0 * &x` in
//! `(2.0 * &x).sum(..)`. Numbers of other types change sides, or are converted first.

use crate::scalar::Scalar;
use crate::tensor::Tensor;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

macro_rules! operators {
    ($($Trait:ident $method:ident $Assign:ident $assign:ident, $tensors:path, $right:path, $left:path;)*) => {$(
        operators!(@pair $Trait $method, &Tensor, &Tensor, |a, b| $tensors(a, b));
        operators!(@pair $Trait $method, Tensor, &Tensor, |a, b| $tensors(&a, b));
        operators!(@pair $Trait $method, &Tensor, Tensor, |a, b| $tensors(a, &b));
        operators!(@pair $Trait $method, Tensor, Tensor, |a, b| $tensors(&a, &b));
        operators!(@pair $Trait $method, &Tensor, S, |a, b| $right(a, b.to_f64()), S: Scalar);
        operators!(@pair $Trait $method, Tensor, S, |a, b| $right(&a, b.to_f64()), S: Scalar);
        operators!(@pair $Trait $method, f64, &Tensor, |a, b| $left(b, a));
        operators!(@pair $Trait $method, f64, Tensor, |a, b| $left(&b, a));
        operators!(@pair $Trait $method, i32, &Tensor, |a, b| $left(b, f64::from(a)));
        operators!(@pair $Trait $method, i32, Tensor, |a, b| $left(&b, f64::from(a)));

        impl<R> $Assign<R> for Tensor
        where
            for<'a> &'a Self: $Trait<R, Output = Self>,
        {
            #[track_caller]
            fn $assign(&mut self, right: R) {
                *self = $Trait::$method(&*self, right);
            }
        }
    )*};
    (@pair $Trait:ident $method:ident, $Left:ty, $Right:ty, |$a:ident, $b:ident| $body:expr $(, $S:ident: $Bound:ident)?) => {
        impl$(<$S: $Bound>)? $Trait<$Right> for $Left {
            type Output = Tensor;

            #[track_caller]
            fn $method(self, $b: $Right) -> Tensor {
                let $a = self;
                $body
            }
        }
    };
}

operators! {
    Add add AddAssign add_assign, Tensor::add_tensor, Tensor::add_scalar, Tensor::add_scalar;
    Sub sub SubAssign sub_assign, Tensor::sub_tensor, Tensor::sub_scalar, Tensor::scalar_sub;
    Mul mul MulAssign mul_assign, Tensor::mul_tensor, Tensor::mul_scalar, Tensor::mul_scalar;
    Div div DivAssign div_assign, Tensor::div_tensor, Tensor::div_scalar, Tensor::scalar_div;
}

impl Neg for &Tensor {
    type Output = Tensor;

    #[track_caller]
    fn neg(self) -> Tensor {
        self.negate()
    }
}

impl Neg for Tensor {
    type Output = Self;

    #[track_caller]
    fn neg(self) -> Self {
        self.negate()
    }
}
