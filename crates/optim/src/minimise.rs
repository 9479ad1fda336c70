//! A step of L-BFGS: all parameters as one vector, and a loss that can be computed anywhere.

use crate::elements::Totals;
use crate::norm::sum_squares;
use crate::objective::{Objective, wanted};
use crate::optimizer::Optimizer;
use crate::report::{ParameterReport, Skip, StepReport};
use crate::rules::Lbfgs;
use crate::state::ParameterState;
use crate::survey::{each_reached, survey};
use backflow_tensor::{Gradients, Module, Tensor, misuse, no_grad};
use std::sync::Arc;

impl Optimizer {
    /// One step from weights whose loss and gradient are known.
    #[track_caller]
    pub(crate) fn minimise<M: Module + ?Sized>(
        &mut self,
        lbfgs: &Lbfgs,
        model: &mut M,
        start: (f64, &Gradients),
        objective: &mut impl Objective<M>,
    ) -> StepReport {
        if self.noise.is_some() || self.clipping.is_set() {
            let hint = "its line search compares losses and gradients of one function";
            misuse("step_with", "lbfgs takes neither noise nor clipping", &[], hint);
        }
        let (value, gradients) = start;
        let found = survey(self, model, gradients);
        let unreached = found.unreached.clone();
        let squares: Vec<f64> = found.gradients.iter().map(|ready| sum_squares(&ready.g)).collect();
        let prepared = self.prepare(model, found, true);
        if !prepared.finite {
            return self.skip(Skip::Gradient, Some(value), prepared.norm.unwrap_or(f64::NAN));
        }
        // Copies: an alias that is held while the weights move would be the leaf that the model's no longer
        // is.
        let (mut paths, mut before) = (Vec::new(), Vec::new());
        each_reached(model, &unreached, &mut |path, w| {
            paths.push(path.to_owned());
            before.push(w.detach().copied());
        });
        let all = || paths.iter().zip(&before);
        let (path, first) = all().next().expect("a survey without parameters is refused");
        if let Some((other, w)) = all().find(|(_, w)| w.dtype() != first.dtype()) {
            let rows = [(path.as_str(), first.dtype().to_string()), (other.as_str(), w.dtype().to_string())];
            let hint = "convert the model to f32 or f64";
            misuse("step_with", "lbfgs needs parameters of one element type", &rows, hint);
        }
        let learning_rate = self.learning_rate();
        let sign = if self.maximize { -1.0 } else { 1.0 };
        let g = flat(prepared.gradients.iter().map(|ready| (&*ready.g, sign * ready.coefficient)));
        // Where a parameter was frozen, thawed, or not reached, what was learnt is about another vector: it
        // is learnt anew.
        let memory = self.state.lbfgs.take();
        let mut memory = memory.filter(|memory| memory.paths == paths);
        let x = flat(before.iter().map(|w| (w, 1.0)));
        let outcome = lbfgs.minimise(&mut memory, &paths, learning_rate, x, (sign * value, g), &mut |x| {
            scatter(model, &unreached, x);
            // Also where the loss is not finite: the slope there decides on which side the search turns back.
            let (here, gradients) = objective.evaluate(model, &|_| true);
            let gradients = wanted(gradients);
            let found = survey(self, model, &gradients);
            if found.unreached != unreached {
                different_parameters();
            }
            let ready = self.prepare(model, found, true);
            (sign * here, flat(ready.gradients.iter().map(|ready| (&*ready.g, sign * ready.coefficient))))
        });
        scatter(model, &unreached, &outcome.x);
        self.state.lbfgs = memory;

        let mut parameters = Vec::with_capacity(before.len());
        let mut before = before.into_iter().zip(squares);
        let Self { method, state, .. } = self;
        each_reached(model, &unreached, &mut |path, w| {
            let (old, gradient) = before.next().expect("one for each parameter");
            let path: Arc<str> = path.into();
            let known = state.parameters.entry(Arc::clone(&path));
            let known = known.or_insert_with(|| ParameterState::new(&*method.rule, w));
            known.steps += 1;
            let update = sum_squares(&(&old - w.detach()));
            let totals = Totals { gradient, weight: sum_squares(&old), update, cosine: None };
            parameters.push(ParameterReport::new(path, learning_rate, None, w.elements(), totals));
        });
        StepReport {
            evaluations: outcome.evaluations,
            gradient_norm: prepared.norm.unwrap_or(f64::NAN),
            clip_coefficient: prepared.coefficient,
            parameters,
            ..self.counted(Some(value), learning_rate)
        }
    }
}

#[track_caller]
#[cold]
fn different_parameters() -> ! {
    let hint =
        "lbfgs compares losses and gradients of one function: drop layers and choose heads outside of it";
    misuse("step_with", "the loss reaches other parameters than at the start of the step", &[], hint)
}

/// All these, each multiplied by its factor, as one vector.
fn flat<'a>(parts: impl Iterator<Item = (&'a Tensor, f64)>) -> Tensor {
    no_grad(|| {
        let scaled = |(x, factor): (&Tensor, f64)| (x.detach() * factor).reshape([x.elements()]);
        Tensor::cat(parts.map(scaled), 0)
    })
}

/// Writes one vector into all parameters that are reached.
fn scatter<M: Module + ?Sized>(model: &mut M, unreached: &[usize], x: &Tensor) {
    let mut from = 0;
    each_reached(model, unreached, &mut |_, w| {
        let to = from + w.elements();
        w.assign(&x.slice(0, from..to).reshape(w.shape()));
        from = to;
    });
}
