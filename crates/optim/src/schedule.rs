//! [`Schedule`]: how the learning rate changes over training, as a function of the step.
//!
//! Every schedule is a closed form: no recursion that drifts, nothing to save, and any step can be asked for
//! in any order. The one exception looks at how training goes ([`Plateau`](crate::Plateau)); what it
//! remembers is a handful of named numbers, which [`memory`](Schedule::memory) hands out.
//!
//! Schedules are put together in two ways: one after another ([`then_after`](Schedule::then_after)), and
//! under a rise at the beginning ([`warmup`](Schedule::warmup)). Others are better written as one function
//! ([`Lambda`](crate::Lambda)). A schedule sets one number: the learning rate, or another setting that is
//! given one ([`schedule_of`](crate::Optimizer::schedule_of)). Where PyTorch's `CyclicLR` and `OneCycleLR`
//! move the momentum too, a second schedule does here.

use crate::hyperparameter::{Hyperparameter, Settings};
use crate::schedules::{Sequence, Warmup};

/// A learning rate as a function of the number of steps taken.
///
/// A schedule is [`Clone`], as optimizers are.
pub trait Schedule: Settings + CloneSchedule {
    /// The learning rate after `steps` steps, where `base` is the rule's own. The first step of a run has
    /// `steps` = 0.
    ///
    /// Every schedule in [`SCHEDULES`](crate::SCHEDULES) answers any step with a finite number of at least 0.
    /// Where a `gamma` above 1 has been multiplied too often, it is the largest that there is.
    fn learning_rate(&self, base: f64, steps: u64) -> f64;

    /// Takes note of how training goes: `metric`, a loss for instance, was measured after `steps` steps.
    ///
    /// Closed forms have no use for it; [`Plateau`](crate::Plateau) does.
    fn observe(&mut self, _metric: f64, _steps: u64) {}

    /// What was learned from [`observe`](Self::observe), as named numbers to read, save and write back. The
    /// same schedule always has the same numbers in the same order; a sequence may have a name twice.
    fn memory(&mut self) -> Vec<(&'static str, &mut f64)> {
        vec![]
    }

    /// Whether the memory, as it was written back, is one that [`observe`](Self::observe) can leave: what
    /// counts something is a whole number.
    fn is_sound(&self) -> bool {
        true
    }

    /// Why the settings do not go with this base, although each of them is allowed. An optimizer refuses
    /// such a schedule.
    fn conflict(&self, _base: f64) -> Option<&'static str> {
        None
    }

    /// This schedule with a linear rise over the first `steps` steps: see [`Warmup`].
    #[must_use]
    fn warmup(self, steps: u64) -> Warmup<Self>
    where
        Self: Sized,
    {
        Warmup::new(self, steps)
    }

    /// This schedule for `steps` steps, and `next` from then on: see [`Sequence`].
    #[must_use]
    fn then_after<S: Schedule>(self, steps: u64, next: S) -> Sequence<Self, S>
    where
        Self: Sized,
    {
        Sequence::new(self, steps, next)
    }
}

/// Of a lowest rate that is not the lowest.
pub(crate) const ABOVE_BASE: &str = "min is above the learning rate that it is to end";

/// `base · factor`, and the largest number there is where that is out of range.
pub(crate) fn multiplied(base: f64, factor: f64) -> f64 {
    (base * factor.min(f64::MAX)).min(f64::MAX)
}

/// What makes boxed schedules clonable. Every schedule that is [`Clone`] has it.
pub trait CloneSchedule {
    /// A clone in a box.
    fn boxed(&self) -> Box<dyn Schedule>;
}

impl<S: Schedule + Clone> CloneSchedule for S {
    fn boxed(&self) -> Box<dyn Schedule> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Schedule> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

impl Settings for Box<dyn Schedule> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        (**self).hyperparameters()
    }
}

impl Schedule for Box<dyn Schedule> {
    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        (**self).learning_rate(base, steps)
    }

    fn observe(&mut self, metric: f64, steps: u64) {
        (**self).observe(metric, steps);
    }

    fn memory(&mut self) -> Vec<(&'static str, &mut f64)> {
        (**self).memory()
    }

    fn is_sound(&self) -> bool {
        (**self).is_sound()
    }

    fn conflict(&self, base: f64) -> Option<&'static str> {
        (**self).conflict(base)
    }
}
