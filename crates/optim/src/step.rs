//! One step of an [`Optimizer`], in this order:
//!
//! ```text
//! every trainable parameter has a gradient, or nothing happens at all
//! lr = schedule(base lr, steps taken), and so for other settings     (see scheduled.rs)
//! g ← clipped: value, each, adaptive, norm          (see clip.rs)
//! g ← g + N(0, eta/tᵞ)                              noise
//! for each parameter, in the order of the model, in one pass over memory:
//!     g ← ±g + λ·w                                  maximised or not; L2 weight decay
//!     u ← rule(g) + lr·λ'·w                         decoupled weight decay
//!     w ← w − u
//! averages ← w
//! ```
//!
//! Threads share the work inside a parameter only, along cuts that depend on its length; norms add up the parameters in the
//! order of the model. So a step gives the same bits on any number of threads.

use crate::elements::Surroundings;
use crate::method::{AnyRule, Kind};
use crate::objective::{Objective, Whole, wanted};
use crate::optimizer::{Met, Optimizer};
use crate::prepare::{Ready, sum_squares};
use crate::report::{ParameterReport, StepReport};
use crate::rule::{Needs, Noise, Step, WeightDecay};
use crate::state::ParameterState;
use crate::survey::survey;
use backflow_kernels::Float;
use backflow_tensor::{DType, Gradients, Module, Path, Rng, Tensor, misuse, no_grad, profile::section};
use std::borrow::Cow;
use std::sync::Arc;

/// What the bold driver's rate is held below.
const LARGEST_RATE: f64 = 1e12;

/// Stepping.
impl Optimizer {
    /// Updates every trainable parameter of `model` by its gradient, and reports what happened.
    ///
    /// Parameters are written in place. A copy is made only of those whose elements something else still holds, such as a
    /// graph that was not released.
    ///
    /// # Panics
    /// Before anything is changed: if a trainable parameter has no gradient, if there is no trainable parameter, if two
    /// paths lead to one parameter, if a parameter no longer has the shape and element type of its state, or if the rule needs
    /// the loss and not only its gradient ([`step_with`](Self::step_with)).
    #[track_caller]
    pub fn step<M: Module + ?Sized>(&mut self, model: &mut M, gradients: &Gradients) -> StepReport {
        let asks = match &self.method.0 {
            Kind::PerParameter(rule) => rule.needs().more_than_gradients(),
            Kind::Lbfgs(_) => true,
        };
        if asks {
            let rows = [("rule", self.method.name().to_owned())];
            let hint = "call step_with(&mut model, |model| loss) instead";
            misuse("step", "this rule needs the loss, not only its gradient", &rows, hint);
        }
        self.set_scheduled();
        let report = self.update(model, gradients, None);
        self.take_averages(model, &report);
        self.flush_subnormals(model, &report);
        report
    }

    /// Computes the loss and its gradient, and updates every trainable parameter of `model`: a step of any rule, also of those
    /// that need the loss itself (bold driver), the gradient at another place (SAM) or both many times (L-BFGS).
    ///
    /// A loss that is no finite number changes nothing: the step is reported, and counted, as skipped.
    ///
    /// ```
    /// use backflow_optim::{Lbfgs, Optimizer};
    /// use backflow_tensor::Tensor;
    /// let mut w = Tensor::from([3.0, -4.0]).requires_grad();
    /// let report = Optimizer::new(Lbfgs::new(1.0)).step_with(&mut w, |w| (w * w).sum(..));
    /// assert_eq!(report.loss, Some(25.0));
    /// assert!((&w * &w).sum(..).item() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// As [`step`](Self::step), the last reason aside.
    #[track_caller]
    pub fn step_with<M: Module + ?Sized>(
        &mut self,
        model: &mut M,
        loss: impl FnMut(&M) -> Tensor,
    ) -> StepReport {
        self.step_on(model, &mut Whole(loss))
    }

    /// A step of any rule whose losses and gradients come from an [`Objective`], such as the parts of a batch
    /// put together: what [`step_with`](Self::step_with) is, for a loss that is not one tensor.
    ///
    /// # Panics
    /// As [`step_with`](Self::step_with), or if the objective gives no gradients of a finite loss.
    #[track_caller]
    pub fn step_on<M: Module + ?Sized>(
        &mut self,
        model: &mut M,
        objective: &mut impl Objective<M>,
    ) -> StepReport {
        let (value, gradients) = objective.evaluate(model, &f64::is_finite);
        if !value.is_finite() {
            return self.skip(Some(value), f64::NAN);
        }
        let gradients = wanted(gradients);
        self.set_scheduled();
        let needs = match &self.method.0 {
            Kind::PerParameter(rule) => Some(rule.needs()),
            Kind::Lbfgs(_) => None,
        };
        let report = match needs {
            None => self.minimise(model, (value, gradients), objective),
            Some(Needs::Gradient) => self.update(model, &gradients, Some(value)),
            Some(Needs::Uphill(distance)) => {
                let report = match self.uphill(model, &gradients, distance, objective) {
                    Some(there) => self.update(model, &there, Some(value)),
                    None => self.skip(Some(value), f64::NAN),
                };
                StepReport { evaluations: 2, ..report }
            }
            Some(Needs::Trial { shrink, grow }) => {
                let before: Vec<Tensor> = model.parameters().iter().map(|(_, w)| w.detach()).collect();
                let mut report = self.update(model, &gradients, Some(value));
                let after = no_grad(|| objective.evaluate(model, &|_| false)).0;
                let risen = !after.is_finite() || if self.maximize { after < value } else { after > value };
                self.judge(model, before, &mut report, if risen { Err(shrink) } else { Ok(grow) });
                report
            }
        };
        self.take_averages(model, &report);
        self.flush_subnormals(model, &report);
        report
    }

    /// Tells the schedule a figure to go by, such as the loss on held-out data after an epoch. Only
    /// [`Plateau`](crate::Plateau) listens.
    pub fn observe(&mut self, metric: f64) {
        self.schedule.observe(metric, self.state.steps);
        self.state.schedule =
            self.schedule.memory().into_iter().map(|(name, value)| (name.into(), *value)).collect();
    }

    /// Before the first step: a group that matches nothing is a slip of the pen.
    #[track_caller]
    fn require_matches<M: Module + ?Sized>(&self, model: &M) {
        if self.state.steps > 0 || self.groups.is_empty() {
            return;
        }
        let paths = model.state();
        for group in &self.groups {
            if !paths.iter().any(|(path, _)| group.paths.matches(path)) {
                let known = paths.iter().take(8).map(|(path, _)| &**path).collect::<Vec<_>>().join(", ");
                let rows = [("group", group.paths.to_string()), ("parameters", known)];
                misuse(
                    "step",
                    "a group matches no parameter",
                    &rows,
                    "`*` stands for any text, dots included: \"*bias\"",
                );
            }
        }
    }

    /// Whether a rule asks for the norm of all gradients.
    fn needs_norm(&self) -> bool {
        let groups = self.groups.iter().any(|group| group.rule.needs_norm());
        groups || matches!(&self.method.0, Kind::PerParameter(rule) if rule.needs_norm())
    }

    /// Ends a trial: keeps the step and changes the rate by what `Ok` holds, or undoes it and changes the rate by what `Err` holds.
    fn judge<M: Module + ?Sized>(
        &mut self,
        model: &mut M,
        before: Vec<Tensor>,
        report: &mut StepReport,
        verdict: Result<f64, f64>,
    ) {
        report.evaluations += 1;
        if report.skipped {
            return;
        }
        let state = &mut self.state;
        let mut before = before.into_iter();
        each_leaf(model, &mut |path, w| {
            let before = before.next().expect("one for each parameter");
            if verdict.is_err() {
                assign(w, &before);
            }
            if let Some((_, rate)) =
                state.parameters.get_mut(path).and_then(|state| state.numbers.first_mut())
            {
                // On a flat loss it would grow for ever.
                *rate = (*rate * verdict.unwrap_or_else(|shrink| shrink)).min(LARGEST_RATE);
            }
        });
        if verdict.is_err() {
            for parameter in &mut report.parameters {
                (parameter.update_rms, parameter.update_ratio) = (0.0, 0.0);
            }
        }
    }

    /// A step that changes nothing.
    pub(crate) fn skip(&mut self, loss: Option<f64>, gradient_norm: f64) -> StepReport {
        let learning_rate = self.learning_rate();
        self.state.steps += 1;
        self.state.skipped += 1;
        StepReport {
            step: self.state.steps,
            loss,
            evaluations: u64::from(loss.is_some()),
            skipped: true,
            learning_rate,
            gradient_norm,
            clip_coefficient: 1.0,
            parameters: Vec::new(),
        }
    }

    /// The gradients at `distance` uphill from here (Foret et al. 2021, equation 2), unless the loss there is no finite number;
    /// the weights are back afterwards, to the bit.
    #[track_caller]
    fn uphill<M: Module + ?Sized>(
        &self,
        model: &mut M,
        gradients: &Gradients,
        distance: f64,
        objective: &mut impl Objective<M>,
    ) -> Option<Gradients> {
        let found = survey(self, model, gradients);
        let norm = found.iter().map(|g| sum_squares(g)).sum::<f64>().sqrt();
        let distance = if self.maximize { -distance } else { distance };
        let scale = if norm == 0.0 { 0.0 } else { distance / norm };
        let mut saved = Vec::with_capacity(found.len());
        let mut gradients = found.into_iter();
        each_leaf(model, &mut |_, w| {
            let before = w.detach();
            let g = gradients.next().expect("visit_mut shows the same tensors as visit, in the same order");
            assign(w, &(&before + g.detach() * scale));
            saved.push(before);
        });
        let moved = Moved { model, saved };
        let (there, gradients) = objective.evaluate(moved.model, &f64::is_finite);
        there.is_finite().then(|| wanted(gradients))
    }

    #[track_caller]
    fn update<M: Module + ?Sized>(
        &mut self,
        model: &mut M,
        gradients: &Gradients,
        loss: Option<f64>,
    ) -> StepReport {
        let _section = section("optimizer");
        let found = survey(self, model, gradients);
        self.require_matches(model);
        let learning_rate = self.learning_rate();
        let t = self.state.steps;
        let prepared = self.prepare(model, found, self.needs_norm());
        if self.skip_nonfinite && !prepared.finite {
            return self.skip(loss, prepared.norm.unwrap_or(f64::NAN));
        }
        let Self { method, groups, schedule, maximize, state, met, noise, .. } = self;
        let Kind::PerParameter(default) = &method.0 else { unreachable!("L-BFGS has a step of its own") };

        let mut parameters = Vec::with_capacity(prepared.gradients.len());
        let mut sum_of_squares = 0.0;
        let mut ready = prepared.gradients.into_iter();
        each_leaf(model, &mut |path, w| {
            let Ready { g, coefficient, raw } = ready.next().expect("as many as were surveyed");
            let rule = rule_of(&**default, groups, path);
            let known = &mut state.parameters;
            let place = parameters.len();
            if met.get(place).is_none_or(|met| &*met.path != path) {
                met.truncate(place);
                let path: Arc<str> = path.into();
                known.entry(Arc::clone(&path)).or_insert_with(|| ParameterState::new(rule, w));
                met.push(Met { path, shape: w.shape(), dtype: w.dtype() });
            }
            let path = Arc::clone(&met[place].path);
            let state = known.get_mut(&path).expect("made when it was met");
            state.steps += 1;

            let noise = noise.or(rule.noise()).filter(|noise| noise.eta > 0.0);
            let (g, coefficient, raw) = match noise {
                Some(noise) => {
                    let raw = raw.unwrap_or_else(|| sum_squares(&g));
                    (
                        Cow::Owned(disturbed(&g.detach(), coefficient, noise, &path, state.steps)),
                        1.0,
                        Some(raw),
                    )
                }
                None => (g, coefficient, raw),
            };
            let lr = schedule.learning_rate(rule.learning_rate(), t);
            let (l2, decay) = match rule.weight_decay() {
                WeightDecay::L2(strength) => (strength, 0.0),
                WeightDecay::Decoupled(strength) => (0.0, lr * strength),
            };
            let coefficient = if *maximize { -coefficient } else { coefficient };
            let surroundings = Surroundings { coefficient, l2, decay, keep: 1.0 };
            let step = Step { t: state.steps, lr, gradient_norm: prepared.clipped_norm };
            let mut totals = rule.update_parameter(step, w, &g, state, surroundings);
            totals.gradient = raw.unwrap_or(totals.gradient);
            sum_of_squares += totals.gradient;
            parameters.push(ParameterReport::new(path, lr, rule.eps(), w.elements(), totals));
        });
        state.steps += 1;
        StepReport {
            step: state.steps,
            loss,
            evaluations: u64::from(loss.is_some()),
            skipped: false,
            learning_rate,
            gradient_norm: prepared.norm.unwrap_or_else(|| sum_of_squares.sqrt()),
            clip_coefficient: prepared.coefficient,
            parameters,
        }
    }
}

/// A model whose weights are elsewhere for a while. They are put back also when the loss there panics.
struct Moved<'a, M: Module + ?Sized> {
    model: &'a mut M,
    saved: Vec<Tensor>,
}

impl<M: Module + ?Sized> Drop for Moved<'_, M> {
    fn drop(&mut self) {
        let mut saved = self.saved.drain(..);
        each_leaf(self.model, &mut |_, w| {
            if let Some(before) = saved.next() {
                assign(w, &before);
            }
        });
    }
}

/// The rule that a parameter is updated by.
pub(crate) fn rule_of<'a>(
    default: &'a dyn AnyRule,
    groups: &'a [crate::optimizer::Group],
    path: &str,
) -> &'a dyn AnyRule {
    groups.iter().find(|group| group.paths.matches(path)).map_or(default, |group| &*group.rule)
}

/// Visits the trainable parameters.
pub(crate) fn each_leaf<M: Module + ?Sized>(model: &mut M, visit: &mut dyn FnMut(&str, &mut Tensor)) {
    model.visit_mut(&mut Path::root(), &mut |path, w| {
        if w.is_leaf() {
            visit(path.as_str(), w);
        }
    });
}

/// c·g plus noise that depends on its seed, the parameter's path and the step, and on nothing else.
fn disturbed(g: &Tensor, coefficient: f64, noise: Noise, path: &str, t: u64) -> Tensor {
    let mut rng =
        path.bytes().fold(Rng::seed_from_u64(noise.seed), |rng, byte| rng.split(u64::from(byte))).split(t);
    let deviation = (noise.eta / Float::powf(t as f64, noise.gamma)).sqrt();
    g * coefficient + Tensor::randn(g.shape(), g.dtype(), &mut rng) * deviation
}

/// Writes `values` into a parameter, which stays the same leaf.
pub(crate) fn assign(w: &mut Tensor, values: &Tensor) {
    match w.dtype() {
        DType::F64 => w.as_mut_slice::<f64>().copy_from_slice(&values.to_vec::<f64>()),
        _ => w.as_mut_slice::<f32>().copy_from_slice(&values.to_vec::<f32>()),
    }
}
