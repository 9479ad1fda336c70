//! A learning rate that rises to its highest and falls to almost nothing, once over the whole run.
//!
//! ```text
//! low = base/div_factor        end = low/final_div_factor        top = pct_start·steps − 1
//!
//! lr(s) = low → base     for s from 0 to top
//!         base → end     for s from top to steps − 1
//! ```
//!
//! where `a → b` goes along half a cosine, or a straight line with `linear`. With `three_phase` the fall from
//! `base` takes as long as the rise, goes to `low`, and a third phase from there to `end` fills the rest.
//! From step `steps − 1` on the learning rate stays at `end`; PyTorch would go past it by one step, and then
//! raise.
//!
//! Smith and Topin, "Super-convergence", 2018; `torch.optim.lr_scheduler.OneCycleLR`, where `steps` is called
//! `total_steps` and `linear` is `anneal_strategy="linear"`. There, the highest learning rate is an argument,
//! `max_lr`, and the optimizer's own is overwritten; here it is the base learning rate. Its
//! `cycle_momentum=True` is a second schedule, [`OneCycle::of_momentum`].

use super::ScheduleInfo;
use crate::hyperparameter::{Hyperparameter, Range};
use crate::schedule::Schedule;
use backflow_tensor::Float;
use std::f64::consts::PI;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "one-cycle",
    formula: "base/div_factor → base in the first pct_start of steps, then → base/div_factor/final_div_factor",
    reference: "Smith and Topin 2018; torch.optim.lr_scheduler.OneCycleLR",
    make: || Box::new(OneCycle::new(0)),
};

/// One rise to the base learning rate and one long fall.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "OneCycleLR")]
pub struct OneCycle {
    steps: u64,
    pct_start: f64,
    div_factor: f64,
    final_div_factor: f64,
    linear: bool,
    three_phase: bool,
}

impl OneCycle {
    /// One cycle in `steps` steps.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        Self {
            steps,
            pct_start: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
            linear: false,
            three_phase: false,
        }
    }

    /// The momentum's side of the cycle, for [`schedule_of`](crate::Optimizer::schedule_of) with a rule of
    /// momentum `low`: from `high` down to `low` while the learning rate rises, and back. PyTorch's
    /// `max_momentum` and `base_momentum`, 0.95 and 0.85 there. Give it the `pct_start`, `linear` and
    /// `three_phase` of the learning rate's.
    ///
    /// ```
    /// use backflow_optim::{OneCycle, Optimizer, Sgd};
    /// let optimizer = Optimizer::new(Sgd::new(0.1).momentum(0.85))
    ///     .schedule(OneCycle::new(1000))
    ///     .schedule_of("momentum", OneCycle::of_momentum(1000, 0.85, 0.95));
    /// ```
    #[must_use]
    pub fn of_momentum(steps: u64, low: f64, high: f64) -> Self {
        // What rises to the base from base/div_factor falls to it where that is above.
        Self { div_factor: low / high, final_div_factor: 1.0, ..Self::new(steps) }
    }

    /// The share of the steps in which the learning rate rises, from 0 to 1 (not in percent, whatever
    /// PyTorch's name says).
    ///
    /// `0.3` unless set.
    #[must_use]
    pub fn pct_start(self, pct_start: f64) -> Self {
        Self { pct_start, ..self }
    }

    /// The base learning rate over the first.
    ///
    /// `25` unless set.
    #[must_use]
    pub fn div_factor(self, div_factor: f64) -> Self {
        Self { div_factor, ..self }
    }

    /// The first learning rate over the last.
    ///
    /// `1e4` unless set.
    #[must_use]
    pub fn final_div_factor(self, final_div_factor: f64) -> Self {
        Self { final_div_factor, ..self }
    }

    /// Along straight lines instead of cosines.
    ///
    /// `false` unless set.
    #[must_use]
    #[doc(alias = "anneal_strategy")]
    pub fn linear(self, linear: bool) -> Self {
        Self { linear, ..self }
    }

    /// Falls as fast as it rose, and from there on slowly, as in the paper.
    ///
    /// `false` unless set.
    #[must_use]
    pub fn three_phase(self, three_phase: bool) -> Self {
        Self { three_phase, ..self }
    }
}

impl Schedule for OneCycle {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![
            Hyperparameter::count("steps", &mut self.steps, 1),
            Hyperparameter::number("pct_start", &mut self.pct_start, Range::UpToOne),
            Hyperparameter::number("div_factor", &mut self.div_factor, Range::Positive),
            Hyperparameter::number("final_div_factor", &mut self.final_div_factor, Range::Positive),
            Hyperparameter::flag("linear", &mut self.linear),
            Hyperparameter::flag("three_phase", &mut self.three_phase),
        ]
    }

    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        let low = base / self.div_factor;
        let end = low / self.final_div_factor;
        let last = self.steps as f64 - 1.0;
        let top = self.pct_start * self.steps as f64 - 1.0;
        let fallen = 2.0 * self.pct_start * self.steps as f64 - 2.0;
        let s = (steps as f64).min(last);
        let ((from, from_lr), (to, to_lr)) = if s <= top {
            ((0.0, low), (top, base))
        } else if !self.three_phase {
            ((top, base), (last, end))
        } else if s <= fallen {
            ((top, base), (fallen, low))
        } else {
            ((fallen, low), (last, end))
        };
        // A phase of no length, where PyTorch divides by 0, has been gone through.
        let done = if to > from { (s - from) / (to - from) } else { 1.0 };
        let left = if self.linear { 1.0 - done } else { (1.0 + Float::cos(PI * done)) / 2.0 };
        to_lr + (from_lr - to_lr) * left
    }
}
