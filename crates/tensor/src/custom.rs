//! [`custom`]: differentiable functions of a program's own, by the door through which the ops of this crate
//! go.
//!
//! Such a function is an op like any other: recorded as one node, shown under its name by traces, profiles,
//! histories and the search for NaN, checked by [`gradcheck`](crate::check::gradcheck). Its backward is
//! written in tensor operations, and can then be differentiated as often as they can.
//!
//! It refuses to guess: a tracked tensor that the function uses without having been given it, a gradient that
//! is forgotten, and one that does not fit are errors that name the op and the line.

use crate::cotangent::Cotangent;
use crate::error::misuse;
use crate::mode::{mode, tracing};
use crate::onlooker;
use crate::op::Op;
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// `forward` of `inputs`, whose gradient is what `backward` says.
///
/// `forward` is given the inputs untracked, and returns the result and whatever its backward is to find again
/// beside what the op [keeps](Op::keep). `backward` [gives](Cotangent::give) each input its gradient; it must
/// neither capture tracked tensors nor find them among what was saved, for their own gradients would be lost.
/// If the result is not of floating point, or nothing that needs a gradient goes in, nothing is recorded.
///
/// The same as without a function, and another gradient. A sign whose gradient passes straight through
/// (Bengio et al., "Estimating or propagating gradients through stochastic neurons", 2013):
///
/// ```
/// use backflow_tensor::{Op, Tensor, custom};
/// static SIGN: Op = Op::new("sign_straight_through").formula("y = sign x").gradient("dx = dy");
/// let sign = |x: &Tensor| custom(&SIGN, &[x], |x| (x[0].sign(), ()), |g, ()| g.give(0, |g| g.dy().clone()));
///
/// let x = Tensor::from([-0.5, 2.0]).requires_grad();
/// let gradients = (sign(&x) * Tensor::from([3.0, 4.0])).sum(..).backward();
/// assert_eq!(gradients.of(&x).to_vec::<f64>(), [3.0, 4.0]);
/// ```
///
/// The same numbers on the way forward, the opposite gradient on the way back (Ganin et al.,
/// "Domain-adversarial training of neural networks", 2016):
///
/// ```
/// use backflow_tensor::{Op, Tensor, custom};
/// static REVERSE: Op = Op::new("reverse_gradient").formula("y = x").gradient("dx = −λ dy");
/// let reversed = |x: &Tensor, lambda: f64| {
///     custom(&REVERSE, &[x], |x| (x[0].clone(), lambda), |g, lambda| g.give(0, |g| g.dy() * -lambda))
/// };
/// let x = Tensor::from(2.0).requires_grad();
/// assert_eq!(reversed(&x, 0.5).square().backward().of(&x).item(), -2.0);
/// ```
///
/// A gradient that is clipped on its way, each number of it:
///
/// ```
/// use backflow_tensor::{Op, Tensor, custom};
/// static CLIP: Op = Op::new("clip_gradient").formula("y = x").gradient("dx = clamp(dy, −1, 1)");
/// let clipped = |x: &Tensor| {
///     custom(&CLIP, &[x], |x| (x[0].clone(), ()), |g, ()| g.give(0, |g| g.dy().clamp(-1.0, 1.0)))
/// };
/// let x = Tensor::from([1.0, 2.0]).requires_grad();
/// let gradients = (clipped(&x) * Tensor::from([0.5, 30.0])).sum(..).backward();
/// assert_eq!(gradients.of(&x).to_vec::<f64>(), [0.5, 1.0]);
/// ```
///
/// Several inputs in one pass, with a value saved for the way back; and the first test of such a function:
///
/// ```
/// use backflow_tensor::{Keep, Op, Tensor, check::{gradcheck, gradgradcheck}, custom};
/// static GAUSS: Op = Op::new("gauss").operands(&["a", "b"]).keep(Keep::InputsAndOutput).saves("a²");
/// let gauss = |x: &[Tensor]| {
///     let forward = |x: &[Tensor]| { let square = x[0].square(); ((-&square * &x[1]).exp(), square) };
///     custom(&GAUSS, &[&x[0], &x[1]], forward, |g, square| {
///         let square = if g.is_recorded() { g.x(0).square() } else { square.clone() };
///         g.give(0, |g| g.dy() * g.y() * (g.x(0) * g.x(1)) * -2.0);
///         g.give(1, |g| -(g.dy() * g.y() * &square));
///     })
/// };
/// let inputs = [Tensor::from([0.5, -1.0]), Tensor::from([2.0, 0.1])];
/// gradcheck(gauss, &inputs).unwrap();
/// gradgradcheck(gauss, &inputs).unwrap();
/// ```
///
/// What was saved is a constant: in a recorded pass a² is computed anew, of the tracked operand,
/// or the derivative of that gradient by a would be missing. [`gradgradcheck`](crate::check::gradgradcheck)
/// tells when it was forgotten, and [`gradcheck`](crate::check::gradcheck) when the gradient itself is wrong:
///
/// ```
/// use backflow_tensor::{Keep, Op, Tensor, check::gradcheck, custom};
/// static CUBE: Op = Op::new("cube").formula("y = x³").gradient("dx = 3x² dy").keep(Keep::Inputs);
/// let cube = |x: &[Tensor]| {
///     custom(&CUBE, &[&x[0]], |x| (x[0].powi(3), ()), |g, ()| g.give(0, |g| g.dy() * g.x(0).square() * 2.0))
/// };
/// let error = gradcheck(cube, &[Tensor::from([0.5, -1.0])]).unwrap_err();
/// assert!(error.to_string().starts_with("the derivative by input 0 at [0] is wrong"), "{error}");
/// ```
///
/// # Panics
/// If the result is tracked, since `forward` used a tracked tensor that is not among `inputs`. On the way
/// back, if `backward` gives an input that needs it no gradient, or one of another shape or element type, or
/// reads what the op does not keep.
#[must_use]
#[track_caller]
pub fn custom<S: Send + Sync + 'static>(
    op: &'static Op,
    inputs: &[&Tensor],
    forward: impl FnOnce(&[Tensor]) -> (Tensor, S),
    backward: impl Fn(&mut Cotangent<'_>, &S) + Send + Sync + 'static,
) -> Tensor {
    let untracked: SmallVec<[Tensor; 3]> = inputs.iter().map(|input| input.untracked()).collect();
    let (y, saved) = {
        // Shown is the op, and not what it is made of.
        let _unseen = mode().tracing.then(|| (onlooker::computing(), tracing(false)));
        forward(&untracked)
    };
    if y.is_tracked() {
        captured(op, &y);
    }
    if !y.dtype().is_float() {
        return y.unrecorded(op, inputs);
    }
    y.record_keeping(op, inputs, Some(untracked), move |g| {
        backward(g, &saved);
        g.require_all_given();
    })
}

/// The error of a forward that used a tracked tensor behind the back of its op.
#[track_caller]
#[cold]
fn captured(op: &'static Op, y: &Tensor) -> ! {
    let mut rows = Vec::new();
    let mut node = y.tracked();
    while let Some(used) = node {
        node = used.operands.iter().flatten().next();
        let name = if node.is_none() { "a leaf" } else { "used by" };
        let text = format!("{} {} at {}", used.op, used.shape, used.location);
        if rows.is_empty() || node.is_none() {
            rows.push((name, text));
        }
    }
    let hint = "put it among the inputs, or detach() it";
    misuse(op.name, "its forward uses a tracked tensor that is not among its inputs", &rows, hint);
}
