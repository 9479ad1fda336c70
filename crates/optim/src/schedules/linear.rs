//! A learning rate that goes along a straight line.
//!
//! ```text
//! lr(s) = base · (start + (end − start)·min(s, steps)/steps)
//! ```
//!
//! `torch.optim.lr_scheduler.LinearLR`, where `steps` is called `total_iters` (5 there, which counts epochs;
//! here it must be given), `start` is `start_factor` and `end` is `end_factor`. PyTorch refuses a start of 0.

use super::ScheduleInfo;
use crate::hyperparameter::{Hyperparameter, Range};
use crate::schedule::Schedule;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "linear",
    formula: "base · (start + (end − start)·min(s, steps)/steps)",
    reference: "torch.optim.lr_scheduler.LinearLR",
    make: || Box::new(LinearRamp::new(0)),
};

/// From one share of the base learning rate to another, and constant afterwards: a rise with PyTorch's
/// defaults, a fall with `.start(1.0).end(0.0)`.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "LinearLR")]
pub struct LinearRamp {
    steps: u64,
    start: f64,
    end: f64,
}

impl LinearRamp {
    /// From a third of the base learning rate to all of it, in `steps` steps.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        Self { steps, start: 1.0 / 3.0, end: 1.0 }
    }

    /// The share of the base learning rate at step 0.
    ///
    /// `1/3` unless set.
    #[must_use]
    pub fn start(self, start: f64) -> Self {
        Self { start, ..self }
    }

    /// The share of the base learning rate after the last step.
    ///
    /// `1` unless set.
    #[must_use]
    pub fn end(self, end: f64) -> Self {
        Self { end, ..self }
    }
}

impl Schedule for LinearRamp {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![
            Hyperparameter::count("steps", &mut self.steps, 1),
            Hyperparameter::number("start", &mut self.start, Range::UpToOne),
            Hyperparameter::number("end", &mut self.end, Range::UpToOne),
        ]
    }

    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        let done = steps.min(self.steps) as f64 / self.steps as f64;
        base * (self.start + (self.end - self.start) * done)
    }
}
