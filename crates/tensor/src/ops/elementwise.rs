//! Ops that treat every element alike: `y = f(x)`.
//!
//! Where an element lies does not matter, so a dense operand is walked in the order of memory, and what comes
//! out lies in the same order ([`AxisOrder`]): of the result, of the slope that is
//! kept, and of the gradient, which takes its order from dy or, if that is not dense, from what was kept. An activation
//! function that somebody looks on at looks at what passes by ([`moments`](crate::moments)).

use super::formula::{Number, of_tensors};
use super::zero_gradient::zero_where_zero;
use crate::cotangent::Cotangent;
use crate::dtype::{FloatElement, with_float};
use crate::layout::AxisOrder;
use crate::mode::mode;
use crate::moments::looks_on_the_way;
use crate::onlooker;
use crate::op::{Keep, Op};
use crate::tensor::Tensor;
use backflow_kernels::reduce::{Moments, moments_as_made};
use backflow_kernels::{Float, map};
use std::ops::Range;

/// An elementwise op of one operand.
///
/// The derivative is a [formula](super::formula) for numbers, from which first-order passes get a single loop
/// over memory, and for tensors, which can itself be differentiated. Tests hold the two against each other.
///
/// What is more than a few operations is to be `#[inline(always)]`: loops vectorise what is inlined.
pub(crate) trait Elementwise: Copy + Send + Sync + 'static {
    const OP: &'static Op;

    /// Whether its slope can be infinite or NaN. Where dy is 0, dx is 0 all the same.
    const STEEP: bool = false;

    /// Whether the slope costs so little beside the value, and so much by itself, that it is computed with it
    /// where a pass back may come, and kept for one that is not recorded.
    const KEEPS_SLOPE: bool = false;

    /// f(x).
    fn value<T: Float>(self, x: T) -> T;

    /// f(x) and f'(x): the same bits as `value`, and as `pull` for dy = 1.
    #[inline(always)]
    fn value_and_slope<T: Float + Number>(self, x: T) -> (T, T) {
        (self.value(x), self.pull(<T as Float>::ONE, x))
    }

    /// dx, from dy and what the op keeps: x or y; for [`Keep::Nothing`], dy again, to be ignored.
    fn pull<N: Number>(self, dy: N, kept: N) -> N;

    /// The same of tensors. Only an op whose formula makes an infinity where it is not taken writes it anew,
    /// for the next derivative would make NaN of it.
    fn pull_tensor(self, dy: &Tensor, kept: &Tensor) -> Tensor {
        of_tensors(dy, kept, |dy, kept| self.pull(dy, kept))
    }
}

impl Tensor {
    #[track_caller]
    pub(crate) fn elementwise<E: Elementwise>(&self, op: E) -> Self {
        let dense = self.dense();
        let mut slope = None;
        let y = with_float!(E::OP.name, self.dtype(), T => {
            let x = dense.dense_slice::<T>().expect("made dense above");
            if E::KEEPS_SLOPE && self.is_tracked() && mode().recording {
                let mut y = None;
                slope = Some(Self::build_laid_out_like(&dense, |slope: &mut [T]| {
                    y = Some(Self::build_laid_out_like(&dense, |y| values_and_slopes(op, x, y, slope)));
                }));
                y.expect("built with the slope")
            } else if E::OP.activation.is_some() && looks_on_the_way(x.len()) {
                let mut found = [Moments::default(); 2];
                let y = Self::build_laid_out_like(&dense, |y| {
                    found = moments_as_made(Some(x), y, &|piece, y| values(op, &x[piece], y));
                });
                dense.remember::<T>(found[0]);
                y.remember::<T>(found[1]);
                y
            } else {
                Self::build_laid_out_like(&dense, |y| values(op, x, y))
            }
        });
        let y = y.record(E::OP, &[self], move |g| {
            if let Some(slope) = slope.as_ref().filter(|_| g.wants(0) && !g.is_recorded()) {
                let dx = by_slope(g, slope.clone());
                g.give(0, |_| dx);
            } else if g.wants(0) {
                let kept = match E::OP.keep {
                    Keep::Inputs => Some(g.x(0).clone()),
                    Keep::Output => Some(g.y()),
                    _ => None,
                };
                let dx = pulled(op, g, kept);
                g.give(0, |_| dx);
            }
        });
        if E::OP.activation.is_some() {
            onlooker::called(E::OP, self, &y);
        }
        y
    }

    /// Applies `f` to all elements in the order of memory: the untracked result of an op.
    pub(super) fn map_all<T: FloatElement>(&self, f: impl Fn(&[T], &mut [T])) -> Self {
        let x = self.dense();
        let elements = x.dense_slice::<T>().expect("made dense above");
        Self::build_laid_out_like(&x, |out| f(elements, out))
    }

    /// Applies `f` to every element: the untracked result of an op.
    pub(crate) fn map_to<A, B>(&self, f: impl Fn(A) -> B + Copy + Send + Sync) -> Self
    where
        A: crate::dtype::Element,
        B: crate::dtype::Element,
    {
        // A strided operand is copied first: a loop of its own for every op would double the time to compile
        // them all.
        let x = self.dense();
        let elements = x.dense_slice::<A>().expect("made dense above");
        Self::build_laid_out_like(&x, |out| map::map(elements, out, f))
    }
}

/// dx from dy and `kept`, or from dy alone: by a tensor formula in a pass that is recorded, and else in one
/// loop, which overwrites dy where nobody else sees it.
pub(super) fn pulled<E: Elementwise>(op: E, g: &mut Cotangent<'_>, kept: Option<Tensor>) -> Tensor {
    if g.is_recorded() {
        let kept = kept.as_ref().unwrap_or_else(|| g.dy());
        return if E::STEEP {
            zero_where_zero(g.dy(), &[kept], &|dy, kept| op.pull_tensor(dy, kept[0]))
        } else {
            op.pull_tensor(g.dy(), kept)
        };
    }
    with_float!(E::OP.name, g.dy().dtype(), T => pulled_by(
        g,
        kept,
        &|dy: &mut [T], kept| match kept {
            Some(kept) => pull_in_place(op, dy, kept),
            None => map::map_inplace_by(Pull(op), dy),
        },
        &|dy, kept, dx| pull(op, dy, kept, dx),
    ))
}

/// dx from dy and the slope.
fn by_slope(g: &mut Cotangent<'_>, slope: Tensor) -> Tensor {
    with_float!("slope", slope.dtype(), T => pulled_by(
        g,
        Some(slope),
        &|dy: &mut [T], slope| map::zip_inplace(dy, slope.expect("given above"), times),
        &|dy, slope, dx| map::zip(dy, slope, dx, times),
    ))
}

/// Makes dx of dy in its place, by what is kept.
type InPlace<'a, T> = dyn Fn(&mut [T], Option<&[T]>) + Sync + 'a;
/// Makes dx of dy and what is kept.
type Elsewhere<'a, T> = dyn Fn(&[T], &[T], &mut [T]) + Sync + 'a;

/// The loop, which is one of these two. Compiled once for all ops.
fn pulled_by<T: FloatElement>(
    g: &mut Cotangent<'_>,
    kept: Option<Tensor>,
    in_place: &InPlace<'_, T>,
    elsewhere: &Elsewhere<'_, T>,
) -> Tensor {
    // They have one shape: the rule of `order_of_result`, and cheaper.
    let order_of = |x: &Tensor| x.layout.order();
    let order = order_of(g.dy()).or_else(|| kept.as_ref().and_then(order_of)).unwrap_or(AxisOrder::ROW_MAJOR);
    let kept = kept.as_ref().map(|kept| kept.in_order(order));
    let kept = kept.as_ref().map(|kept| kept.dense_slice::<T>().expect("made dense above"));
    let looks = g.op().activation.is_some() && looks_on_the_way(g.dy().elements());
    let mut found = None;
    let dx = if let Some(dy) = g.dy_mut() {
        let dx: &mut [T] = dy.dense_mut_slice();
        match looks {
            true => {
                let piece = |piece, dx: &mut [T]| in_place(dx, kept.map(|kept: &[T]| &kept[piece]));
                found = Some(moments_as_made(None, dx, &piece));
            }
            false => in_place(dx, kept),
        }
        dy.flush_if_asked();
        dy.clone()
    } else {
        let dy = g.dy().in_order(order);
        let x = dy.dense_slice::<T>().expect("made dense above");
        let kept = kept.unwrap_or(x);
        Tensor::build_laid_out_like(&dy, |dx| match looks {
            true => {
                let piece =
                    |piece: Range<usize>, dx: &mut [T]| elsewhere(&x[piece.clone()], &kept[piece], dx);
                found = Some(moments_as_made(None, dx, &piece));
            }
            false => elsewhere(x, kept, dx),
        })
    };
    if let Some([_, of_dx]) = found {
        dx.remember::<T>(of_dx);
    }
    dx
}

/// y of one element, and the slope beside it.
#[derive(Clone, Copy)]
struct Value<E>(E);

impl<E: Elementwise, T: Float> map::Unary<T, T> for Value<E> {
    #[inline(always)]
    fn apply(self, x: T) -> T {
        self.0.value(x)
    }
}

impl<E: Elementwise, T: Float + Number> map::Unary<T, (T, T)> for Value<E> {
    #[inline(always)]
    fn apply(self, x: T) -> (T, T) {
        self.0.value_and_slope(x)
    }
}

/// dx of one element.
#[derive(Clone, Copy)]
struct Pull<E>(E);

/// Of an op that keeps nothing.
impl<E: Elementwise, T: Float + Number> map::Unary<T, T> for Pull<E> {
    #[inline(always)]
    fn apply(self, dy: T) -> T {
        self.0.pull(dy, dy)
    }
}

impl<E: Elementwise, T: Float + Number> map::Binary<T, T, T> for Pull<E> {
    #[inline(always)]
    fn apply(self, dy: T, kept: T) -> T {
        let dx = self.0.pull(dy, kept);
        // Not dy, which the compiler would turn into a store that is left out, and the loop into one of branches.
        if E::STEEP && dy == <T as Float>::ZERO { <T as Float>::ZERO } else { dx }
    }
}

/// dx of one element from dy and the slope.
#[inline(always)]
pub(super) fn times<T: Float>(dy: T, slope: T) -> T {
    dy * slope
}

// Loops over memory, each compiled once for an op and an element type.

/// y from x.
pub(super) fn values<E: Elementwise, T: Float>(op: E, x: &[T], y: &mut [T]) {
    map::map_by(Value(op), x, y);
}

/// y and the slopes from x.
fn values_and_slopes<E: Elementwise, T: Float + Number>(op: E, x: &[T], y: &mut [T], slope: &mut [T]) {
    map::map_beside_by(Value(op), x, y, slope);
}

/// dx from dy and what is kept.
pub(super) fn pull<E: Elementwise, T: Float + Number>(op: E, dy: &[T], kept: &[T], dx: &mut [T]) {
    map::zip_by(Pull(op), dy, kept, dx);
}

/// The same, in the place of dy.
pub(super) fn pull_in_place<E: Elementwise, T: Float + Number>(op: E, dy: &mut [T], kept: &[T]) {
    map::zip_inplace_by(Pull(op), dy, kept);
}
