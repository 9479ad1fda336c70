//! [`Optimizer`]: the pipeline around a rule, in an order that is written once.
//!
//! ```text
//! every trainable parameter has a gradient, or nothing happens at all
//! lr = schedule(base lr, steps taken)
//! c  = min(1, max_norm / (‖g‖ + 1e-6))            if clip_norm is set
//! for each parameter, in the order of the model, in one pass over memory:
//!     g ← c·g + λ·w                               L2 weight decay
//!     u ← rule(g) + lr·λ'·w                       decoupled weight decay
//!     w ← w − u
//! ```
//!
//! Threads share the work inside a parameter only, along cuts that depend on its length; the norm adds up the parameters in
//! the order of the model. So a step gives the same bits on any number of threads.

use crate::clip;
use crate::hyperparameter::Range;
use crate::report::{ParameterReport, StepReport};
use crate::rule::{AnyRule, Rule, Step, Surroundings, WeightDecay};
use crate::schedule::Schedule;
use crate::schedules::Constant;
use crate::spec::{self, SpecError};
use crate::state::{ParameterState, State};
use backflow_kernels::reduce;
use backflow_tensor::{DType, FloatElement, Gradients, Module, Path, Tensor, Visitor, misuse};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Updates the parameters of a model, in place, by a rule such as [`Adam`](crate::Adam).
///
/// The optimizer never holds a parameter: it is handed the model at each step and knows parameters by their paths. A tensor
/// that is not tracked (frozen, a constant) is left alone.
///
/// A NaN or an infinity among the gradients is not filtered out. As in PyTorch it spoils the elements that it meets, and with
/// clipping a NaN spoils every parameter; [`StepReport::gradient_norm`] is then not finite.
///
/// ```
/// use backflow_optim::{Optimizer, Sgd};
/// use backflow_tensor::Tensor;
/// let mut model = vec![Tensor::from([1.0, 2.0]).requires_grad(), Tensor::from(3.0).requires_grad()];
/// let mut optimizer = Optimizer::new(Sgd::new(0.1).momentum(0.9));
/// let loss = (&model[0] * &model[1]).sum(..);
/// let report = optimizer.step(&mut model, &loss.backward());
/// assert_eq!(model[0].to_vec::<f64>(), [0.7, 1.7]);
/// assert_eq!(report.gradient_norm, (3.0_f64 * 3.0 * 3.0).sqrt());
/// assert_eq!(optimizer.state().parameters["1"].buffer("momentum_buffer").unwrap().item(), 3.0);
/// ```
#[derive(Debug)]
pub struct Optimizer {
    rule: Box<dyn AnyRule>,
    schedule: Box<dyn Schedule>,
    clip_norm: Option<f64>,
    state: State,
}

/// Building.
impl Optimizer {
    /// An optimizer with this rule, a constant learning rate, and no clipping.
    ///
    /// # Panics
    /// If a setting of the rule is outside its range, or if two of them exclude each other.
    #[must_use]
    #[track_caller]
    pub fn new(mut rule: impl Rule) -> Self {
        spec::require(rule.name(), rule.hyperparameters());
        if let Some(reason) = rule.conflict() {
            misuse(rule.name(), reason, &[], "");
        }
        Self::from_box(Box::new(rule))
    }

    /// The optimizer that a text such as `adam` or `sgd:momentum=0.9,nesterov=true` names; [`RULES`](crate::RULES) lists
    /// names and options.
    ///
    /// `learning_rate` stands for the option `lr`, for programs that ask for it separately.
    ///
    /// ```
    /// use backflow_optim::Optimizer;
    /// assert_eq!(Optimizer::from_spec("sgd:momentum=0.9,nesterov=true", Some(0.1)).unwrap().learning_rate(), 0.1);
    /// let error = Optimizer::from_spec("sgd:momentum=9", None).unwrap_err();
    /// assert_eq!(error.to_string(), "sgd: momentum=9 is not possible; expected a number in [0, 1)");
    /// ```
    ///
    /// # Errors
    /// If the text names no optimizer, or gives it options that it does not have, twice, or outside their range.
    pub fn from_spec(spec: &str, learning_rate: Option<f64>) -> Result<Self, SpecError> {
        spec::rule(spec, learning_rate).map(Self::from_box)
    }

    fn from_box(rule: Box<dyn AnyRule>) -> Self {
        let (name, version) = (rule.name(), rule.version());
        let state = State { rule: name, version, steps: 0, parameters: BTreeMap::new() };
        Self { rule, schedule: Box::new(Constant), clip_norm: None, state }
    }

    /// Scales the gradients of a step down to this norm, all by the same factor, where together they exceed it.
    ///
    /// # Panics
    /// If `max_norm` is not a number above 0.
    #[must_use]
    #[track_caller]
    pub fn clip_norm(mut self, max_norm: f64) -> Self {
        if !Range::Positive.contains(max_norm) {
            let rows = [("max_norm", max_norm.to_string()), ("expected", Range::Positive.to_string())];
            misuse("clip_norm", "max_norm is out of range", &rows, "");
        }
        self.clip_norm = Some(max_norm);
        self
    }

    /// Lets the learning rate follow `schedule`.
    ///
    /// # Panics
    /// If a setting of the schedule is outside its range.
    #[must_use]
    #[track_caller]
    pub fn schedule(mut self, mut schedule: impl Schedule + 'static) -> Self {
        spec::require(schedule.name(), schedule.hyperparameters());
        self.schedule = Box::new(schedule);
        self
    }
}

/// Looking.
impl Optimizer {
    /// What is remembered between steps.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The learning rate of the next step.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        self.schedule.learning_rate(self.rule.learning_rate(), self.state.steps)
    }
}

/// Stepping.
impl Optimizer {
    /// Updates every trainable parameter of `model` by its gradient, and reports what happened.
    ///
    /// Parameters are written in place. A copy is made only of those whose elements something else still holds, such as a
    /// graph that was not released.
    ///
    /// # Panics
    /// Before anything is changed: if a trainable parameter has no gradient, if there is no trainable parameter, if two
    /// paths lead to one parameter, or if a parameter no longer has the shape and element type of its state.
    #[track_caller]
    pub fn step<M: Module + ?Sized>(&mut self, model: &mut M, gradients: &Gradients) -> StepReport {
        let found = self.survey(model, gradients);
        let learning_rate = self.learning_rate();
        let norm_before = self.clip_norm.map(|_| found.iter().map(|g| sum_squares(g)).sum::<f64>().sqrt());
        let clip_coefficient =
            self.clip_norm.zip(norm_before).map_or(1.0, |(max_norm, norm)| clip::coefficient(max_norm, norm));
        let (l2, decay) = match self.rule.weight_decay() {
            WeightDecay::L2(strength) => (strength, 0.0),
            WeightDecay::Decoupled(strength) => (0.0, learning_rate * strength),
        };
        let surroundings = Surroundings { clip_coefficient, l2, decay };

        let mut parameters = Vec::with_capacity(found.len());
        let mut sum_of_squares = 0.0;
        let mut found = found.into_iter();
        model.visit_mut(&mut Path::root(), &mut |path, w| {
            if !w.is_leaf() {
                return;
            }
            let g = found.next().expect("visit_mut shows the same tensors as visit, in the same order");
            let known = &mut self.state.parameters;
            if !known.contains_key(path.as_str()) {
                let new = ParameterState::new(path.as_str(), w, &self.rule.buffers());
                known.insert(Arc::clone(&new.path), new);
            }
            let state = known.get_mut(path.as_str()).expect("made above");
            state.steps += 1;
            let step = Step { t: state.steps, lr: learning_rate };
            let totals = self.rule.update_parameter(step, w, g, &mut state.buffers, surroundings);
            sum_of_squares += totals.gradient;
            parameters.push(ParameterReport::new(Arc::clone(&state.path), w.elements(), totals));
        });
        self.state.steps += 1;
        let gradient_norm = norm_before.unwrap_or_else(|| sum_of_squares.sqrt());
        StepReport { step: self.state.steps, learning_rate, gradient_norm, clip_coefficient, parameters }
    }
}

/// Checking.
impl Optimizer {
    /// The gradients of all trainable parameters, in the order of the model, after every check that can fail.
    #[track_caller]
    fn survey<'a>(&self, model: &(impl Module + ?Sized), gradients: &'a Gradients) -> Vec<&'a Tensor> {
        let mut survey = Survey { gradients, state: &self.state, found: Vec::new(), unfit: None };
        model.visit(&mut Path::root(), &mut survey);
        let Survey { found, unfit, .. } = survey;
        if found.is_empty() {
            let hint = "requires_grad() makes a tensor trainable";
            misuse("step", "the model has no trainable parameter", &[], hint);
        }
        if found.iter().any(Option::is_none) {
            missing_gradients(model, &found);
        }
        if let Some(index) = unfit {
            let (path, w) = &model.parameters()[index];
            let state = &self.state.parameters[path.as_str()];
            let rows = [
                ("parameter", path.clone()),
                ("state", format!("{} {}", state.shape, state.dtype)),
                ("now", format!("{} {}", w.shape(), w.dtype())),
            ];
            let hint = "a changed model needs a new optimizer";
            misuse("step", "a parameter no longer fits its state", &rows, hint);
        }
        let found: Vec<&Tensor> = found.into_iter().flatten().collect();
        if let Some((first, second)) = same_twice(&found) {
            let parameters = model.parameters();
            let rows = [("first", parameters[first].0.clone()), ("second", parameters[second].0.clone())];
            let hint = "keep a shared tensor in one field and use it in both places";
            misuse("step", "two paths lead to the same parameter", &rows, hint);
        }
        found
    }
}

/// Looks up gradients on a walk through a model.
struct Survey<'g, 's> {
    gradients: &'g Gradients,
    state: &'s State,
    found: Vec<Option<&'g Tensor>>,
    /// Which parameter does not fit its state.
    unfit: Option<usize>,
}

impl Visitor for Survey<'_, '_> {
    fn tensor(&mut self, path: &Path, w: &Tensor) {
        if !w.is_leaf() {
            return;
        }
        if self.state.parameters.get(path.as_str()).is_some_and(|state| !state.fits(w)) {
            self.unfit = Some(self.found.len());
        }
        self.found.push(self.gradients.get(w));
    }
}

/// Two positions that hold one and the same gradient, so that one parameter was met twice.
fn same_twice(found: &[&Tensor]) -> Option<(usize, usize)> {
    let mut by_address: Vec<_> =
        found.iter().enumerate().map(|(idx, &g)| (std::ptr::from_ref(g), idx)).collect();
    by_address.sort_unstable();
    by_address.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| (pair[0].1, pair[1].1))
}

/// How many parameters without a gradient an error lists.
const LISTED: usize = 8;

#[track_caller]
#[cold]
fn missing_gradients(model: &(impl Module + ?Sized), found: &[Option<&Tensor>]) -> ! {
    let parameters = model.parameters();
    let missing: Vec<_> = parameters.iter().zip(found).filter(|(_, g)| g.is_none()).map(|(w, _)| w).collect();
    let mut rows: Vec<_> =
        missing.iter().take(LISTED).map(|(path, w)| ("missing", format!("{path} {}", w.shape()))).collect();
    if missing.len() > LISTED {
        rows.push(("", format!("and {} more", missing.len() - LISTED)));
    }
    let what = format!("{} of {} trainable parameters have no gradient", missing.len(), found.len());
    let hint = if missing.len() == found.len() {
        "are these the gradients of a loss that this very model computed?"
    } else {
        "the loss does not depend on them, or detach() or no_grad cut the path; freeze() what is not to be trained"
    };
    misuse("step", &what, &rows, hint)
}

fn sum_squares(g: &Tensor) -> f64 {
    fn sum<T: FloatElement>(g: &Tensor) -> f64 {
        g.as_slice::<T>().map_or_else(|| reduce::sum_squares(&g.to_vec::<T>()), reduce::sum_squares)
    }
    match g.dtype() {
        DType::F64 => sum::<f64>(g),
        _ => sum::<f32>(g),
    }
}
