//! One formula for numbers and for tensors: the derivative of an elementwise op is written once.
//!
//! Of numbers it is the body of a loop over memory; of tensors it is made of ops, which can be differentiated
//! again. Both do the same operations in the same order. A constant stays a number until it meets a tensor,
//! so `1 − y²` is a subtraction from a number there, too, and no tensor of ones.

use super::powf::power;
use super::sign::sign_of;
use crate::tensor::Tensor;
use backflow_kernels::Float;
use std::cell::{Cell, OnceCell};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// What stands in a formula: `f32`, `f64`, or a [`Term`].
pub(crate) trait Number:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// Where something holds.
    type Mask;

    const ZERO: Self;
    const ONE: Self;
    fn from_f64(value: f64) -> Self;

    fn exp(self) -> Self;
    fn sigmoid(self) -> Self;
    fn sigmoid_and_rest(self) -> (Self, Self);
    fn logistic_density(self) -> Self;
    fn tanh_slope(self) -> Self;
    fn gaussian(self, k: f64) -> Self;
    fn normal_cdf(self) -> Self;
    fn normal_cdf_tanh_and_slope(self) -> (Self, Self);
    fn sign(self) -> Self;
    fn powf(self, exponent: f64) -> Self;
    /// ln x of what is positive and finite, and else 0.
    #[inline(always)]
    fn logarithm(self) -> Self {
        let inside = Self::select(self.lt(f64::INFINITY), self, Self::from_f64(1.0));
        Self::select(self.gt(0.0), inside, Self::from_f64(1.0)).ln()
    }
    fn ln(self) -> Self;
    fn powi(self, exponent: i32) -> Self;

    /// Whether it is greater than a bound.
    fn gt(self, bound: f64) -> Self::Mask;
    /// Whether it is less than a bound.
    fn lt(self, bound: f64) -> Self::Mask;
    /// Whether it is at most a bound.
    fn le(self, bound: f64) -> Self::Mask;
    /// `chosen` where the mask holds, else `other`.
    fn select(mask: Self::Mask, chosen: Self, other: Self) -> Self;
}

macro_rules! functions {
    (of numbers: $($name:ident)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            Float::$name(self)
        }
    )*};
    (of tensors: $($name:ident)*) => {$(
        fn $name(self) -> Self {
            self.map(Tensor::$name)
        }
    )*};
}

impl<T: Float> Number for T {
    type Mask = bool;

    const ZERO: Self = <T as Float>::ZERO;
    const ONE: Self = <T as Float>::ONE;

    fn from_f64(value: f64) -> Self {
        <T as Float>::from_f64(value)
    }

    functions!(of numbers: exp ln sigmoid normal_cdf);

    #[inline(always)]
    fn sigmoid_and_rest(self) -> (Self, Self) {
        Float::sigmoid_and_rest(self)
    }

    #[inline(always)]
    fn logistic_density(self) -> Self {
        self.sigmoid_and_slope().1
    }

    #[inline(always)]
    fn tanh_slope(self) -> Self {
        self.tanh_and_slope().1
    }

    #[inline(always)]
    fn normal_cdf_tanh_and_slope(self) -> (Self, Self) {
        Float::normal_cdf_tanh_and_slope(self)
    }

    #[inline(always)]
    fn gaussian(self, k: f64) -> Self {
        Float::gaussian(self, k)
    }

    fn sign(self) -> Self {
        sign_of(self)
    }

    #[inline(always)]
    fn powf(self, exponent: f64) -> Self {
        power(self, exponent)
    }

    #[inline(always)]
    fn powi(self, exponent: i32) -> Self {
        Float::powi(self, exponent)
    }

    fn gt(self, bound: f64) -> bool {
        self > <T as Float>::from_f64(bound)
    }

    fn lt(self, bound: f64) -> bool {
        self < <T as Float>::from_f64(bound)
    }

    fn le(self, bound: f64) -> bool {
        self <= <T as Float>::from_f64(bound)
    }

    fn select(mask: bool, chosen: Self, other: Self) -> Self {
        if mask { chosen } else { other }
    }
}

/// A tensor in a formula, or a constant. It can be copied, as numbers can: tensors on the way are held by
/// [`Results`].
#[derive(Clone, Copy)]
pub(crate) enum Term<'a> {
    Number(f64),
    Tensor(&'a Tensor, &'a Results),
}

/// What a formula has come to on its way. No derivative takes more steps than there is room for.
#[derive(Default)]
pub(crate) struct Results {
    tensors: [OnceCell<Tensor>; 24],
    made: Cell<usize>,
}

impl Results {
    fn hold(&self, tensor: Tensor) -> Term<'_> {
        let place = self.made.replace(self.made.get() + 1);
        Term::Tensor(self.tensors[place].get_or_init(|| tensor), self)
    }
}

/// The formula `f` of two tensors.
pub(crate) fn of_tensors(
    dy: &Tensor,
    kept: &Tensor,
    f: impl for<'a> Fn(Term<'a>, Term<'a>) -> Term<'a>,
) -> Tensor {
    let results = Results::default();
    match f(Term::Tensor(dy, &results), Term::Tensor(kept, &results)) {
        Term::Number(value) => dy.full_like(value),
        Term::Tensor(tensor, _) => tensor.clone(),
    }
}

impl Term<'_> {
    /// A function of a tensor; those of constants are not needed.
    fn map(self, f: impl FnOnce(&Tensor) -> Tensor) -> Self {
        match self {
            Self::Number(_) => unreachable!("a function of a constant is a constant of the formula"),
            Self::Tensor(x, results) => results.hold(f(x)),
        }
    }

    fn mask(self, f: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        match self {
            Self::Number(_) => unreachable!("constants are not compared"),
            Self::Tensor(x, _) => f(x),
        }
    }
}

macro_rules! operators {
    ($($Trait:ident $method:ident $symbol:tt;)*) => {$(
        impl $Trait for Term<'_> {
            type Output = Self;

            fn $method(self, other: Self) -> Self {
                match (self, other) {
                    (Self::Number(a), Self::Number(b)) => Self::Number(a $symbol b),
                    (Self::Tensor(a, results), Self::Number(b)) => results.hold(a $symbol b),
                    (Self::Number(a), Self::Tensor(b, results)) => results.hold(a $symbol b),
                    (Self::Tensor(a, results), Self::Tensor(b, _)) => results.hold(a $symbol b),
                }
            }
        }
    )*};
}
operators! {
    Add add +;
    Sub sub -;
    Mul mul *;
    Div div /;
}

impl Neg for Term<'_> {
    type Output = Self;

    fn neg(self) -> Self {
        match self {
            Self::Number(value) => Self::Number(-value),
            Self::Tensor(x, results) => results.hold(-x),
        }
    }
}

impl Number for Term<'_> {
    type Mask = Tensor;

    const ZERO: Self = Self::Number(0.0);
    const ONE: Self = Self::Number(1.0);

    fn from_f64(value: f64) -> Self {
        Self::Number(value)
    }

    functions!(of tensors: exp ln sigmoid logistic_density normal_cdf sign);

    fn sigmoid_and_rest(self) -> (Self, Self) {
        (self.map(Tensor::sigmoid), (-self).map(Tensor::sigmoid))
    }

    fn tanh_slope(self) -> Self {
        (self + self).logistic_density() * Self::from_f64(4.0)
    }

    fn normal_cdf_tanh_and_slope(self) -> (Self, Self) {
        (self.map(Tensor::normal_cdf_tanh), self.map(Tensor::normal_density_tanh))
    }

    fn gaussian(self, k: f64) -> Self {
        self.map(|x| x.gaussian(k))
    }

    fn powf(self, exponent: f64) -> Self {
        self.map(|x| x.powf(exponent))
    }

    fn powi(self, exponent: i32) -> Self {
        self.map(|x| x.powi(exponent))
    }

    fn gt(self, bound: f64) -> Tensor {
        self.mask(|x| x.gt(bound))
    }

    fn lt(self, bound: f64) -> Tensor {
        self.mask(|x| x.lt(bound))
    }

    fn le(self, bound: f64) -> Tensor {
        self.mask(|x| x.le(bound))
    }

    fn select(mask: Tensor, chosen: Self, other: Self) -> Self {
        let ((Self::Tensor(like, results), _) | (_, Self::Tensor(like, results))) = (chosen, other) else {
            unreachable!("constants are not chosen among");
        };
        let whole = |term| match term {
            Self::Number(value) => Tensor::full(crate::shape::Shape::SCALAR, value, like.dtype()),
            Self::Tensor(x, _) => x.clone(),
        };
        results.hold(Tensor::select_where(&mask, &whole(chosen), &whole(other)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Number, of_tensors};
    use crate::tensor::Tensor;

    /// Constants of a formula meet each other before they meet a tensor.
    fn constants<N: Number>(x: N) -> N {
        let n = N::from_f64;
        x * (-(n(5.0) + n(2.0)) * n(3.0) / n(4.0) - N::ONE)
    }

    #[test]
    fn arithmetic_of_constants_is_that_of_numbers() {
        let x = Tensor::from([2.0]);
        let y = of_tensors(&x, &x, |_, x| constants(x));
        assert_eq!((constants(2.0_f64), y.item()), (-12.5, -12.5));
    }
}
