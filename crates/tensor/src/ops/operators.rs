//! `+ − × ÷` and unary minus on tensors and numbers, by reference or by value.

use crate::tensor::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};

macro_rules! operators {
    ($($Trait:ident $method:ident, $tensors:path, $right:path, $left:path;)*) => {$(
        operators!(@pair $Trait $method, &Tensor, &Tensor, |a, b| $tensors(a, b));
        operators!(@pair $Trait $method, Tensor, &Tensor, |a, b| $tensors(&a, b));
        operators!(@pair $Trait $method, &Tensor, Tensor, |a, b| $tensors(a, &b));
        operators!(@pair $Trait $method, Tensor, Tensor, |a, b| $tensors(&a, &b));
        operators!(@pair $Trait $method, &Tensor, f64, |a, b| $right(a, b));
        operators!(@pair $Trait $method, Tensor, f64, |a, b| $right(&a, b));
        operators!(@pair $Trait $method, f64, &Tensor, |a, b| $left(b, a));
        operators!(@pair $Trait $method, f64, Tensor, |a, b| $left(&b, a));
    )*};
    (@pair $Trait:ident $method:ident, $Left:ty, $Right:ty, |$a:ident, $b:ident| $body:expr) => {
        impl $Trait<$Right> for $Left {
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
    Add add, Tensor::add_tensor, Tensor::add_scalar, Tensor::add_scalar;
    Sub sub, Tensor::sub_tensor, Tensor::sub_scalar, Tensor::scalar_sub;
    Mul mul, Tensor::mul_tensor, Tensor::mul_scalar, Tensor::mul_scalar;
    Div div, Tensor::div_tensor, Tensor::div_scalar, Tensor::scalar_div;
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
