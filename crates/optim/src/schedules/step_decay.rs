//! A learning rate that falls by a factor at regular intervals.
//!
//! ```text
//! lr(s) = base · γ^⌊s/every⌋
//! ```
//!
//! `torch.optim.lr_scheduler.StepLR`, where `every` is called `step_size`.

use super::ScheduleInfo;
use crate::schedule::{Schedule, multiplied};
use crate::settings::settings;
use backflow_tensor::Float;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "step",
    formula: "base · gamma^⌊s/every⌋",
    reference: "torch.optim.lr_scheduler.StepLR",
    make: || Box::new(StepDecay::new(0, 0.1)),
};

settings! {
    /// Multiplies the learning rate by `gamma` every so many steps.
    #[doc(alias = "StepLR")]
    pub struct StepDecay named "step" {
        /// By `gamma` (PyTorch: 0.1) after every `every` steps.
        new(every: Count(1), gamma: NonNegative);
    }
}

impl Schedule for StepDecay {
    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        multiplied(base, Float::powf(self.gamma, (steps / self.every.max(1)) as f64))
    }
}
