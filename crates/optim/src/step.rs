//! One step of an [`Optimizer`], in this order:
//!
//! ```text
//! every trainable parameter has a gradient, or need not have one (allow_unreached), or nothing happens at all
//! lr = schedule(base lr, steps taken), and so for other settings     (see scheduled.rs)
//! g ← clipped: value, each, adaptive, norm          (see clip.rs)
//! g ← g + N(0, eta/tᵞ)                              noise
//! for each parameter that has one, in the order of the model, in one pass over memory:
//!     g ← ±g + λ·w                                  maximised or not; L2 weight decay
//!     u ← rule(g) + lr·λ'·w                         decoupled weight decay
//!     w ← w − u
//! running statistics ← what the forward pass saw    ([`Gradients::statistics`])
//! averages ← w
//! ```
//!
//! A parameter that stands in several fields of the model (tied weights) is one parameter, known by its first
//! path.
//!
//! Threads share the work inside a parameter only, along cuts that depend on its length; norms add up the
//! parameters in the order of the model. So a step gives the same bits on any number of threads.

use crate::elements::Surroundings;
use crate::lost_state;
use crate::method::Method;
use crate::norm::{Norm, is_exact};
use crate::objective::{Objective, Whole, Within, wanted};
use crate::optimizer::{Optimizer, Visited};
use crate::prepare::{Accepted, Ready};
use crate::report::{ParameterReport, Skip, StepReport};
use crate::rounding;
use crate::rule::{Needs, Noise, Step, WeightDecay};
use crate::state::ParameterState;
use crate::survey::{Surveyed, each_parameter, each_reached, survey};
use backflow_kernels::Float;
use backflow_tensor::observe::is_watched;
use backflow_tensor::training::Scope;
use backflow_tensor::{DType, Gradients, Module, Rng, Tensor, misuse, no_grad, profile::section};
use std::borrow::Cow;
use std::sync::Arc;

/// What the bold driver's rate is held below.
const LARGEST_RATE: f64 = 1e12;

/// Stepping.
impl Optimizer {
    /// Updates every trainable parameter of `model` by its gradient, and reports what happened.
    ///
    /// Parameters are written in place. A copy is made only of those whose elements something else still
    /// holds, such as a graph that was not released; where that is another tensor that is the same leaf, a
    /// clone of the model for instance, the model's becomes a [leaf of its own](Tensor#identity).
    ///
    /// Running statistics that travel with the gradients ([`Gradients::statistics`]) are folded into the
    /// model's buffers, unless the step is skipped.
    ///
    /// # Panics
    /// Before anything is changed: if a trainable parameter has no gradient and is not
    /// [allowed](Self::allow_unreached) to have none, if there is no trainable parameter, if two different
    /// tensors have the same path, if a parameter no longer has the shape and element type of its state, or
    /// if the rule needs the loss and not only its gradient ([`step_with`](Self::step_with)). If a layer with
    /// a training mode, such as dropout, computed for this loss outside
    /// [`training`](backflow_tensor::training()) and outside an explicit
    /// [`evaluation`](backflow_tensor::evaluation): then it is not known whether it was to be trained.
    #[track_caller]
    pub fn step<M: Module + ?Sized>(&mut self, model: &mut M, gradients: &Gradients) -> StepReport {
        if self.method.rule.needs() != Needs::Gradient {
            let rows = [("rule", self.method.rule.name().to_owned())];
            let hint = "call step_with(&mut model, |model| loss) instead";
            misuse("step", "this rule needs the loss, not only its gradient", &rows, hint);
        }
        self.set_scheduled();
        let report = self.update(model, gradients, None);
        learn(model, gradients, &report);
        self.take_averages(model, &report);
        self.flush_subnormals(model, &report);
        report
    }

    /// Computes the loss and its gradient, and updates every trainable parameter of `model`: a step of any
    /// rule, also of those that need the loss itself (bold driver), the gradient at another place (SAM) or
    /// both many times (L-BFGS).
    ///
    /// A loss that is not finite changes nothing: the step is reported, and counted, as skipped.
    ///
    /// The loss is computed inside [`training`](backflow_tensor::training()): the scope that this is called
    /// in, or one that is opened for the step ([`scope`](Self::scope)). Each time it is computed in this
    /// step, it begins at the same place of the scope, so that the same elements are dropped. Running
    /// statistics are those of the first time; a step that is skipped or undone (bold driver) learns none.
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
        let scope = self.scope();
        // Not from a copy of the scope, so that what the first time draws is drawn: another step in it draws
        // what follows.
        let (value, gradients) = if Scope::current().is_outside() {
            scope.enter(|| objective.evaluate(model, &f64::is_finite))
        } else {
            objective.evaluate(model, &f64::is_finite)
        };
        let objective = &mut Within { scope, objective };
        if !value.is_finite() {
            return self.skip(Skip::Loss, Some(value), f64::NAN);
        }
        let gradients = wanted(gradients);
        self.set_scheduled();
        let mut is_undone = false;
        let report = match self.method.rule.needs() {
            Needs::LineSearch(lbfgs) => self.minimise(&lbfgs, model, (value, &gradients), objective),
            Needs::Gradient => self.update(model, &gradients, Some(value)),
            Needs::Uphill(distance) => {
                let report = match self.uphill(model, &gradients, distance, objective) {
                    Ok(there) => {
                        let _section = section("optimizer");
                        self.apply(model, there, Some(value))
                    }
                    Err(skip) => self.skip(skip, Some(value), f64::NAN),
                };
                StepReport { evaluations: 2, ..report }
            }
            Needs::Trial { shrink, grow } => {
                let mut before = Vec::new();
                each_parameter(model, &mut |_, w| before.push(w.detach()));
                let mut report = self.update(model, &gradients, Some(value));
                let after = no_grad(|| objective.evaluate(model, &|_| false)).0;
                let risen = !after.is_finite() || if self.maximize { after < value } else { after > value };
                self.judge(model, before, &mut report, if risen { Err(shrink) } else { Ok(grow) });
                is_undone = risen;
                report
            }
        };
        if !is_undone {
            learn(model, &gradients, &report);
        }
        self.take_averages(model, &report);
        self.flush_subnormals(model, &report);
        report
    }

    /// A step as [`step_on`](Self::step_on) makes it, which a gradient that is not finite
    /// [skips](Skip::Gradient): for loops that stop there, while the model is still what it was. An infinity
    /// that [`clip_value`](Self::clip_value) brings into range does not count. It costs a look at all
    /// gradients.
    ///
    /// # Panics
    /// As `step_on`.
    #[track_caller]
    pub fn step_if_finite<M: Module + ?Sized>(
        &mut self,
        model: &mut M,
        objective: &mut impl Objective<M>,
    ) -> StepReport {
        /// Puts back what was asked for, also when the objective panics.
        struct Asked<'a>(&'a mut Optimizer, Accepted);
        impl Drop for Asked<'_> {
            fn drop(&mut self) {
                self.0.accepted = self.1;
            }
        }
        let asked = self.accepted;
        if asked == Accepted::All {
            self.accepted = Accepted::Clippable;
        }
        Asked(self, asked).0.step_on(model, objective)
    }

    /// Where the loss of the next step is computed: the scope that this thread is in, or, outside any, the
    /// beginning of [`training`](backflow_tensor::training()) with the stream of this optimizer's
    /// [`seed`](Self::seed) and the number of steps taken. Whatever else computes the loss of that step
    /// enters it too, and draws the same.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let here = Scope::current();
        if here.is_outside() { Scope::of_step(self.seed, self.state.steps) } else { here }
    }

    /// Tells the schedule a figure to go by, such as the loss on held-out data after an epoch. Only
    /// [`Plateau`](crate::Plateau) listens.
    pub fn observe(&mut self, metric: f64) {
        self.schedule.observe(metric, self.state.steps);
        self.state.schedule =
            self.schedule.memory().into_iter().map(|(name, value)| (name.into(), *value)).collect();
    }

    /// Before the first step: a pattern that matches nothing is a mistake.
    #[track_caller]
    fn require_matches<M: Module + ?Sized>(&self, model: &M) {
        if self.state.steps > 0 || (self.groups.is_empty() && self.unreached.is_empty()) {
            return;
        }
        // Of a tied tensor the path that it is known by.
        let mut paths = Vec::new();
        model.each_tensor(&mut |path, _| paths.push(path.to_string()));
        let groups = self.groups.iter().map(|group| ("group", &group.paths));
        for (name, pattern) in groups.chain(self.unreached.iter().map(|paths| ("allow_unreached", paths))) {
            if !paths.iter().any(|path| pattern.matches(path)) {
                let known = paths.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
                let rows = [(name, pattern.to_string()), ("parameters", known)];
                let hint = "`*` stands for any text, dots included: \"*bias\"";
                misuse("step", "a pattern matches no parameter", &rows, hint);
            }
        }
    }

    /// Whether a rule asks for the norm of all gradients.
    fn needs_norm(&self) -> bool {
        self.method.rule.needs_norm() || self.groups.iter().any(|group| group.method.rule.needs_norm())
    }

    /// Ends a trial: keeps the step and changes the rate by what `Ok` holds, or undoes it and changes the
    /// rate by what `Err` holds.
    fn judge<M: Module + ?Sized>(
        &mut self,
        model: &mut M,
        before: Vec<Tensor>,
        report: &mut StepReport,
        verdict: Result<f64, f64>,
    ) {
        report.evaluations += 1;
        if report.skipped.is_some() {
            return;
        }
        let state = &mut self.state;
        let mut before = before.into_iter();
        let mut updated = report.parameters.iter().peekable();
        each_parameter(model, &mut |path, w| {
            let before = before.next().expect("one for each parameter");
            if updated.next_if(|parameter| &*parameter.path == path).is_none() {
                return;
            }
            if verdict.is_err() {
                w.assign(&before);
            }
            if let Some((_, rate)) =
                state.parameters.get_mut(path).and_then(|state| state.numbers.first_mut())
            {
                // On a flat loss it would grow forever.
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
    pub(crate) fn skip(&mut self, why: Skip, loss: Option<f64>, gradient_norm: f64) -> StepReport {
        let learning_rate = self.learning_rate();
        self.state.skipped += 1;
        StepReport { skipped: Some(why), gradient_norm, ..self.counted(loss, learning_rate) }
    }

    /// Counts a step; a report that says no more than that it was made.
    pub(crate) fn counted(&mut self, loss: Option<f64>, learning_rate: f64) -> StepReport {
        self.state.steps += 1;
        StepReport {
            step: self.state.steps,
            loss,
            evaluations: u64::from(loss.is_some()),
            skipped: None,
            learning_rate,
            gradient_norm: f64::NAN,
            clip_coefficient: 1.0,
            parameters: Vec::new(),
        }
    }

    /// The gradients at `distance` uphill from here (Foret et al. 2021, equation 2), unless the loss there or
    /// the gradient here is not finite; the weights are back afterwards, to the bit. The gradients are looked
    /// up there: a weight that the loss has kept an alias of is another leaf once it is back.
    #[track_caller]
    fn uphill<M: Module + ?Sized>(
        &self,
        model: &mut M,
        gradients: &Gradients,
        distance: f64,
        objective: &mut impl Objective<M>,
    ) -> Result<Surveyed<'static>, Skip> {
        let Surveyed { gradients, unreached } = survey(self, model, gradients);
        if !gradients.iter().all(|ready| self.accepts(&ready.g)) {
            return Err(Skip::Gradient);
        }
        let norm = gradients.iter().map(|ready| Norm::of(&ready.g)).sum::<Norm>().length;
        let distance = if self.maximize { -distance } else { distance };
        let scale = if norm == 0.0 { 0.0 } else { distance / norm };
        let mut saved = Vec::with_capacity(gradients.len());
        let mut gradients = gradients.into_iter();
        each_reached(model, &unreached, &mut |_, w| {
            let before = w.detach();
            let Ready { g, .. } =
                gradients.next().expect("visit_mut shows the same tensors as visit, in the same order");
            w.assign(&(&before + g.detach() * scale));
            saved.push(before);
        });
        let moved = Moved { model, unreached, saved };
        let (there, gradients) = objective.evaluate(moved.model, &f64::is_finite);
        if !there.is_finite() {
            return Err(Skip::Loss);
        }
        Ok(survey(self, moved.model, &wanted(gradients)).into_owned())
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
        self.apply(model, found, loss)
    }

    /// Updates every parameter whose gradient was found.
    #[track_caller]
    fn apply<M: Module + ?Sized>(
        &mut self,
        model: &mut M,
        found: Surveyed<'_>,
        loss: Option<f64>,
    ) -> StepReport {
        self.require_matches(model);
        let mut unreached = found.unreached.clone().into_iter().peekable();
        let learning_rate = self.learning_rate();
        let t = self.state.steps;
        let prepared = self.prepare(model, found, self.needs_norm());
        if !prepared.finite {
            return self.skip(Skip::Gradient, loss, prepared.norm.unwrap_or(f64::NAN));
        }
        let Self { method: default, groups, schedule, maximize, state, visited, noise, .. } = self;

        let mut parameters = Vec::with_capacity(prepared.gradients.len());
        let mut norm = Norm::default();
        let mut ready = prepared.gradients.into_iter();
        let mut next_place = 0;
        each_parameter(model, &mut |path, w| {
            let place = next_place;
            next_place += 1;
            if visited.get(place).is_none_or(|visited| &*visited.path != path) {
                visited.truncate(place);
                visited.push(Visited {
                    path: path.into(),
                    shape: w.shape(),
                    dtype: w.dtype(),
                    has_state: false,
                });
            }
            if unreached.next_if_eq(&place).is_some() {
                return;
            }
            let Ready { g, coefficient, raw } = ready.next().expect("as many as were surveyed");
            let Method { rule, learning_rate } = method_of(default, groups, path);
            let known = &mut state.parameters;
            let visited = &mut visited[place];
            let path = Arc::clone(&visited.path);
            if !visited.has_state {
                known.entry(Arc::clone(&path)).or_insert_with(|| ParameterState::new(&**rule, w));
                visited.has_state = true;
            }
            let state = known.get_mut(&path).expect("made when it was visited");
            state.steps += 1;

            let noise = noise.or(rule.noise()).filter(|noise| noise.eta > 0.0);
            let (g, coefficient, raw) = match noise {
                Some(noise) => {
                    let raw = raw.unwrap_or_else(|| Norm::of(&g));
                    (
                        Cow::Owned(disturbed(&g.detach(), coefficient, noise, &path, state.steps)),
                        1.0,
                        Some(raw),
                    )
                }
                None => (g, coefficient, raw),
            };
            let lr = schedule.learning_rate(*learning_rate, t);
            let (l2, decay) = match rule.weight_decay() {
                WeightDecay::L2(strength) => (strength, 0.0),
                WeightDecay::Decoupled(strength) => (0.0, lr * strength),
            };
            let coefficient = if *maximize { -coefficient } else { coefficient };
            let surroundings = Surroundings { coefficient, l2, decay, keep: 1.0 };
            let step = Step { t: state.steps, lr, gradient_norm: prepared.clipped_norm };
            let is_asked = state.is_near_rounding && lr != 0.0 && is_watched();
            let before = is_asked.then(|| w.detach().copied());
            let mut totals = rule.update_parameter(step, w, &g, state, surroundings);
            let leaves_range = w.dtype() == DType::F64 && !is_exact(totals.gradient);
            let raw = raw.unwrap_or_else(|| match leaves_range {
                true => Norm::of(&g),
                false => Norm::of_square(totals.gradient),
            });
            totals.gradient = raw.square;
            norm = norm + raw;
            if state.lost.is_some() || lost_state::is_possible(&totals, w.dtype()) {
                state.lost = lost_state::find(state, t + 1);
            }
            let eps = rule.eps(w.shape(), w.dtype()).filter(|_| rule.is_linear_below_eps());
            let mut report = ParameterReport::new(path, lr, eps, w.elements(), totals);
            if !is_exact(raw.square) {
                report.gradient_rms = raw.length / (w.elements().max(1) as f64).sqrt();
            }
            state.is_near_rounding = rounding::is_near(report.update_ratio, w.dtype());
            report.changed_share = before.and_then(|before| rounding::changed_share(&before, w, &g));
            report.lost_state.clone_from(&state.lost);
            parameters.push(report);
        });
        StepReport {
            gradient_norm: prepared.norm.unwrap_or(norm.length),
            clip_coefficient: prepared.coefficient,
            parameters,
            ..self.counted(loss, learning_rate)
        }
    }
}

/// Folds what the forward pass saw into the running statistics, after a step that changed something.
#[track_caller]
fn learn<M: Module + ?Sized>(model: &mut M, gradients: &Gradients, report: &StepReport) {
    if report.skipped.is_none() {
        gradients.fold_statistics(model);
    }
}

/// A model whose weights are elsewhere for a while. They are put back also when the loss there panics.
struct Moved<'a, M: Module + ?Sized> {
    model: &'a mut M,
    unreached: Vec<usize>,
    saved: Vec<Tensor>,
}

impl<M: Module + ?Sized> Drop for Moved<'_, M> {
    fn drop(&mut self) {
        let mut saved = self.saved.drain(..);
        each_reached(self.model, &self.unreached, &mut |_, w| {
            if let Some(before) = saved.next() {
                w.assign(&before);
            }
        });
    }
}

/// What a parameter is updated by.
pub(crate) fn method_of<'a>(
    default: &'a Method,
    groups: &'a [crate::optimizer::Group],
    path: &str,
) -> &'a Method {
    groups.iter().find(|group| group.paths.matches(path)).map_or(default, |group| &group.method)
}

/// c·g plus noise that depends on its seed, the parameter's path and the step, and on nothing else.
fn disturbed(g: &Tensor, coefficient: f64, noise: Noise, path: &str, t: u64) -> Tensor {
    let mut rng =
        path.bytes().fold(Rng::seed_from_u64(noise.seed), |rng, byte| rng.split(u64::from(byte))).split(t);
    let deviation = (noise.eta / Float::powf(t as f64, noise.gamma)).sqrt();
    g * coefficient + Tensor::randn(g.shape(), g.dtype(), &mut rng) * deviation
}
