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
use crate::schedule::Schedule;
use crate::settings::settings;
use backflow_tensor::Float;
use std::f64::consts::PI;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "one-cycle",
    formula: "base/div_factor → base in the first pct_start of steps, then → base/div_factor/final_div_factor",
    reference: "Smith and Topin 2018; torch.optim.lr_scheduler.OneCycleLR",
    make: || Box::new(OneCycle::new(0)),
};

settings! {
    /// One rise to the base learning rate and one long fall.
    #[doc(alias = "OneCycleLR")]
    pub struct OneCycle named "one-cycle" {
        /// One cycle in `steps` steps.
        new(steps: Count(1));
        /// The share of the steps in which the learning rate rises, from 0 to 1 (not in percent, whatever
        /// PyTorch's name says).
        pct_start: UpToOne = 0.3,
        /// The base learning rate over the first.
        div_factor: Positive = 25.0,
        /// The first learning rate over the last.
        final_div_factor: Positive = 1e4,
        /// Along straight lines instead of cosines.
        #[doc(alias = "anneal_strategy")]
        linear: Flag = false,
        /// Falls as fast as it rose, and from there on slowly, as in the paper.
        three_phase: Flag = false,
    }
}

impl OneCycle {
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
}

impl Schedule for OneCycle {
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

    fn conflict(&self, base: f64) -> Option<&'static str> {
        let low = base / self.div_factor;
        let is_finite = low.is_finite() && (low / self.final_div_factor).is_finite();
        (!is_finite).then_some("div_factor and final_div_factor make a rate that is not finite")
    }
}
