//! One step of an [`Optimizer`], in this order:
//!
//! ```text
//! every trainable parameter has a gradient, or nothing happens at all
//! lr = schedule(base lr, steps taken)
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

use crate::clip;
use crate::elements::Surroundings;
use crate::method::{AnyRule, Kind};
use crate::optimizer::Optimizer;
use crate::report::{ParameterReport, StepReport};
use crate::rule::{Needs, Noise, Step, WeightDecay};
use crate::state::ParameterState;
use crate::survey::survey;
use backflow_kernels::{Float, reduce};
use backflow_tensor::{DType, FloatElement, Gradients, Module, Path, Rng, Tensor, misuse};
use std::sync::Arc;

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
        let need = self.needs().into_iter().find(|need| matches!(need, Needs::Loss | Needs::Uphill(_)));
        if need.is_some() || matches!(self.method.0, Kind::Lbfgs(_)) {
            let rows = [("rule", self.method.name().to_owned())];
            let hint = "call step_with(&mut model, |model| loss) instead";
            misuse("step", "this rule needs the loss, not only its gradient", &rows, hint);
        }
        self.update(model, gradients, None)
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
        mut loss: impl FnMut(&M) -> Tensor,
    ) -> StepReport {
        let before = loss(model);
        let value = before.item();
        if !value.is_finite() {
            return self.skip(Some(value), f64::NAN);
        }
        let gradients = before.backward();
        if matches!(self.method.0, Kind::Lbfgs(_)) {
            return self.minimise(model, (value, gradients), &mut loss);
        }
        let uphill = self.needs().into_iter().find_map(|need| match need {
            Needs::Uphill(distance) => Some(distance),
            _ => None,
        });
        let Some(distance) = uphill else {
            return self.update(model, &gradients, Some(value));
        };
        let there = self.uphill(model, &gradients, distance, &mut loss);
        let report = self.update(model, &there, Some(value));
        StepReport { evaluations: 2, ..report }
    }

    /// Tells the schedule a figure to go by, such as the loss on held-out data after an epoch. Only
    /// [`Plateau`](crate::Plateau) listens.
    pub fn observe(&mut self, metric: f64) {
        self.schedule.observe(metric, self.state.steps);
        self.state.schedule =
            self.schedule.memory().into_iter().map(|(name, value)| (name.into(), *value)).collect();
    }

    /// Runs `f` on the model with the weights that are to be evaluated in place of those that are trained: the average that
    /// Schedule-Free, ASGD or [`average`](Self::average) keeps. Without one, these are the same.
    ///
    /// ```
    /// # use backflow_optim::{Averaging, Optimizer, Sgd};
    /// # use backflow_tensor::Tensor;
    /// let mut w = Tensor::from(8.0).requires_grad();
    /// let mut optimizer = Optimizer::new(Sgd::new(0.25)).average(Averaging::Mean { start: 0 });
    /// for _ in 0..3 {
    ///     optimizer.step_with(&mut w, |w| w * w);
    /// }
    /// assert_eq!((w.item(), optimizer.evaluating(&mut w, Tensor::item)), (1.0, (4.0 + 2.0 + 1.0) / 3.0));
    /// ```
    pub fn evaluating<M: Module + ?Sized, R>(&mut self, model: &mut M, f: impl FnOnce(&M) -> R) -> R {
        /// Puts the weights back, also when `f` panics.
        struct Swapped<'a, M: Module + ?Sized>(&'a mut Optimizer, &'a mut M);
        impl<M: Module + ?Sized> Drop for Swapped<'_, M> {
            fn drop(&mut self) {
                self.0.swap_averages(self.1);
            }
        }
        self.swap_averages(model);
        let swapped = Swapped(self, model);
        f(swapped.1)
    }

    fn swap_averages<M: Module + ?Sized>(&mut self, model: &mut M) {
        let Self { method, groups, state, averaging, .. } = self;
        let Kind::PerParameter(default) = &method.0 else {
            if averaging.is_none() {
                return;
            }
            model.visit_mut(&mut Path::root(), &mut |path, w| {
                let average =
                    state.parameters.get_mut(path.as_str()).and_then(|state| state.average.as_mut());
                average.into_iter().for_each(|average| swap(w, average));
            });
            return;
        };
        model.visit_mut(&mut Path::root(), &mut |path, w| {
            let name = rule_of(default, groups, path.as_str()).average();
            let Some(state) = state.parameters.get_mut(path.as_str()) else { return };
            let own = name.and_then(|name| state.buffers.iter_mut().find(|(own, _)| own == name));
            let average = own.map(|(_, buffer)| buffer).or(state.average.as_mut());
            average.into_iter().for_each(|average| swap(w, average));
        });
    }

    /// What the rules need, the default's first.
    fn needs(&self) -> Vec<Needs> {
        let default = match &self.method.0 {
            Kind::PerParameter(rule) => Some(rule.needs()),
            Kind::Lbfgs(_) => None,
        };
        default.into_iter().chain(self.groups.iter().map(|group| group.rule.needs())).collect()
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

    /// The gradients at `distance` uphill from here (Foret et al. 2021, equation 2); the weights are back afterwards, to the bit.
    #[track_caller]
    fn uphill<M: Module + ?Sized>(
        &self,
        model: &mut M,
        gradients: &Gradients,
        distance: f64,
        loss: &mut impl FnMut(&M) -> Tensor,
    ) -> Gradients {
        let found = survey(&self.state, model, gradients);
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
        let there = loss(model).backward();
        let mut saved = saved.into_iter();
        each_leaf(model, &mut |_, w| assign(w, &saved.next().expect("one for each parameter")));
        there
    }

    #[track_caller]
    fn update<M: Module + ?Sized>(
        &mut self,
        model: &mut M,
        gradients: &Gradients,
        loss: Option<f64>,
    ) -> StepReport {
        let found = survey(&self.state, model, gradients);
        let learning_rate = self.learning_rate();
        let t = self.state.steps;
        let needs = self.needs();
        let prepared = self.prepare(model, found, needs.contains(&Needs::Norm));
        if self.skip_nonfinite && !prepared.finite {
            return self.skip(loss, prepared.norm.unwrap_or(f64::NAN));
        }
        let Self { method, groups, schedule, maximize, averaging, state, noise, .. } = self;
        let Kind::PerParameter(default) = &method.0 else { unreachable!("L-BFGS has a step of its own") };

        let mut parameters = Vec::with_capacity(prepared.gradients.len());
        let mut sum_of_squares = 0.0;
        let mut ready = prepared.gradients.into_iter();
        each_leaf(model, &mut |path, w| {
            let Ready { g, coefficient, raw } = ready.next().expect("as many as were surveyed");
            let rule = &**rule_of(default, groups, path);
            let known = &mut state.parameters;
            if !known.contains_key(path) {
                known.insert(path.into(), ParameterState::new(rule, w));
            }
            let path: Arc<str> =
                known.get_key_value(path).map(|(path, _)| Arc::clone(path)).expect("made above");
            let state = known.get_mut(&path).expect("made above");
            state.steps += 1;

            let noise = noise.or(rule.noise()).filter(|noise| noise.eta > 0.0);
            let (g, coefficient, raw) = match noise {
                Some(noise) => {
                    let raw = raw.unwrap_or_else(|| sum_squares(&g));
                    (disturbed(&g, coefficient, noise, &path, state.steps), 1.0, Some(raw))
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
            let step = Step {
                t: state.steps,
                lr,
                loss: loss.unwrap_or(f64::NAN),
                gradient_norm: prepared.clipped_norm,
            };
            let step = if *maximize { Step { loss: -step.loss, ..step } } else { step };
            let mut totals = rule.update_parameter(step, w, &g, state, surroundings);
            totals.gradient = raw.unwrap_or(totals.gradient);
            if let Some(averaging) = averaging {
                averaging.update(&mut state.average, w, state.steps);
            }
            sum_of_squares += totals.gradient;
            parameters.push(ParameterReport::new(path, lr, w.elements(), totals));
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

    /// Clips the gradients, and looks at them as far as the settings ask for it.
    pub(crate) fn prepare<M: Module + ?Sized>(
        &self,
        model: &M,
        found: Vec<&Tensor>,
        norm_needed: bool,
    ) -> Prepared {
        let clipping = self.clipping;
        let reshapes = clipping.reshapes();
        let looks = reshapes
            || clipping.each.is_some()
            || clipping.norm.is_some()
            || norm_needed
            || self.skip_nonfinite;
        if !looks {
            let ready = |g: &Tensor| Ready { g: g.detach(), coefficient: 1.0, raw: None };
            let gradients = found.into_iter().map(ready).collect();
            return Prepared {
                gradients,
                norm: None,
                clipped_norm: f64::NAN,
                coefficient: 1.0,
                finite: true,
            };
        }
        let weights = if clipping.adaptive.is_some() { model.parameters() } else { Vec::new() };
        let (mut raw_total, mut total) = (0.0, 0.0);
        let mut finite = true;
        let mut gradients: Vec<Ready> = Vec::with_capacity(found.len());
        for (index, g) in found.into_iter().enumerate() {
            let raw = sum_squares(g);
            // f64 gradients above 1e154 are finite and their squares are not.
            finite &= raw.is_finite() || all_finite(g);
            raw_total += raw;
            let mut ready = Ready { g: g.detach(), coefficient: 1.0, raw: reshapes.then_some(raw) };
            let mut squares = raw;
            if clipping.value.is_some() {
                ready.g = clipping.limited(&ready.g);
                squares = sum_squares(&ready.g);
            }
            if let Some(max_norm) = clipping.each {
                ready.coefficient = clip::coefficient(max_norm, squares.sqrt());
                squares *= ready.coefficient * ready.coefficient;
            }
            if clipping.adaptive.is_some() {
                let scaled = if ready.coefficient == 1.0 { ready.g } else { ready.g * ready.coefficient };
                ready.g = clipping.adapted(&weights[index].1, &scaled);
                ready.coefficient = 1.0;
                squares = sum_squares(&ready.g);
            }
            total += squares;
            gradients.push(ready);
        }
        let norm = total.sqrt();
        let coefficient = clipping.norm.map_or(1.0, |max_norm| clip::coefficient(max_norm, norm));
        gradients.iter_mut().for_each(|ready| ready.coefficient *= coefficient);
        Prepared {
            gradients,
            norm: Some(raw_total.sqrt()),
            clipped_norm: norm * coefficient,
            coefficient,
            finite,
        }
    }
}

/// The gradients of a step, ready for the rules.
pub(crate) struct Prepared {
    pub(crate) gradients: Vec<Ready>,
    /// The norm of all gradients before clipping, if it was measured.
    pub(crate) norm: Option<f64>,
    clipped_norm: f64,
    /// What clipping by norm multiplied all of them by.
    pub(crate) coefficient: f64,
    pub(crate) finite: bool,
}

/// One gradient, ready for its rule.
pub(crate) struct Ready {
    pub(crate) g: Tensor,
    /// What it is still to be multiplied by.
    pub(crate) coefficient: f64,
    /// Σ g² before it was changed, if it was.
    raw: Option<f64>,
}

/// The rule that a parameter is updated by.
pub(crate) fn rule_of<'a>(
    default: &'a Box<dyn AnyRule>,
    groups: &'a [crate::optimizer::Group],
    path: &str,
) -> &'a Box<dyn AnyRule> {
    groups.iter().find(|group| group.paths.matches(path)).map_or(default, |group| &group.rule)
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

/// Exchanges the elements of a parameter and of its average; the parameter stays the same leaf.
fn swap(w: &mut Tensor, average: &mut Tensor) {
    match w.dtype() {
        DType::F64 => w.as_mut_slice::<f64>().swap_with_slice(average.as_mut_slice()),
        _ => w.as_mut_slice::<f32>().swap_with_slice(average.as_mut_slice()),
    }
}

/// Writes `values` into a parameter, which stays the same leaf.
pub(crate) fn assign(w: &mut Tensor, values: &Tensor) {
    match w.dtype() {
        DType::F64 => w.as_mut_slice::<f64>().copy_from_slice(&values.to_vec::<f64>()),
        _ => w.as_mut_slice::<f32>().copy_from_slice(&values.to_vec::<f32>()),
    }
}

pub(crate) fn sum_squares(g: &Tensor) -> f64 {
    fn sum<T: FloatElement>(g: &Tensor) -> f64 {
        g.as_slice::<T>().map_or_else(|| reduce::sum_squares(&g.to_vec::<T>()), reduce::sum_squares)
    }
    match g.dtype() {
        DType::F64 => sum::<f64>(g),
        _ => sum::<f32>(g),
    }
}

fn all_finite(g: &Tensor) -> bool {
    g.to_f64_vec().into_iter().all(f64::is_finite)
}
