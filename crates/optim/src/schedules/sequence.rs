//! One schedule after another.
//!
//! ```text
//! lr(s) = first(s)          while s < for
//!         next(s − for)     from then on
//! ```
//!
//! `torch.optim.lr_scheduler.SequentialLR`, whose `milestones` count from the beginning of the run. Both
//! parts start from the rule's own learning rate: `next` does not go on from where `first` has arrived.

use crate::hyperparameter::{Hyperparameter, Settings};
use crate::schedule::Schedule;

/// A schedule for so many steps, and then another, which sees its own steps begin at 0. Made by
/// [`Schedule::then_after`].
///
/// In specs, parts are joined by `/`, and every part but the last says how long it lasts. So warm-up, a long
/// time of a constant learning rate and a fall at the end ("WSD") are
/// `constant:for=9000,warmup=500/linear:steps=1000,start=1,end=0`.
///
/// A metric goes to the part that gives the next learning rate. (PyTorch refuses `ReduceLROnPlateau` in a
/// sequence.)
///
/// ```
/// use backflow_optim::{Constant, Cosine, Schedule, schedule_from_spec};
/// let built = Constant.then_after(500, Cosine::new(1000));
/// let read = schedule_from_spec("constant:for=500/cosine:steps=1000").unwrap();
/// for schedule in [&built as &dyn Schedule, &read] {
///     assert_eq!([499, 500, 1000, 1500].map(|s| schedule.learning_rate(1.0, s)), [1.0, 1.0, 0.5, 0.0]);
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[doc(alias = "SequentialLR")]
pub struct Sequence<A, B> {
    first: A,
    steps: u64,
    next: B,
}

impl<A, B> Sequence<A, B> {
    pub(crate) fn new(first: A, steps: u64, next: B) -> Self {
        Self { first, steps, next }
    }
}

impl<A: Schedule + Clone + 'static, B: Schedule + Clone + 'static> Settings for Sequence<A, B> {
    fn name(&self) -> &'static str {
        "sequence"
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        let mut all = self.first.hyperparameters();
        all.push(Hyperparameter::count("for", &mut self.steps, 1));
        all.extend(self.next.hyperparameters());
        all
    }
}

impl<A: Schedule + Clone + 'static, B: Schedule + Clone + 'static> Schedule for Sequence<A, B> {
    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        match steps.checked_sub(self.steps) {
            None => self.first.learning_rate(base, steps),
            Some(steps) => self.next.learning_rate(base, steps),
        }
    }

    fn observe(&mut self, metric: f64, steps: u64) {
        match steps.checked_sub(self.steps) {
            None => self.first.observe(metric, steps),
            Some(steps) => self.next.observe(metric, steps),
        }
    }

    fn memory(&mut self) -> Vec<(&'static str, &mut f64)> {
        let mut all = self.first.memory();
        all.extend(self.next.memory());
        all
    }

    fn is_sound(&self) -> bool {
        self.first.is_sound() && self.next.is_sound()
    }

    fn conflict(&self, base: f64) -> Option<&'static str> {
        self.first.conflict(base).or_else(|| self.next.conflict(base))
    }
}
