//! Derivatives held against differences: is the backward of a function the derivative of its forward?
//!
//! For each element x of each input, the number ∂⟨u, f⟩/∂x is found twice: by a backward pass seeded with u,
//! and by moving x a little to either side. The cotangent u is pseudo-random, a function of the output's
//! shape alone, with entries of both signs between ½ and 1½ in magnitude: nothing that sums to a constant (a
//! softmax) cancels, nothing is multiplied by zero.
//!
//! # Tolerance
//!
//! The central difference D(h) = (f(x + h) − f(x − h)) / 2h errs by h²/6·f‴ + h⁴/120·f⁽⁵⁾. Richardson's
//! extrapolation R = (4·D(h/2) − D(h)) / 3 removes the first term and leaves −h⁴/480·f⁽⁵⁾. The step is h =
//! 2⁻¹⁰, a power of two so that x ± h is exact for most x, and grows with |x| beyond 1. So the error of R has
//! two parts:
//!
//! * truncation, 2·10⁻¹⁵·f⁽⁵⁾: below 10⁻⁹·f′ unless f⁽⁵⁾ is above 500,000·f′ (ln x, from x = 0.08 down);
//! * rounding: an error δ in each value of f becomes at most 3·δ/h in R, and δ is some 16 roundings of the
//!   values that moved.
//!
//! A gradient is accepted within 10⁻⁹·|derivative| + 3·16·ε/h·Σ|u·y| + 10⁻¹¹, the sum running over the
//! elements y of the output that moved. The last term stands for both parts where y and f′ vanish together. A
//! constant that is wrong in its seventh digit is 500 times outside. Functions of magnitudes far from 1
//! should be scaled before they are checked.
//!
//! This proves nothing at a kink: within h of one, differences and derivative rightly disagree.

use crate::dtype::DType;
use crate::rng::Rng;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::training::Scope;
use rand_distr::{Distribution, StandardUniform, Uniform};
use std::error::Error;
use std::fmt;

const RELATIVE: f64 = 1e-9;
const ABSOLUTE: f64 = 1e-11;
const ROUNDINGS: f64 = 16.0;
const STEP: f64 = 1.0 / 1024.0;

/// Checks the gradients of `f` at `inputs` against differences of `f`.
///
/// The backward pass sees the inputs as they are, strides and all; the differences are taken on contiguous
/// copies. All inputs and the output are `f64`: in `f32` no difference could tell a wrong digit from a
/// rounding. The cost is four evaluations of `f` per element. Inside [`training`](crate::training()) each of
/// them draws the same random numbers.
///
/// ```
/// use backflow_tensor::{Tensor, check::gradcheck};
/// let x = Tensor::from([[0.5, -1.0], [2.0, 0.1]]);
/// gradcheck(|x| (&x[0] * &x[0]).tanh().sum(0), &[x.t()]).unwrap();
///
/// // A part cut off from the graph is missing from the gradient, and found out.
/// let error = gradcheck(|x| &x[0] * x[0].detach(), &[x]).unwrap_err();
/// assert!(error.to_string().starts_with("the derivative by input 0 at [0, 0] is wrong"));
/// ```
///
/// # Errors
/// If a gradient is outside the tolerance that this module's documentation derives; if an input or the output
/// is not `f64`, or not finite.
#[track_caller]
pub fn gradcheck(f: impl Fn(&[Tensor]) -> Tensor, inputs: &[Tensor]) -> Result<(), GradcheckError> {
    compare(1, |inputs, _| vec![f(inputs)], inputs)
}

/// Checks the second derivatives of `f` at `inputs`: those of its gradients, by the inputs and by the
/// cotangent.
///
/// In error messages the cotangent counts as one more input after the others.
///
/// ```
/// use backflow_tensor::{Tensor, check::gradgradcheck};
/// gradgradcheck(|x| x[0].tanh(), &[Tensor::from([0.5, -1.0])]).unwrap();
/// ```
///
/// # Errors
/// As [`gradcheck`].
#[track_caller]
pub fn gradgradcheck(f: impl Fn(&[Tensor]) -> Tensor, inputs: &[Tensor]) -> Result<(), GradcheckError> {
    demand_f64(inputs)?;
    let scope = Scope::current();
    let y = scope.enter(|| f(inputs));
    if y.dtype() != DType::F64 {
        return Err(GradcheckError::OutputType(y.dtype()));
    }
    let u = cotangent(y.shape(), 0);
    let operands: Vec<Tensor> = inputs.iter().cloned().chain([u]).collect();
    // The gradients of f as a function of its inputs and of the cotangent.
    let gradients = |operands: &[Tensor], differentiable: bool| {
        let (xs, u) = operands.split_at(inputs.len());
        let xs: Vec<Tensor> =
            xs.iter().map(|x| if x.is_tracked() { x.clone() } else { x.clone().requires_grad() }).collect();
        let y = f(&xs);
        if !y.is_tracked() {
            return xs.iter().map(Tensor::zeros_like).collect();
        }
        let targets: Vec<&Tensor> = xs.iter().collect();
        let pass = y.differentiate().seed(&u[0]).wrt(&targets);
        let found = if differentiable { pass.create_graph().run() } else { pass.run() };
        xs.iter().map(|x| found.get(x).cloned().unwrap_or_else(|| x.zeros_like())).collect()
    };
    compare(2, gradients, &operands)
}

/// Holds the gradients of every output of `f(inputs, differentiable)` against differences.
#[track_caller]
fn compare(
    order: u8,
    f: impl Fn(&[Tensor], bool) -> Vec<Tensor>,
    inputs: &[Tensor],
) -> Result<(), GradcheckError> {
    demand_f64(inputs)?;
    // Derivative and differences are those of one function, chance included.
    let scope = Scope::current();
    let f = |inputs: &[Tensor], differentiable: bool| scope.enter(|| f(inputs, differentiable));
    let leaves: Vec<Tensor> = inputs.iter().map(|x| x.detach().requires_grad()).collect();
    let outputs = f(&leaves, true);
    if let Some(y) = outputs.iter().find(|y| y.dtype() != DType::F64) {
        return Err(GradcheckError::OutputType(y.dtype()));
    }
    // Another salt per order: seeding the second order with the first's cotangent would correlate the two.
    let cotangents: Vec<Tensor> = outputs
        .iter()
        .enumerate()
        .map(|(k, y)| cotangent(y.shape(), 16 * u64::from(order) + k as u64))
        .collect();
    let targets: Vec<&Tensor> = leaves.iter().collect();
    let mut found = crate::Gradients::new();
    for (y, u) in outputs.iter().zip(&cotangents).filter(|(y, _)| y.is_tracked()) {
        found.accumulate(y.differentiate().seed(u).wrt(&targets).retain_graph().run());
    }
    let u: Vec<f64> = cotangents.iter().flat_map(Tensor::to_f64_vec).collect();
    let values =
        |inputs: &[Tensor]| -> Vec<f64> { f(inputs, false).iter().flat_map(Tensor::to_f64_vec).collect() };

    for (input, x) in inputs.iter().enumerate() {
        let analytic = found.get(&leaves[input]).map_or_else(|| vec![0.0; x.elements()], Tensor::to_f64_vec);
        let original = x.to_f64_vec();
        let mut moved: Vec<Tensor> = inputs.to_vec();
        let mut at = |idx: usize, distance: f64| {
            let mut elements = original.clone();
            elements[idx] += distance;
            moved[input] = Tensor::from_vec(elements, x.shape());
            values(&moved)
        };
        for (idx, &analytic) in analytic.iter().enumerate() {
            let mut h = STEP;
            while h < STEP * original[idx].abs() {
                h *= 2.0;
            }
            let (wide, _) = difference(&u, &at(idx, h), &at(idx, -h));
            let (narrow, magnitude) = difference(&u, &at(idx, h / 2.0), &at(idx, -h / 2.0));
            let numeric = (4.0 * narrow / h - wide / (2.0 * h)) / 3.0;
            let place = || index_of(idx, &x.shape());
            if !numeric.is_finite() {
                return Err(GradcheckError::NotFinite { input, index: place() });
            }
            let rounding = 3.0 * ROUNDINGS * f64::EPSILON / h * magnitude;
            let tolerance = RELATIVE * numeric.abs() + rounding + ABSOLUTE;
            // Written so that a NaN does not pass.
            let agrees = (analytic - numeric).abs() <= tolerance;
            if !agrees {
                return Err(GradcheckError::Mismatch {
                    order,
                    input,
                    index: place(),
                    analytic,
                    numeric,
                    tolerance,
                });
            }
        }
    }
    Ok(())
}

/// Σ u·(y⁺ − y⁻), and Σ |u·y| over the elements that moved. Those that did not move contribute no rounding.
fn difference(u: &[f64], above: &[f64], below: &[f64]) -> (f64, f64) {
    let (mut sum, mut magnitude) = (0.0, 0.0);
    for ((u, above), below) in u.iter().zip(above).zip(below) {
        sum += u * (above - below);
        if above != below {
            magnitude += u.abs() * above.abs().max(below.abs());
        }
    }
    (sum, magnitude)
}

fn demand_f64(inputs: &[Tensor]) -> Result<(), GradcheckError> {
    for (input, x) in inputs.iter().enumerate() {
        if x.dtype() != DType::F64 {
            return Err(GradcheckError::InputType { input, dtype: x.dtype() });
        }
        if let Some(idx) = x.to_f64_vec().iter().position(|x| !x.is_finite()) {
            return Err(GradcheckError::NotFinite { input, index: index_of(idx, &x.shape()) });
        }
    }
    Ok(())
}

/// Pseudo-random entries of both signs in ±[½, 1½), a function of the shape and the salt.
fn cotangent(shape: Shape, salt: u64) -> Tensor {
    let mut rng = shape.iter().fold(Rng::seed_from_u64(0).split(salt), |rng, &size| rng.split(size as u64));
    let magnitudes = Uniform::new(0.5, 1.5).expect("½ is below 1½");
    let mut draw = || {
        let magnitude: f64 = magnitudes.sample(&mut rng);
        if StandardUniform.sample(&mut rng) { magnitude } else { -magnitude }
    };
    Tensor::from_vec((0..shape.elements()).map(|_| draw()).collect(), shape)
}

fn index_of(mut idx: usize, shape: &Shape) -> Vec<usize> {
    let mut index = vec![0; shape.rank()];
    for axis in (0..shape.rank()).rev() {
        index[axis] = idx % shape[axis];
        idx /= shape[axis];
    }
    index
}

/// Why a gradient check failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GradcheckError {
    /// An input is not `f64`.
    InputType {
        /// The number of the input.
        input: usize,
        /// Its element type.
        dtype: DType,
    },
    /// The output is not `f64`.
    OutputType(DType),
    /// An input, or the function beside it, is NaN or infinite.
    NotFinite {
        /// The number of the input.
        input: usize,
        /// The element of it.
        index: Vec<usize>,
    },
    /// The backward pass and the differences disagree.
    Mismatch {
        /// 1 for first derivatives, 2 for second.
        order: u8,
        /// The number of the input.
        input: usize,
        /// The element of it.
        index: Vec<usize>,
        /// What the backward pass says.
        analytic: f64,
        /// What the differences say.
        numeric: f64,
        /// How far apart they may be.
        tolerance: f64,
    },
}

impl fmt::Display for GradcheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputType { input, dtype } => write!(
                f,
                "input {input} is {dtype}; derivatives are checked in f64, where a difference can tell a wrong digit \
                 from a rounding: convert it with to_dtype(DType::F64)"
            ),
            Self::OutputType(dtype) => {
                write!(f, "the function returns {dtype}; derivatives are checked in f64")
            }
            Self::NotFinite { input, index } => {
                write!(
                    f,
                    "the function is not finite around element {index:?} of input {input}: check it elsewhere"
                )
            }
            Self::Mismatch { order, input, index, analytic, numeric, tolerance } => {
                let what = if *order == 1 { "derivative" } else { "second derivative" };
                let apart = (analytic - numeric).abs();
                write!(
                    f,
                    "the {what} by input {input} at {index:?} is wrong\n    backward     {analytic:?}\n    \
                     differences  {numeric:?}\n    apart        {apart:.1e}, tolerance {tolerance:.1e}"
                )
            }
        }
    }
}

impl Error for GradcheckError {}
