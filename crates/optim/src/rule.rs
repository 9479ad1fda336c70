//! [`Rule`]: how one element of a parameter is updated, and the loop that does it to all of them.
//!
//! A rule sees a gradient that is already clipped and, for L2 weight decay, already decayed. It answers what to subtract.
//! Everything around it (clipping, weight decay, learning rate, statistics) is the pipeline's, in [`Elements::each`].

use crate::hyperparameter::Hyperparameter;
use backflow_kernels::{Float, map, reduce};
use backflow_tensor::{DType, FloatElement, Tensor, misuse};
use std::fmt;

/// An update rule: the part of an optimizer that papers are about. Settings are checked when an optimizer takes it.
///
/// ```
/// use backflow_optim::{Buffer, Elements, Hyperparameter, Optimizer, Range, Rule, Step, Totals};
/// use backflow_tensor::{FloatElement, Tensor};
///
/// /// w ← w − lr·sign(g)
/// #[derive(Debug)]
/// struct SignSgd { lr: f64 }
///
/// impl Rule for SignSgd {
///     fn name(&self) -> &'static str { "signsgd" }
///     fn learning_rate(&self) -> f64 { self.lr }
///     fn buffers(&self) -> Vec<Buffer> { vec![] }
///     fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
///         vec![Hyperparameter::number("lr", &mut self.lr, Range::NonNegative)]
///     }
///     fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
///         let lr = T::from_f64(step.lr);
///         elements.each(move |_, g, []| (lr.copysign(g), []))
///     }
/// }
///
/// let mut w = Tensor::from([1.0, -2.0]).requires_grad();
/// let grads = (&w * &w).sum(..).backward();
/// Optimizer::new(SignSgd { lr: 0.5 }).step(&mut w, &grads);
/// assert_eq!(w.to_vec::<f64>(), [0.5, -1.5]);
/// ```
pub trait Rule: fmt::Debug + Send + Sync + 'static {
    /// The name in specs, states and errors: PyTorch's, in lower case.
    fn name(&self) -> &'static str;

    /// The version of what the buffers mean; raised when a saved state can no longer be continued.
    fn version(&self) -> u32 {
        1
    }

    /// Every setting.
    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>>;

    /// Why the settings do not go together, although each of them is allowed.
    fn conflict(&self) -> Option<&'static str> {
        None
    }

    /// The learning rate that schedules start from.
    fn learning_rate(&self) -> f64;

    /// Weight decay, which the pipeline carries out.
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(0.0)
    }

    /// The arrays to keep for a parameter, with the settings as they are.
    fn buffers(&self) -> Vec<Buffer>;

    /// Updates one parameter: computes the scalars of this step in `f64`, rounds them once, and hands
    /// [`elements`](Elements::each) the equation.
    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals
    where
        Self: Sized;
}

/// How weights are pulled towards 0, with strength λ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightDecay {
    /// `g ← g + λ·w` before the rule sees `g`, as `weight_decay` does in PyTorch.
    L2(f64),
    /// `w ← w − lr·λ·w` beside the rule's update, as in `AdamW`.
    Decoupled(f64),
}

/// An array that a rule keeps per parameter, of the parameter's shape and element type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Buffer {
    pub(crate) name: &'static str,
    pub(crate) start: f64,
}

impl Buffer {
    /// Starts at 0. The name is that in PyTorch's `state_dict`.
    #[must_use]
    pub fn zeros(name: &'static str) -> Self {
        Self { name, start: 0.0 }
    }

    /// Starts at `start`.
    #[must_use]
    pub fn full(name: &'static str, start: f64) -> Self {
        Self { name, start }
    }
}

/// The step that is being taken, as a rule sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// How often this parameter was updated, this time included: 1 at first.
    pub t: u64,
    /// The learning rate, after the schedule.
    pub lr: f64,
}

impl Step {
    /// `1 − βᵗ`: the sum of the weights that an average of decay β has given out, which Adam divides by.
    #[must_use]
    pub fn bias_correction(&self, beta: f64) -> f64 {
        1.0 - Float::powf(beta, self.t as f64)
    }
}

/// Sums of squares over the elements of one parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Σ g², before clipping.
    pub gradient: f64,
    /// Σ w², before the update.
    pub weight: f64,
    /// Σ u², where u is what was subtracted from w.
    pub update: f64,
}

/// What surrounds the rule in one step; the same for all elements of a parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    pub(crate) clip_coefficient: f64,
    pub(crate) l2: f64,
    /// lr·λ of decoupled weight decay.
    pub(crate) decay: f64,
}

/// One parameter with its gradient and buffers, about to be updated.
#[derive(Debug)]
pub struct Elements<'a, T> {
    w: &'a mut [T],
    g: &'a [T],
    buffers: &'a mut [(&'static str, Tensor)],
    surroundings: Surroundings,
}

impl<T: FloatElement> Elements<'_, T> {
    /// Runs the rule over all elements in one pass over memory.
    ///
    /// `rule(w, g, buffers)` answers what to subtract from `w`, and the new buffers, in the order of [`Rule::buffers`].
    /// This is the pipeline's order:
    ///
    /// ```text
    /// g ← c·g + λ·w              clipped, then L2 weight decay
    /// u ← rule(w, g) + lr·λ'·w   the rule, then decoupled weight decay
    /// w ← w − u
    /// ```
    ///
    /// # Panics
    /// If the rule takes another number of buffers than it declares.
    #[track_caller]
    pub fn each<const B: usize>(
        self,
        rule: impl Fn(T, T, [T; B]) -> (T, [T; B]) + Copy + Send + Sync,
    ) -> Totals {
        let Self { w, g, buffers, surroundings } = self;
        let declared = buffers.len();
        let Ok(buffers) = <&mut [_; B]>::try_from(buffers) else {
            let rows = [("declared", format!("{declared} buffers")), ("taken", format!("{B} buffers"))];
            misuse("rule", "an update takes other buffers than its rule declares", &rows, "");
        };
        let Surroundings { clip_coefficient, l2, decay } = surroundings;
        let [clip_coefficient, l2, decay] = [clip_coefficient, l2, decay].map(T::from_f64);
        let buffers = buffers.each_mut().map(|(_, buffer)| buffer.as_mut_slice());
        let [gradient, weight, update] = map::update(w, g, buffers, move |w, g, buffers| {
            let (u, buffers) = rule(w, clip_coefficient * g + l2 * w, buffers);
            let u = u + decay * w;
            (w - u, buffers, [g, w, u].map(|x| x * x))
        });
        // Squares of vanishing and exploding f32 gradients leave the range of f32. Those of gradients are then summed again.
        let in_range = SAFE_MEAN_SQUARE.contains(&(gradient / g.len() as f64));
        let gradient = if in_range { gradient } else { reduce::sum_squares(g) };
        Totals { gradient, weight, update }
    }
}

/// Where the mean of `f32` squares is to be trusted: what is lost of smaller squares (below 1e-38) does not count beside it,
/// and no partial sum came near 3e38.
const SAFE_MEAN_SQUARE: std::ops::Range<f64> = 1e-30..1e30;

/// A rule behind a pointer, so that programs choose one by name.
pub(crate) trait AnyRule: Rule {
    fn update_parameter(
        &self,
        step: Step,
        w: &mut Tensor,
        g: &Tensor,
        buffers: &mut [(&'static str, Tensor)],
        surroundings: Surroundings,
    ) -> Totals;
}

impl<R: Rule> AnyRule for R {
    fn update_parameter(
        &self,
        step: Step,
        w: &mut Tensor,
        g: &Tensor,
        buffers: &mut [(&'static str, Tensor)],
        surroundings: Surroundings,
    ) -> Totals {
        fn run<T: FloatElement, R: Rule>(
            rule: &R,
            step: Step,
            w: &mut Tensor,
            g: &Tensor,
            buffers: &mut [(&'static str, Tensor)],
            surroundings: Surroundings,
        ) -> Totals {
            let w = w.as_mut_slice::<T>();
            // Only gradients that are views of something else (a transpose, a broadcast) need the copy.
            match g.as_slice::<T>() {
                Some(g) => rule.update(step, Elements { w, g, buffers, surroundings }),
                None => rule.update(step, Elements { w, g: &g.to_vec(), buffers, surroundings }),
            }
        }
        match w.dtype() {
            DType::F32 => run::<f32, R>(self, step, w, g, buffers, surroundings),
            DType::F64 => run::<f64, R>(self, step, w, g, buffers, surroundings),
            DType::I64 | DType::Bool => unreachable!("requires_grad() refuses {}", w.dtype()),
        }
    }
}
