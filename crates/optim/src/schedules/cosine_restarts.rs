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
use crate::hyperparameter::{Hyperparameter, Range};
use crate::schedule::Schedule;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "cosine-restarts",
    formula: "min + (base − min)·(1 + cos(π·r/T))/2, r steps after a restart; T = period, period·mult, …",
    reference: "Loshchilov and Hutter 2017; torch.optim.lr_scheduler.CosineAnnealingWarmRestarts",
    make: || Box::new(CosineRestarts::new(0)),
};

/// Cosine annealing that starts over, with periods that may grow.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "CosineAnnealingWarmRestarts", alias = "SGDR")]
pub struct CosineRestarts {
    period: u64,
    mult: u64,
    min: f64,
}

impl CosineRestarts {
    /// From the base learning rate to 0, over and over, in `period` steps each time.
    #[must_use]
    pub fn new(period: u64) -> Self {
        Self { period, mult: 1, min: 0.0 }
    }

    /// How many times as long each period is as the one before it.
    ///
    /// `1` unless set.
    #[must_use]
    pub fn mult(self, mult: u64) -> Self {
        Self { mult, ..self }
    }

    /// The learning rate that each period ends at.
    ///
    /// `0` unless set.
    #[must_use]
    pub fn min(self, min: f64) -> Self {
        Self { min, ..self }
    }
}

impl Schedule for CosineRestarts {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![
            Hyperparameter::count("period", &mut self.period, 1),
            Hyperparameter::count("mult", &mut self.mult, 1),
            Hyperparameter::number("min", &mut self.min, Range::NonNegative),
        ]
    }

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
}
