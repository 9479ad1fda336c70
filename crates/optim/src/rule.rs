//! [`Rule`]: how one parameter is updated from its gradient.
//!
//! A rule sees a gradient that is already clipped and, for L2 weight decay, already decayed. It answers what
//! to subtract. Everything around it (clipping, noise, weight decay, learning rate, averages, statistics) is
//! the pipeline's: see [`Elements`], which hands a rule the numbers, and [`Optimizer`](crate::Optimizer).

use crate::elements::{Elements, Totals};
use crate::hyperparameter::Settings;
use crate::rules::Lbfgs;
use backflow_kernels::Float;
use backflow_tensor::{DType, FloatElement, Shape};
use std::borrow::Cow;

/// An update rule: the part of an optimizer that papers are about. Its setting `lr` is the learning rate that
/// schedules start from.
///
/// ```
/// use backflow_optim::{Elements, Hyperparameter, Method, Optimizer, Range, Rule, Settings, Step, Totals};
/// use backflow_tensor::{FloatElement, Tensor};
///
/// /// w ← w − lr·g³
/// #[derive(Clone, Debug)]
/// struct Cubic { lr: f64 }
///
/// impl Settings for Cubic {
///     fn name(&self) -> &'static str { "cubic" }
///     fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
///         vec![Hyperparameter::number("lr", &mut self.lr, Range::NonNegative)]
///     }
/// }
///
/// impl Rule for Cubic {
///     fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
///         let lr = T::from_f64(step.lr);
///         elements.each(move |_, g, []| (lr * g * g * g, []))
///     }
/// }
///
/// let mut w = Tensor::from([1.0, -2.0]).requires_grad();
/// let grads = (&w * &w).sum(..).backward();
/// Optimizer::new(Method::custom(Cubic { lr: 0.125 })).step(&mut w, &grads);
/// assert_eq!(w.to_vec::<f64>(), [0.0, 6.0]);
/// ```
pub trait Rule: Settings {
    /// The version of what the buffers mean; raised when a saved state can no longer be continued.
    fn version(&self) -> u32 {
        self.inner().map_or(1, |rule| rule.version())
    }

    /// The rule that this one is made around, if it is. It answers what this one does not say itself.
    fn inner(&self) -> Option<&dyn Rule> {
        None
    }

    /// Why the settings do not go together, although each of them is allowed.
    fn conflict(&self) -> Option<&'static str> {
        let inner = self.inner()?;
        let searches = matches!(inner.needs(), Needs::LineSearch(_));
        inner.conflict().or(searches.then_some("the rule inside moves all parameters at once"))
    }

    /// Weight decay, which the pipeline carries out.
    fn weight_decay(&self) -> WeightDecay {
        self.inner().map_or(WeightDecay::L2(0.0), |rule| rule.weight_decay())
    }

    /// Noise on the gradient, which the pipeline adds.
    fn noise(&self) -> Option<Noise> {
        self.inner()?.noise()
    }

    /// The ε of an adaptive rule, for a parameter of this shape and type: what is added to the size of past
    /// gradients (a root of squares, or magnitudes) before it divides. Steps do not depend on the size of
    /// gradients far above ε, and are proportional to it far below. It is to be compared with the RMS of a
    /// gradient: of a rule that divides by a norm it is what belongs to the norm, over √n.
    fn eps(&self, shape: Shape, dtype: DType) -> Option<f64> {
        self.inner()?.eps(shape, dtype)
    }

    /// Whether gradients far below ε make updates in proportion. Not so where ε stands beside a sum or a
    /// maximum of earlier squares, or the update is normalised afterwards: there ε above a gradient says
    /// nothing.
    fn is_linear_below_eps(&self) -> bool {
        self.inner().is_none_or(|rule| rule.is_linear_below_eps())
    }

    /// What has to be computed for a step.
    fn needs(&self) -> Needs {
        self.inner().map_or(Needs::Gradient, |rule| rule.needs())
    }

    /// Whether the rule looks at [`Step::gradient_norm`].
    fn needs_norm(&self) -> bool {
        self.inner().is_some_and(|rule| rule.needs_norm())
    }

    /// The arrays to keep for a parameter of this shape, with the settings as they are.
    fn buffers(&self, shape: Shape) -> Vec<Buffer> {
        self.inner().map_or_else(Vec::new, |rule| rule.buffers(shape))
    }

    /// The numbers to keep for a parameter, with what they start from.
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        self.inner().map_or_else(Vec::new, |rule| rule.numbers())
    }

    /// The buffer with the weights to evaluate, if those that are trained are not the ones.
    fn average(&self) -> Option<&'static str> {
        self.inner()?.average()
    }

    /// Updates one parameter: computes the scalars of this step in `f64`, rounds them once, and hands
    /// [`elements`](Elements::each) the equation.
    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals
    where
        Self: Sized;
}

/// What has to be computed for a step of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Needs {
    /// The gradient.
    Gradient,
    /// The gradient at another place, a step of this length uphill (Foret et al. 2021).
    Uphill(f64),
    /// The loss after the step, which is undone if that is higher. The rule's first number is multiplied by
    /// one of these.
    Trial {
        /// After a step that was undone.
        shrink: f64,
        /// After any other.
        grow: f64,
    },
    /// Losses and gradients at as many places as this search asks for. It moves all parameters at once;
    /// [`update`](Rule::update) is not called.
    LineSearch(Lbfgs),
}

/// How weights are pulled towards 0, with strength λ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightDecay {
    /// `g ← g + λ·w` before the rule sees `g`, as `weight_decay` does in PyTorch.
    L2(f64),
    /// `w ← w − lr·λ·w` beside the rule's update, as in `AdamW`.
    Decoupled(f64),
}

impl WeightDecay {
    /// One of the two.
    pub(crate) fn either(decoupled: bool, strength: f64) -> Self {
        if decoupled { Self::Decoupled(strength) } else { Self::L2(strength) }
    }
}

/// Gaussian noise on gradients, of variance `eta / tᵞ` at step t.
///
/// Neelakantan et al., "Adding gradient noise improves learning for very deep networks", 2015, where `eta` is
/// one of 0.01, 0.3 and 1 and γ = 0.55. The noise is a function of the seed, the parameter's path and its
/// step alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// The variance at the first step.
    pub eta: f64,
    /// How fast it falls.
    pub gamma: f64,
    /// The seed of the noise.
    pub seed: u64,
}

/// An array that a rule keeps per parameter, of the parameter's element type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Buffer {
    pub(crate) name: &'static str,
    pub(crate) start: Start,
    /// The parameter's own, unless given.
    pub(crate) shape: Option<Shape>,
}

/// What a buffer starts from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    Value(f64),
    /// The weights before the first step.
    Weights,
}

impl Buffer {
    /// Starts at 0. The name is that in PyTorch's `state_dict`.
    #[must_use]
    pub fn zeros(name: &'static str) -> Self {
        Self::full(name, 0.0)
    }

    /// Starts at `start`.
    #[must_use]
    pub fn full(name: &'static str, start: f64) -> Self {
        Self { name, start: Start::Value(start), shape: None }
    }

    /// Starts as a copy of the weights.
    #[must_use]
    pub fn weights(name: &'static str) -> Self {
        Self { name, start: Start::Weights, shape: None }
    }

    /// Starts at 0, in a shape of its own.
    #[must_use]
    pub fn shaped(name: &'static str, shape: impl Into<Shape>) -> Self {
        Self { name, start: Start::Value(0.0), shape: Some(shape.into()) }
    }
}

/// The name of a buffer or number: the rule's own, or one that was read from a file.
pub type Name = Cow<'static, str>;

/// The step that is being taken, as a rule sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// How often this parameter was updated, this time included: 1 at first.
    pub t: u64,
    /// The learning rate, after the schedule.
    pub lr: f64,
    /// The norm of all gradients together, after clipping; NaN unless the rule needs it.
    pub gradient_norm: f64,
}

impl Step {
    /// `1 − βᵗ`: the sum of the weights that an average of decay β has given out, which Adam divides by.
    #[must_use]
    pub fn bias_correction(&self, beta: f64) -> f64 {
        1.0 - Float::powf(beta, self.t as f64)
    }
}
