//! A learning rate that goes along a straight line.
//!
//! ```text
//! lr(s) = base · (start + (end − start)·min(s, steps)/steps)
//! ```
//!
//! `torch.optim.lr_scheduler.LinearLR`, where `steps` is called `total_iters` (5 there, which counts epochs;
//! here it must be given), `start` is `start_factor` and `end` is `end_factor`. PyTorch refuses a start of 0.

use super::ScheduleInfo;
use crate::schedule::Schedule;
use crate::settings::settings;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "linear",
    formula: "base · (start + (end − start)·min(s, steps)/steps)",
    reference: "torch.optim.lr_scheduler.LinearLR",
    make: || Box::new(LinearRamp::new(0)),
};

settings! {
    /// From one share of the base learning rate to another, and constant afterwards: a rise with PyTorch's
    /// defaults, a fall with `.start(1.0).end(0.0)`.
    #[doc(alias = "LinearLR")]
    pub struct LinearRamp named "linear" {
        /// From a third of the base learning rate to all of it, in `steps` steps.
        new(steps: Count(1));
        /// The share of the base learning rate at step 0.
        start: UpToOne = 1.0 / 3.0,
        /// The share of the base learning rate after the last step.
        end: UpToOne = 1.0,
    }
}

impl Schedule for LinearRamp {
    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        let done = steps.min(self.steps) as f64 / self.steps as f64;
        base * (self.start + (self.end - self.start) * done)
    }
}
