//! [`Objective`]: where the losses and gradients of a step come from; and [`WeightedMean`], the one place
//! where those of several parts of a batch are put together.
//!
//! Between backward and update there is this and nothing else. A loss that is one tensor goes through
//! unchanged; micro-batches are parts of a batch, one after another. Each part brings the mean over its terms
//! and their number, and what comes out is the mean over *all* terms, not the mean of the means: a last,
//! smaller part counts for what it holds. Rules that compute the loss several times in a step (SAM, L-BFGS,
//! bold driver) ask the objective each time, so that they meet the same function.

use backflow_tensor::training::Scope;
use backflow_tensor::{Gradients, Tensor, misuse};

/// A loss as a function of the model, with its gradients on demand.
///
/// ```
/// use backflow_optim::{Objective, Optimizer, Sgd, WeightedMean};
/// use backflow_tensor::{Gradients, Tensor};
///
/// /// The mean of (w − t)² over numbers t, in parts of two.
/// struct Pairs(Vec<f64>);
///
/// impl Objective<Tensor> for Pairs {
///     fn evaluate(&mut self, w: &Tensor, wanted: &dyn Fn(f64) -> bool) -> (f64, Option<Gradients>) {
///         let mut mean = WeightedMean::new();
///         for part in self.0.chunks(2) {
///             let loss = (w - Tensor::from_vec(part.to_vec(), [part.len()])).square().mean(..);
///             let value = loss.item();
///             mean.add(value, part.len() as f64, wanted(value).then(|| loss.backward()));
///         }
///         mean.finish()
///     }
/// }
///
/// let mut w = Tensor::from(0.0).requires_grad();
/// let report = Optimizer::new(Sgd::new(0.5)).step_on(&mut w, &mut Pairs(vec![3.0, 0.0, 6.0]));
/// assert_eq!(report.loss, Some(15.0)); // (9 + 0 + 36) / 3
/// assert_eq!(w.item(), 3.0); // the mean of all three numbers
/// ```
pub trait Objective<M: ?Sized> {
    /// The loss of `model`, and its gradients if they are `wanted` of a loss of this size. Those of a number
    /// that is not finite mostly are not, and for some questions the loss is enough: then nothing is recorded
    /// either. Of a loss in parts, each part is asked about; `None` if the answer was no for one of them.
    #[track_caller]
    fn evaluate(&mut self, model: &M, wanted: &dyn Fn(f64) -> bool) -> (f64, Option<Gradients>);
}

/// A loss that is computed whole, as one tensor.
pub(crate) struct Whole<F>(pub(crate) F);

impl<M: ?Sized, F: FnMut(&M) -> Tensor> Objective<M> for Whole<F> {
    #[track_caller]
    fn evaluate(&mut self, model: &M, wanted: &dyn Fn(f64) -> bool) -> (f64, Option<Gradients>) {
        let loss = (self.0)(model);
        let value = loss.item();
        (value, if wanted(value) { Some(loss.backward()) } else { None })
    }
}

/// An objective inside a scope of training, from the same place on each time: further losses of a step drop
/// what the first did.
pub(crate) struct Within<'a, O> {
    pub(crate) scope: Scope,
    pub(crate) objective: &'a mut O,
}

impl<M: ?Sized, O: Objective<M>> Objective<M> for Within<'_, O> {
    #[track_caller]
    fn evaluate(&mut self, model: &M, wanted: &dyn Fn(f64) -> bool) -> (f64, Option<Gradients>) {
        self.scope.enter(|| self.objective.evaluate(model, wanted))
    }
}

/// The gradients that were asked for.
#[track_caller]
pub(crate) fn wanted(gradients: Option<Gradients>) -> Gradients {
    gradients.unwrap_or_else(|| {
        misuse("step_on", "the objective gives no gradients", &[], "they were wanted of this loss")
    })
}

/// Losses and gradients of the parts of a batch, put together: Σ wᵢ·xᵢ / Σ wᵢ, where xᵢ is a mean over wᵢ
/// terms.
///
/// Weights are taken relative to the first part's, so that parts of one size are added up as they are, and
/// large gradients stay in the range of their type. One part comes out to the bit as it went in. Parts are
/// added in the order in which they come, whatever the number of threads.
///
/// ```
/// use backflow_optim::WeightedMean;
/// use backflow_tensor::Tensor;
///
/// let w = Tensor::from(2.0).requires_grad();
/// let mut mean = WeightedMean::new();
/// mean.add(1.0, 3.0, Some((&w * 4.0).backward())); // three terms with a mean loss of 1 and a mean gradient of 4
/// mean.add(5.0, 1.0, Some((&w * 8.0).backward()));
/// let (loss, gradients) = mean.finish();
/// assert!((loss - 2.0).abs() < 1e-15 && (gradients.unwrap().of(&w).item() - 5.0).abs() < 1e-15);
/// ```
#[derive(Clone, Debug, Default)]
pub struct WeightedMean {
    /// What weights are relative to: that of the first part that has one.
    unit: f64,
    /// The sum of the relative weights; 0 before the first part.
    weight: f64,
    loss: f64,
    gradients: Option<Gradients>,
}

impl WeightedMean {
    /// Of no part yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a part: the mean over `weight` terms of the loss, and its gradients. A part without terms is
    /// passed over.
    ///
    /// # Panics
    /// If the weight is below 0 or not finite.
    #[track_caller]
    pub fn add(&mut self, loss: f64, weight: f64, gradients: Option<Gradients>) {
        if !(weight >= 0.0 && weight.is_finite()) {
            let rows = [("weight", weight.to_string())];
            misuse("WeightedMean::add", "a weight is not a number of terms", &rows, "");
        }
        if weight == 0.0 {
            return;
        }
        if self.weight == 0.0 {
            *self = Self { unit: weight, weight: 1.0, loss, gradients };
            return;
        }
        let share = weight / self.unit;
        self.weight += share;
        self.loss += loss * share;
        self.gradients = match (self.gradients.take(), gradients) {
            (Some(mut sum), Some(mut more)) => {
                if share != 1.0 {
                    more.scale(share);
                }
                sum.accumulate(more);
                Some(sum)
            }
            // What is missing in one part would count as 0.
            _ => None,
        };
    }

    /// The mean loss over the terms of all parts, and its gradients if every part had some. NaN and none of
    /// no terms.
    #[must_use]
    pub fn finish(self) -> (f64, Option<Gradients>) {
        let Self { weight, loss, mut gradients, .. } = self;
        if weight == 0.0 {
            return (f64::NAN, None);
        }
        // A division by 1 would change no bit either, but would touch every gradient.
        if weight != 1.0
            && let Some(gradients) = &mut gradients
        {
            gradients.scale(1.0 / weight);
        }
        (loss / weight, gradients)
    }
}
