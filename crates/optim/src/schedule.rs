//! [`Schedule`]: how the learning rate changes over training, as a pure function of the step.
//!
//! Every schedule is a closed form. There is no recursion that drifts, nothing to save, and any step can be asked for.

use crate::hyperparameter::Hyperparameter;
use std::fmt;

/// A learning rate as a function of the number of steps taken.
///
/// Settings are checked when an optimizer takes the schedule.
pub trait Schedule: fmt::Debug + Send + Sync {
    /// The name in specs and errors.
    fn name(&self) -> &'static str;

    /// Every setting.
    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>>;

    /// The learning rate after `steps` steps, where `base` is the rule's own. The first step of a run has `steps` = 0.
    fn learning_rate(&self, base: f64, steps: u64) -> f64;

    /// This schedule with a linear rise over the first `steps` steps: see [`Warmup`].
    #[must_use]
    fn warmup(self, steps: u64) -> Warmup<Self>
    where
        Self: Sized,
    {
        Warmup { schedule: self, steps }
    }
}

/// Another schedule, multiplied by a factor that rises linearly to 1 over the first steps.
///
/// ```text
/// lr(s) = min(1, (s + 1)/warmup) · schedule(s)
/// ```
///
/// Warm-up is a part of the schedule's time, not an addition to it: `Cosine::new(10_000).warmup(500)` ends after 10,000
/// steps. No step is wasted on a learning rate of 0. In PyTorch: `ChainedScheduler` of the schedule and
/// `LinearLR(start_factor=1/warmup, total_iters=warmup-1)`.
#[derive(Clone, Copy, Debug)]
pub struct Warmup<S> {
    schedule: S,
    steps: u64,
}

impl<S: Schedule> Schedule for Warmup<S> {
    fn name(&self) -> &'static str {
        self.schedule.name()
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        let mut all = self.schedule.hyperparameters();
        all.push(Hyperparameter::count("warmup", &mut self.steps, 0));
        all
    }

    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        let lr = self.schedule.learning_rate(base, steps);
        if steps < self.steps { lr * ((steps + 1) as f64 / self.steps as f64) } else { lr }
    }
}

impl<S: Schedule + ?Sized> Schedule for Box<S> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        (**self).hyperparameters()
    }

    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        (**self).learning_rate(base, steps)
    }
}
