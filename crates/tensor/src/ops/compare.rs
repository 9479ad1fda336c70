//! Comparisons, element by element: the masks of [`select_where`](Tensor::select_where).
//!
//! ```text
//! y = a ∘ b for ∘ one of = ≠ < ≤ > ≥          booleans; no gradient
//! ```
//!
//! Every comparison with NaN is false but `ne`, which is true.

use super::binary::joint_shape;
use crate::catalogue::Samples;
use crate::dtype::{DType, with_element};
use crate::op::Op;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tensor::Tensor;

pub(super) static OP: Op = Op::new("compare")
    .formula("y = a ∘ b for ∘ in = ≠ < ≤ > ≥")
    .without_gradient()
    .operands(&["left", "right"])
    .sampled_by(samples);

/// What a tensor is compared with: a tensor of the same element type that broadcasts against it, or a number.
///
/// A number is rounded to the floating-point type of the tensor first; integers are compared with it as
/// `f64`.
#[derive(Clone, Copy, Debug)]
pub enum Comparand<'a> {
    /// Another tensor.
    Tensor(&'a Tensor),
    /// The same number for every element.
    Number(f64),
}

impl<'a> From<&'a Tensor> for Comparand<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl<S: Scalar> From<S> for Comparand<'_> {
    fn from(number: S) -> Self {
        Self::Number(number.to_f64())
    }
}

/// Where two operands of one type stand in a relation.
type Relation = fn(&Tensor, &Tensor, Shape) -> Tensor;

macro_rules! relation {
    ($relation:tt) => {
        |a, b, shape| with_element!(a.dtype(), T => Tensor::zip_to::<T, T, bool>(a, b, shape, |a, b| a $relation b))
    };
}
const EQUAL: Relation = relation!(==);
const UNEQUAL: Relation = relation!(!=);
const LESS: Relation = relation!(<);
const AT_MOST: Relation = relation!(<=);
const GREATER: Relation = relation!(>);
const AT_LEAST: Relation = relation!(>=);

macro_rules! comparisons {
    ($($doc:literal $name:ident $relation:ident;)*) => {
        impl Tensor {$(
            #[doc = $doc]
            ///
            /// # Panics
            /// If the shapes do not broadcast or the element types differ.
            #[must_use]
            #[track_caller]
            pub fn $name<'a>(&self, other: impl Into<Comparand<'a>>) -> Self {
                let [left, right] = sides(self, other.into());
                let shape = joint_shape(stringify!($name), &left, &right);
                $relation(&left, &right, shape)
            }
        )*}
    };
}
comparisons! {
    "Where this equals `other`, a tensor or a number." eq EQUAL;
    "Where this differs from `other`, a tensor or a number." ne UNEQUAL;
    "Where this is less than `other`, a tensor or a number." lt LESS;
    "Where this is at most `other`, a tensor or a number." le AT_MOST;
    "Where this is greater than `other`, a tensor or a number." gt GREATER;
    "Where this is at least `other`, a tensor or a number." ge AT_LEAST;
}

/// Both sides as untracked tensors.
fn sides(a: &Tensor, b: Comparand<'_>) -> [Tensor; 2] {
    match b {
        Comparand::Tensor(b) => [a.untracked(), b.untracked()],
        Comparand::Number(b) => {
            let dtype = if a.dtype().is_float() { a.dtype() } else { DType::F64 };
            [a.untracked().to_dtype(dtype), Tensor::full(Shape::SCALAR, b, dtype)]
        }
    }
}

fn samples(s: &mut Samples) {
    s.binary(-3.0..3.0, -3.0..3.0, "a < b", |a, b| a.lt(b));
    s.unary(-3.0..3.0, "a >= 0.5", |a| a.ge(0.5));
    let (a, b) = (Tensor::from([1.0, 2.0, 3.0, f64::NAN]), Tensor::from([1.0, 3.0, 2.0, f64::NAN]));
    let inputs = [a, b];
    s.case("ties and NaN", &inputs, "a == b", |x| x[0].eq(&x[1]));
    s.case("ties and NaN", &inputs, "a != b", |x| x[0].ne(&x[1]));
    s.case("ties and NaN", &inputs, "a < b", |x| x[0].lt(&x[1]));
    s.case("ties and NaN", &inputs, "a <= b", |x| x[0].le(&x[1]));
    s.case("ties and NaN", &inputs, "a > b", |x| x[0].gt(&x[1]));
    s.case("ties and NaN", &inputs, "a >= b", |x| x[0].ge(&x[1]));
}
