//! A learning rate that falls along half a cosine.
//!
//! ```text
//! lr(s) = min + (base − min) · (1 + cos(π·s/steps)) / 2
//! ```
//!
//! Loshchilov and Hutter, "SGDR", 2017, without restarts; `torch.optim.lr_scheduler.CosineAnnealingLR`, where
//! `steps` is called `T_max` and `min` is called `eta_min`. As there, the learning rate rises again after
//! `steps` steps.

use super::ScheduleInfo;
use crate::schedule::{ABOVE_BASE, Schedule};
use crate::settings::settings;
use backflow_tensor::Float;
use std::f64::consts::PI;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "cosine",
    formula: "min + (base − min)·(1 + cos(π·s/steps))/2",
    reference: "Loshchilov and Hutter 2017; torch.optim.lr_scheduler.CosineAnnealingLR",
    make: || Box::new(Cosine::new(0)),
};

settings! {
    /// Cosine annealing: from the base learning rate to `min`, slowly at both ends.
    ///
    /// After `steps` steps it rises again, as PyTorch's does: give it all the steps of the training, in all
    /// epochs, or say what follows by [`then_after`](Schedule::then_after).
    #[doc(alias = "CosineAnnealingLR")]
    pub struct Cosine named "cosine" {
        /// To 0 in `steps` steps, and up again after them.
        new(steps: Count(1));
        /// The learning rate at the end.
        min: NonNegative = 0.0,
    }
}

impl Schedule for Cosine {
    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        let angle = PI * (steps as f64 / self.steps as f64);
        self.min + (base - self.min) * ((1.0 + Float::cos(angle)) / 2.0)
    }

    fn conflict(&self, base: f64) -> Option<&'static str> {
        (self.min > base).then_some(ABOVE_BASE)
    }
}
