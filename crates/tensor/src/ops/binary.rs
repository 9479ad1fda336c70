//! Ops of two operands, element by element, with NumPy's broadcasting.
//!
//! The result lies as the first operand that has its shape and is dense ([`order_of_result`]).

use crate::dense::order_of_result;
use crate::dtype::{Element, require_one_dtype};
use crate::error::misuse;
use crate::shape::Shape;
use crate::tensor::Tensor;
use backflow_kernels::map;
use backflow_kernels::strided;

/// `f` of the elements of two floating-point operands, the untracked result of `op`. `f` stands for a
/// function of each element type.
macro_rules! pairwise {
    ($op:expr, $a:expr, $b:expr, $f:expr) => {{
        let shape = $crate::ops::binary::joint_shape($op.name, $a, $b);
        $crate::dtype::with_float!($op.name, $a.dtype(), T => {
            $crate::tensor::Tensor::zip_to::<T, T, T>($a, $b, shape, $f)
        })
    }};
}
pub(super) use pairwise;

impl Tensor {
    /// Applies `f` to the elements of two operands that broadcast to `shape`.
    pub(crate) fn zip_to<A: Element, B: Element, C: Element>(
        a: &Self,
        b: &Self,
        shape: Shape,
        f: impl Fn(A, B) -> C + Copy + Send + Sync,
    ) -> Self {
        match Self::zip_alike(a, b, f) {
            Some(y) => y,
            None => Self::zip_strided(a, b, shape, f),
        }
    }

    /// The same of two operands of one shape that are dense and lie alike.
    pub(super) fn zip_alike<A: Element, B: Element, C: Element>(
        a: &Self,
        b: &Self,
        f: impl Fn(A, B) -> C + Copy + Send + Sync,
    ) -> Option<Self> {
        if a.layout.order() != b.layout.order() || a.layout.shape != b.layout.shape {
            return None;
        }
        let (x, y) = a.dense_slice::<A>().zip(b.dense_slice::<B>())?;
        Some(Self::build_laid_out_like(a, |out| map::zip(x, y, out, f)))
    }

    /// The same of any two.
    pub(super) fn zip_strided<A: Element, B: Element, C: Element>(
        a: &Self,
        b: &Self,
        shape: Shape,
        f: impl Fn(A, B) -> C + Copy + Send + Sync,
    ) -> Self {
        let order = order_of_result(&shape, &[a, b]);
        Self::build_in_order(shape, order, |out| {
            let [left, right] = [a, b].map(|x| x.layout.broadcast_to(&shape).permuted(order));
            strided::zip(&left.shape, a.laid_out_as(&left), b.laid_out_as(&right), out, f);
        })
    }
}

/// What shapes that broadcast are like.
pub(super) const BROADCASTING: &str = "aligned from the right, sizes must agree or be 1";

/// The shape that two operands broadcast to.
#[track_caller]
pub(crate) fn joint_shape(op: &'static str, a: &Tensor, b: &Tensor) -> Shape {
    require_one_dtype(op, a, b);
    match a.shape().broadcast(&b.shape()) {
        Some(shape) => shape,
        None => {
            let rows = [("left", a.shape().to_string()), ("right", b.shape().to_string())];
            misuse(op, "shapes do not broadcast", &rows, BROADCASTING);
        }
    }
}
