//! A learning rate that falls along half a cosine, jumps back, and falls again.
//!
//! ```text
//! lr(s) = min + (base − min) · (1 + cos(π·r/T)) / 2
//! ```
//!
//! where `r` is how many steps ago the last restart was, and `T` the length of the present period: `period`
//! at first, `mult` times as long after each restart.
//!
//! Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017;
//! `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`, where `period` is called `T_0`, `mult` is `T_mult`
//! and `min` is `eta_min`. PyTorch takes fractions of epochs; here steps are counted.

use super::{Cosine, ScheduleInfo};
use crate::schedule::{ABOVE_BASE, Schedule};
use crate::settings::settings;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "cosine-restarts",
    formula: "min + (base − min)·(1 + cos(π·r/T))/2, r steps after a restart; T = period, period·mult, …",
    reference: "Loshchilov and Hutter 2017; torch.optim.lr_scheduler.CosineAnnealingWarmRestarts",
    make: || Box::new(CosineRestarts::new(0)),
};

settings! {
    /// Cosine annealing that starts over, with periods that may grow.
    #[doc(alias = "CosineAnnealingWarmRestarts", alias = "SGDR")]
    pub struct CosineRestarts named "cosine-restarts" {
        /// From the base learning rate to 0, over and over, in `period` steps each time.
        new(period: Count(1));
        /// How many times as long each period is as the one before it.
        mult: Count(1) = 1,
        /// The learning rate that each period ends at.
        min: NonNegative = 0.0,
    }
}

impl Schedule for CosineRestarts {
    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        // Counted in integers: the logarithm that names the present period is off by one where rounding makes
        // it so.
        let (mut since, mut period) = (steps, self.period.max(1));
        if self.mult <= 1 {
            since %= period;
        }
        while since >= period {
            since -= period;
            period = period.saturating_mul(self.mult);
        }
        Cosine::new(period).min(self.min).learning_rate(base, since)
    }

    fn conflict(&self, base: f64) -> Option<&'static str> {
        (self.min > base).then_some(ABOVE_BASE)
    }
}
