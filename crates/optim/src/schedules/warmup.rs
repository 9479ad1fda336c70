//! A linear rise over the first steps of another schedule.
//!
//! ```text
//! lr(s) = min(1, (s + 1)/warmup) · schedule(s)
//! ```
//!
//! Goyal and others, "Accurate, large minibatch SGD", 2017. In PyTorch: `ChainedScheduler` of the schedule
//! and `LinearLR(start_factor=1/warmup, total_iters=warmup-1)`.

use crate::hyperparameter::{Hyperparameter, Settings};
use crate::schedule::Schedule;

/// Another schedule, multiplied by a factor that rises linearly to 1 over the first steps. Made by
/// [`Schedule::warmup`]; in specs, the option `warmup` of every schedule.
///
/// Warm-up is a part of the schedule's time, not an addition to it: `Cosine::new(10_000).warmup(500)` ends
/// after 10,000 steps. No step is wasted on a learning rate of 0.
#[derive(Clone, Copy, Debug)]
pub struct Warmup<S> {
    schedule: S,
    steps: u64,
}

impl<S> Warmup<S> {
    pub(crate) fn new(schedule: S, steps: u64) -> Self {
        Self { schedule, steps }
    }
}

impl<S: Schedule + Clone + 'static> Settings for Warmup<S> {
    fn name(&self) -> &'static str {
        self.schedule.name()
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        let mut all = self.schedule.hyperparameters();
        all.push(Hyperparameter::count("warmup", &mut self.steps, 0));
        all
    }
}

impl<S: Schedule + Clone + 'static> Schedule for Warmup<S> {
    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        let lr = self.schedule.learning_rate(base, steps);
        if steps < self.steps { lr * ((steps + 1) as f64 / self.steps as f64) } else { lr }
    }

    fn observe(&mut self, metric: f64, steps: u64) {
        self.schedule.observe(metric, steps);
    }

    fn memory(&mut self) -> Vec<(&'static str, &mut f64)> {
        self.schedule.memory()
    }

    fn is_sound(&self) -> bool {
        self.schedule.is_sound()
    }

    fn conflict(&self, base: f64) -> Option<&'static str> {
        self.schedule.conflict(base)
    }
}
