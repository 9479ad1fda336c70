//! Ops of two operands, element by element, with NumPy's broadcasting.

use crate::dtype::{Element, dtype_rows, with_float};
use crate::error::misuse;
use crate::op::Op;
use crate::shape::Shape;
use crate::tensor::Tensor;
use backflow_kernels::{Float, map, strided};

/// An elementwise function of two numbers.
pub(crate) trait Pairwise: Copy + Send + Sync + 'static {
    const OP: &'static Op;

    /// f(a, b).
    fn value<T: Float>(self, a: T, b: T) -> T;
}

impl Tensor {
    /// Applies `op` to two floating-point operands: the untracked result.
    #[track_caller]
    pub(crate) fn pairwise<P: Pairwise>(a: &Self, b: &Self, op: P) -> Self {
        let shape = joint_shape(P::OP.name, a, b);
        with_float!(P::OP.name, a.dtype(), T => Self::zip_to::<T, T, T>(a, b, shape, |a, b| op.value(a, b)))
    }

    /// Applies `f` to the elements of two operands that broadcast to `shape`.
    pub(crate) fn zip_to<A: Element, B: Element, C: Element>(
        a: &Self,
        b: &Self,
        shape: Shape,
        f: impl Fn(A, B) -> C + Copy + Send + Sync,
    ) -> Self {
        if a.shape() == shape
            && b.shape() == shape
            && let (Some(x), Some(y)) = (a.as_slice::<A>(), b.as_slice::<B>())
        {
            return Self::build_like(a, |out| map::zip(x, y, out, f));
        }
        Self::build(shape, |out| {
            let (left, right) = (a.layout.broadcast_to(&shape), b.layout.broadcast_to(&shape));
            let a =
                strided::Strided { data: a.storage_slice(), offset: left.offset, strides: left.strides() };
            let b =
                strided::Strided { data: b.storage_slice(), offset: right.offset, strides: right.strides() };
            strided::zip(&shape, a, b, out, f);
        })
    }
}

/// The shape that two operands broadcast to.
#[track_caller]
pub(crate) fn joint_shape(op: &'static str, a: &Tensor, b: &Tensor) -> Shape {
    if a.dtype() != b.dtype() {
        misuse(op, "element types differ", &dtype_rows(a, b), "convert one of them with to_dtype");
    }
    match a.shape().broadcast(&b.shape()) {
        Some(shape) => shape,
        None => {
            let rows = [("left", a.shape().to_string()), ("right", b.shape().to_string())];
            misuse(op, "shapes do not broadcast", &rows, "aligned from the right, sizes must agree or be 1");
        }
    }
}
