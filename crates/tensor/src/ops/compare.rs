//! Comparisons, element by element: the masks of [`select_where`](Tensor::select_where).
//!
//! ```text
//! y = a ∘ b for ∘ one of = ≠ < ≤ > ≥          booleans; no gradient
//! ```
//!
//! Every comparison with NaN is false but `ne`, which is true.

use super::binary::joint_shape;
use crate::catalogue::Samples;
use crate::dtype::{DType, Element, with_element};
use crate::op::Op;
use crate::shape::Shape;
use crate::tensor::Tensor;
use backflow_kernels::strided::{self, Strided};

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

impl From<f64> for Comparand<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

#[derive(Clone, Copy)]
enum Relation {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

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
                compared(stringify!($name), self, other.into(), Relation::$relation)
            }
        )*}
    };
}
comparisons! {
    "Where this equals `other`, a tensor or a number." eq Equal;
    "Where this differs from `other`, a tensor or a number." ne Unequal;
    "Where this is less than `other`, a tensor or a number." lt Less;
    "Where this is at most `other`, a tensor or a number." le AtMost;
    "Where this is greater than `other`, a tensor or a number." gt Greater;
    "Where this is at least `other`, a tensor or a number." ge AtLeast;
}

#[track_caller]
fn compared(op: &'static str, a: &Tensor, b: Comparand<'_>, relation: Relation) -> Tensor {
    let (a, b) = match b {
        Comparand::Tensor(b) => (a.untracked(), b.untracked()),
        Comparand::Number(b) => {
            let dtype = if a.dtype().is_float() { a.dtype() } else { DType::F64 };
            (a.untracked().to_dtype(dtype), Tensor::full(Shape::SCALAR, b, dtype))
        }
    };
    let shape = joint_shape(op, &a, &b);
    with_element!(a.dtype(), T => match relation {
        Relation::Equal => mask::<T>(&a, &b, shape, equal),
        Relation::Unequal => mask::<T>(&a, &b, shape, unequal),
        Relation::Less => mask::<T>(&a, &b, shape, less),
        Relation::AtMost => mask::<T>(&a, &b, shape, at_most),
        Relation::Greater => mask::<T>(&b, &a, shape, less),
        Relation::AtLeast => mask::<T>(&b, &a, shape, at_most),
    })
}

#[inline(always)]
fn equal<T: PartialOrd>(a: T, b: T) -> bool {
    a == b
}

#[inline(always)]
fn unequal<T: PartialOrd>(a: T, b: T) -> bool {
    a != b
}

#[inline(always)]
fn less<T: PartialOrd>(a: T, b: T) -> bool {
    a < b
}

#[inline(always)]
fn at_most<T: PartialOrd>(a: T, b: T) -> bool {
    a <= b
}

fn mask<T: Element>(
    a: &Tensor,
    b: &Tensor,
    shape: Shape,
    f: impl Fn(T, T) -> bool + Copy + Send + Sync,
) -> Tensor {
    let (left, right) = (a.layout.broadcast_to(&shape), b.layout.broadcast_to(&shape));
    Tensor::build(shape, |out| {
        let a = Strided { data: a.storage_slice(), offset: left.offset, strides: left.strides() };
        let b = Strided { data: b.storage_slice(), offset: right.offset, strides: right.strides() };
        strided::zip(&shape, a, b, out, f);
    })
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
