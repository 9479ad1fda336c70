//! Schedule-free learning: an average of the weights does what a schedule would.
//!
//! ```text
//! g = gradient at y               y: what is trained, and in the model
//! z ← z − u                       u: what the base rule subtracts, from g and y
//! c = lr² / Σ lr²                 the largest learning rate so far, over all steps
//! x ← x + c·(z − x)               x: what is evaluated
//! y ← (1 − β)·z + β·x
//! ```
//!
//! Defazio et al., "The road less scheduled", 2024; as `optax.contrib.schedule_free` with
//! `weight_lr_power=2`. Its base is any rule that neither keeps an average of its own nor undoes steps, best
//! one without momentum: `ScheduleFree::new(Sgd::new(1.0))`. By name there are `schedule-free`, over `AdamW`
//! with β₁ = 0, and `schedule-free-sgd`. Evaluate through
//! [`Optimizer::evaluating`](crate::Optimizer::evaluating).

use super::{AdamW, RuleInfo, Sgd};
use crate::elements::{Elements, Totals};
use crate::hyperparameter::{Hyperparameter, Range, Settings};
use crate::method::Method;
use crate::rule::{Buffer, Needs, Rule, Step};
use backflow_tensor::{FloatElement, Shape};

pub(super) const SCHEDULE_FREE: RuleInfo = RuleInfo {
    name: "schedule-free",
    formula: "z −= adamw's step at y;  x = mean of z;  y = (1 − beta)·z + beta·x;  evaluated at x",
    reference: "Defazio et al. 2024; optax.contrib.schedule_free_adamw",
    full_batch: false,
    make: || Method::custom(ScheduleFree::new(AdamW::new(2.5e-3).betas(0.0, 0.999).weight_decay(0.0))),
};

pub(super) const SCHEDULE_FREE_SGD: RuleInfo = RuleInfo {
    name: "schedule-free-sgd",
    formula: "z −= lr·g at y;  x = mean of z;  y = (1 − beta)·z + beta·x;  evaluated at x",
    reference: "Defazio et al. 2024; optax.contrib.schedule_free_sgd",
    full_batch: false,
    make: || Method::custom(ScheduleFree::new(Sgd::new(1.0))),
};

/// A rule whose steps are averaged as they are made.
#[derive(Clone, Debug)]
pub struct ScheduleFree<R> {
    base: R,
    beta: f64,
}

impl<R: Rule> ScheduleFree<R> {
    /// Around this rule.
    #[must_use]
    pub fn new(base: R) -> Self {
        Self { base, beta: 0.9 }
    }

    /// How much of the average there is in the weights at which gradients are taken, in [0, 1).
    ///
    /// `0.9` unless set.
    #[must_use]
    pub fn beta(self, beta: f64) -> Self {
        Self { beta, ..self }
    }
}

impl<R: Rule + Clone> From<ScheduleFree<R>> for Method {
    fn from(rule: ScheduleFree<R>) -> Self {
        Self::custom(rule)
    }
}

impl<R: Rule> Settings for ScheduleFree<R> {
    fn name(&self) -> &'static str {
        "schedule-free"
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        let mut settings = self.base.hyperparameters();
        settings.insert(1, Hyperparameter::number("beta", &mut self.beta, Range::BelowOne));
        settings
    }
}

impl<R: Rule> Rule for ScheduleFree<R> {
    fn inner(&self) -> Option<&dyn Rule> {
        Some(&self.base)
    }

    fn conflict(&self) -> Option<&'static str> {
        self.base.conflict().or(match self.base.needs() {
            Needs::Trial { .. } => Some("the rule inside must not undo steps: they are in the average"),
            Needs::LineSearch(_) => Some("the rule inside must update each parameter by itself"),
            _ => self.base.average().map(|_| "the rule inside keeps an average of its own"),
        })
    }

    fn buffers(&self, shape: Shape) -> Vec<Buffer> {
        [self.base.buffers(shape), vec![Buffer::weights("z"), Buffer::weights("x")]].concat()
    }

    /// The base rule's own come first.
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        [self.base.numbers(), vec![("weight_sum", 0.0), ("lr_max", 0.0)]].concat()
    }

    fn average(&self) -> Option<&'static str> {
        Some("x")
    }

    fn update<T: FloatElement>(&self, step: Step, mut elements: Elements<'_, T>) -> Totals {
        let [inside @ .., (_, sum), (_, largest)] = &mut *elements.numbers else {
            unreachable!("two are declared")
        };
        let numbers = inside.len();
        *largest = largest.max(step.lr);
        let weight = *largest * *largest;
        *sum += weight;
        let share = if *sum == 0.0 { 0.0 } else { weight / *sum };
        let own = self.base.buffers(elements.shape()).len();
        let (totals, minus_u) = elements.propose(own, numbers, |elements| self.base.update(step, elements));
        let [share, beta] = [share, self.beta].map(T::from_f64);
        let update = elements.replace(&minus_u, move |_, minus_u, [z, x]| {
            let z = z + minus_u;
            let x = x + share * (z - x);
            // As a difference: where x and z are equal, y is equal too, to the bit.
            (z + beta * (x - z), [z, x])
        });
        Totals { update, ..totals }
    }
}
