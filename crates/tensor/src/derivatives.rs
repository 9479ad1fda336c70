//! Derivatives of every kind, one call each.
//!
//! With x and y = f(x) of any shapes, J = ∂y/∂x the Jacobian and H the Hessian of a scalar f:
//!
//! | what | call | shape | cost |
//! |---|---|---|---|
//! | gradients of a scalar by all leaves | [`y.backward()`](Tensor::backward) | of each leaf | a pass back |
//! | gradients to be differentiated again | [`grad(&y, &[&x])`](grad) | of each x | a pass back |
//! | a seed, some targets, a graph that stays | [`y.differentiate()`](Tensor::differentiate) | of each target | a pass back |
//! | Jᵀv | [`vjp(f, &x, &v)`](vjp) | of x | a pass back |
//! | J v | [`jvp(f, &x, &v)`](jvp) | of y | two passes back |
//! | J | [`jacobian(f, &x)`](jacobian) | `[…y, …x]` | a pass back for each element of y |
//! | H v | [`hvp(f, &x, &v)`](hvp) | of x | two passes back |
//! | H | [`hessian(f, &x)`](hessian) | `[…x, …x]` | a pass back, and one more for each element of x |
//! | gradients of single samples | [`per_sample_gradients(&model, …)`](per_sample_gradients) | `[samples, …parameter]` | a pass for each sample |
//!
//! ```
//! use backflow_tensor::{Tensor, hessian, hvp, jacobian, jvp, vjp};
//! let x = Tensor::from([1.0, 2.0]);
//! let v = Tensor::from([1.0, -1.0]);
//!
//! let f = |x: &Tensor| x * x.sum(..);                       // y = x·Σx, J = I·Σx + x 1ᵀ
//! assert_eq!(jacobian(f, &x).to_vec::<f64>(), [4.0, 1.0, 2.0, 5.0]);
//! assert_eq!(jvp(f, &x, &v).to_vec::<f64>(), [3.0, -3.0]);
//! assert_eq!(vjp(f, &x, &v).to_vec::<f64>(), [2.0, -4.0]);
//!
//! let g = |x: &Tensor| x.powi(3).sum(..);                   // H = diag 6x
//! assert_eq!(hessian(g, &x).to_vec::<f64>(), [6.0, 0.0, 0.0, 12.0]);
//! assert_eq!(hvp(g, &x, &v).to_vec::<f64>(), [6.0, -12.0]);
//! ```
//!
//! Functions of `x` get it detached and tracked anew, whatever it was computed from, and the graph is recorded also
//! inside [`no_grad`](crate::no_grad); results are constants. Where y does not depend on x, they are zeros.
//! [`check`](crate::check) holds any of them against differences.
//!
//! For networks, `backflow::probe` has what need not be written down in full: `network_jacobian` and
//! `layer_jacobians`, all rows in one pass; `Hessian`, over all parameters of a model, for products, extreme
//! eigenvalues and the trace; `SampleNorms`, the lengths of the samples' gradients.

use crate::error::misuse;
use crate::mode::recording;
use crate::module::Module;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// The gradients of the scalar `y` with respect to each of `xs`, recorded so that they can be differentiated
/// again.
///
/// An `x` that `y` does not depend on gets zeros.
///
/// ```
/// # use backflow_tensor::{grad, Tensor};
/// let x = Tensor::from(2.0).requires_grad();
/// let y = x.powf(3.0);
/// let dy = grad(&y, &[&x]).remove(0);             // 3x² = 12
/// let ddy = grad(&dy, &[&x]).remove(0);           // 6x  = 12
/// assert_eq!((dy.item(), ddy.item()), (12.0, 12.0));
/// ```
///
/// # Panics
/// If `y` is not a tracked scalar or some `x` is not tracked.
#[must_use]
#[track_caller]
pub fn grad(y: &Tensor, xs: &[&Tensor]) -> Vec<Tensor> {
    let grads = y.differentiate().wrt(xs).create_graph().run();
    xs.iter().map(|x| grads.get(x).cloned().unwrap_or_else(|| x.zeros_like())).collect()
}

/// The product vᵀJ of a direction in the results of `f` with its Jacobian at `x`: what comes back to `x` if `v`
/// is sent back.
///
/// Shapes: `v` as `f(x)`, the product as `x`. Cost: one backward pass.
///
/// ```
/// # use backflow_tensor::{vjp, Tensor};
/// let x = Tensor::from([2.0, 3.0]);
/// let product = vjp(|x| Tensor::stack([x.prod(..), x.sum(..)], 0), &x, &Tensor::from([1.0, 10.0]));
/// assert_eq!(product.to_vec::<f64>(), [13.0, 12.0]);
/// ```
///
/// # Panics
/// If `v` is not of the shape and element type of `f(x)`.
#[must_use]
#[track_caller]
pub fn vjp(f: impl Fn(&Tensor) -> Tensor, x: &Tensor, v: &Tensor) -> Tensor {
    let _recording = recording(true);
    let x = x.detach().requires_grad();
    let y = f(&x);
    require_direction("vjp", ("f(x)", &y), v);
    if !y.is_tracked() {
        return x.zeros_like();
    }
    y.differentiate().seed(v).wrt(&[&x]).run().take(&x).unwrap_or_else(|| x.zeros_like())
}

/// The product J v of the Jacobian of `f` at `x` with a direction: how fast the results change as `x` moves along
/// `v`.
///
/// Jᵀu is linear in u, and its derivative by u along `v` is J v: so it is computed by two passes back, of which the
/// first is recorded (Townsend 2017, "A new trick for calculating Jacobian vector products").
///
/// Shapes: `v` as `x`, the product as `f(x)`. Cost: about two backward passes.
///
/// ```
/// # use backflow_tensor::{jvp, Tensor};
/// let x = Tensor::from([2.0, 3.0]);
/// let product = jvp(|x| Tensor::stack([x.prod(..), x.sum(..)], 0), &x, &Tensor::from([1.0, 10.0]));
/// assert_eq!(product.to_vec::<f64>(), [23.0, 11.0]);
/// ```
///
/// # Panics
/// If `v` is not of the shape and element type of `x`.
#[must_use]
#[track_caller]
pub fn jvp(f: impl Fn(&Tensor) -> Tensor, x: &Tensor, v: &Tensor) -> Tensor {
    require_direction("jvp", ("x", x), v);
    let _recording = recording(true);
    let x = x.detach().requires_grad();
    let y = f(&x);
    if !y.is_tracked() {
        return y.zeros_like();
    }
    let u = y.ones_like().requires_grad();
    match y.differentiate().seed(&u).wrt(&[&x]).create_graph().run().take(&x) {
        Some(back) if back.is_tracked() => {
            back.differentiate().seed(v).wrt(&[&u]).run().take(&u).unwrap_or_else(|| y.zeros_like())
        }
        _ => y.zeros_like(),
    }
}

/// The Jacobian of `f` at `x`: its element at `[i, k]` is ∂f(x)ᵢ/∂xₖ, where i and k are indices of as many axes
/// as `f(x)` and `x` have.
///
/// Shape: `[…f(x), …x]`. Cost: one backward pass for each element of `f(x)`.
///
/// ```
/// # use backflow_tensor::{jacobian, Tensor};
/// let x = Tensor::from([2.0, 3.0, 5.0]);
/// let j = jacobian(|x| x.cumsum(0), &x);
/// assert_eq!(j.to_vec::<f64>(), [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
/// assert_eq!(jacobian(|x| x.prod(..), &x).to_vec::<f64>(), [15.0, 10.0, 6.0]);
/// ```
///
/// # Panics
/// If `f(x)` and `x` have more than [`MAX_RANK`](crate::MAX_RANK) axes together.
#[must_use]
#[track_caller]
pub fn jacobian(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Tensor {
    let _recording = recording(true);
    let x = x.detach().requires_grad();
    rows_of_jacobian(&f(&x), &x)
}

/// The product H v of the Hessian of `f` at `x` with a direction, by differentiating ⟨∇f, v⟩.
///
/// Shapes: `x` and `v` alike, `f(x)` a scalar. Cost: about two backward passes.
/// Source: Pearlmutter, "Fast exact multiplication by the Hessian", 1994, in reverse-over-reverse form.
///
/// ```
/// # use backflow_tensor::{hvp, Tensor};
/// let x = Tensor::from([1.0, 2.0]);
/// let hv = hvp(|x| x.powf(3.0).sum(..), &x, &Tensor::from([1.0, 1.0]));
/// assert_eq!(hv.to_vec::<f64>(), [6.0, 12.0]);
/// ```
///
/// # Panics
/// If `f(x)` is not a scalar, or `v` is not of the shape and element type of `x`.
#[must_use]
#[track_caller]
pub fn hvp(f: impl Fn(&Tensor) -> Tensor, x: &Tensor, v: &Tensor) -> Tensor {
    require_direction("hvp", ("x", x), v);
    let _recording = recording(true);
    let x = x.detach().requires_grad();
    let gradient = gradient_of(&f(&x), &x);
    if !gradient.is_tracked() {
        return x.zeros_like();
    }
    gradient.differentiate().seed(v).wrt(&[&x]).run().take(&x).unwrap_or_else(|| x.zeros_like())
}

/// The Hessian of `f` at `x`: its element at `[i, k]` is ∂²f/∂xᵢ∂xₖ, where i and k are indices of as many axes as
/// `x` has.
///
/// Shapes: `f(x)` a scalar, the Hessian `[…x, …x]`. Cost: one backward pass, and one of the recorded pass for each
/// element of `x`.
///
/// ```
/// # use backflow_tensor::{hessian, Tensor};
/// let h = hessian(|x| x.prod(..), &Tensor::from([2.0, 3.0, 5.0]));
/// assert_eq!(h.to_vec::<f64>(), [0.0, 5.0, 3.0, 5.0, 0.0, 2.0, 3.0, 2.0, 0.0]);
/// ```
///
/// # Panics
/// If `f(x)` is not a scalar, or `x` has more than half of [`MAX_RANK`](crate::MAX_RANK) axes.
#[must_use]
#[track_caller]
pub fn hessian(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Tensor {
    let _recording = recording(true);
    let x = x.detach().requires_grad();
    rows_of_jacobian(&gradient_of(&f(&x), &x), &x)
}

/// The gradient of each sample's own loss by each parameter of `model`, as `[samples, …parameter]`, by the
/// parameter's path: what a batch's gradient is the mean of, if its loss is a mean over samples.
///
/// `batch` is what a loss is computed of, inputs and targets as a rule, with samples along the first axis; `loss` is
/// called once for each sample, with batches of this one alone, in the caller's
/// [`training`](crate::training()) or evaluation. Samples that would meet in a batch, as where it is normalised by
/// its own moments, do not meet here. A parameter that a loss does not depend on gets zeros.
///
/// Cost: a pass forward and one back for each sample; memory for as many copies of the parameters.
///
/// ```
/// # use backflow_tensor::{per_sample_gradients, Tensor};
/// let w = Tensor::from([1.0, 0.0]).requires_grad();         // a model of one parameter: its path is empty
/// let (x, target) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([0.0, 5.0]));
/// let loss = |w: &Tensor, [x, target]: [&Tensor; 2]| (x.matmul(w) - target).square().mean(..);
/// let gradients = per_sample_gradients(&w, [&x, &target], loss);
/// assert_eq!(gradients[0].1.to_vec::<f64>(), [2.0, 4.0, -12.0, -16.0]);
/// assert_eq!(loss(&w, [&x, &target]).backward().of(&w).to_vec::<f64>(), [-5.0, -6.0]);
/// ```
///
/// # Panics
/// If a part of the batch has no axis, or they do not have the same number of samples; if a loss is not a scalar.
#[must_use]
#[track_caller]
pub fn per_sample_gradients<M: Module + ?Sized, const N: usize>(
    model: &M,
    batch: [&Tensor; N],
    loss: impl Fn(&M, [&Tensor; N]) -> Tensor,
) -> Vec<(String, Tensor)> {
    let samples = batch.first().and_then(|x| x.shape().first().copied());
    let Some(samples) = samples.filter(|n| batch.iter().all(|x| x.shape().first() == Some(n))) else {
        let rows: Vec<(&str, String)> = batch.iter().map(|x| ("shape", x.shape().to_string())).collect();
        let hint = "each part of the batch has samples along its first axis, all as many";
        misuse("per_sample_gradients", "there is not one row per sample in each part", &rows, hint);
    };
    let _recording = recording(true);
    let parameters = model.parameters();
    let targets: Vec<&Tensor> = parameters.iter().map(|(_, parameter)| parameter).collect();
    let mut found: Vec<Vec<Tensor>> = vec![Vec::with_capacity(samples); targets.len()];
    for sample in 0..samples {
        let rows = batch.map(|x| x.slice(0, sample..=sample));
        let loss = loss(model, rows.each_ref());
        // Not a closure: an error names the caller of this function.
        let gradients = if loss.is_tracked() { Some(loss.differentiate().wrt(&targets).run()) } else { None };
        for (all, target) in found.iter_mut().zip(&targets) {
            let gradient = gradients.as_ref().and_then(|gradients| gradients.get(target)).cloned();
            all.push(gradient.unwrap_or_else(|| target.zeros_like()));
        }
    }
    let mut stacked = Vec::with_capacity(found.len());
    for (all, (path, parameter)) in found.iter().zip(&parameters) {
        let shape = Shape::joined(&[samples], &parameter.shape());
        let all = if samples == 0 { Tensor::zeros(shape, parameter.dtype()) } else { Tensor::stack(all, 0) };
        stacked.push((path.clone(), all));
    }
    stacked
}

/// The gradient of the scalar `y` by `x`, recorded; zeros if it does not depend on it.
#[track_caller]
fn gradient_of(y: &Tensor, x: &Tensor) -> Tensor {
    if y.is_tracked() { grad(y, &[x]).remove(0) } else { x.zeros_like() }
}

/// The Jacobian of what was computed from `x`, a row at a time.
#[track_caller]
fn rows_of_jacobian(y: &Tensor, x: &Tensor) -> Tensor {
    let (shape, n) = (Shape::joined(&y.shape(), &x.shape()), y.elements());
    if !y.is_tracked() || n == 0 {
        return Tensor::zeros(shape, x.dtype());
    }
    let mut rows = Vec::with_capacity(n);
    for row in 0..n {
        let unit: Vec<f64> = (0..n).map(|place| if place == row { 1.0 } else { 0.0 }).collect();
        let seed = Tensor::from_vec(unit, y.shape()).to_dtype(y.dtype());
        let mut found = y.differentiate().seed(&seed).wrt(&[x]).retain_graph().run();
        rows.push(found.take(x).unwrap_or_else(|| x.zeros_like()));
    }
    Tensor::stack(&rows, 0).reshape(shape)
}

/// Panics unless `v` is of the shape and element type of what it is a direction in.
#[track_caller]
fn require_direction(function: &'static str, (name, of): (&str, &Tensor), v: &Tensor) {
    if v.shape() != of.shape() || v.dtype() != of.dtype() {
        let rows = [(name, of.described()), ("v", v.described())];
        let hint = format!("v has the shape and element type of {name}");
        misuse(function, "the direction v does not fit", &rows, &hint);
    }
}
