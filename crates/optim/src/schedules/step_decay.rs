//! A learning rate that falls by a factor at regular intervals.
//!
//! ```text
//! lr(s) = base · γ^⌊s/every⌋
//! ```
//!
//! `torch.optim.lr_scheduler.StepLR`, where `every` is called `step_size`.

use super::ScheduleInfo;
use crate::hyperparameter::{Hyperparameter, Range};
use crate::schedule::Schedule;
use backflow_tensor::Float;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "step",
    formula: "base · gamma^⌊s/every⌋",
    reference: "torch.optim.lr_scheduler.StepLR",
    make: || Box::new(StepDecay::new(0, 0.1)),
};

/// Multiplies the learning rate by `gamma` every so many steps.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "StepLR")]
pub struct StepDecay {
    every: u64,
    gamma: f64,
}

impl StepDecay {
    /// By `gamma` (PyTorch: 0.1) after every `every` steps.
    #[must_use]
    pub fn new(every: u64, gamma: f64) -> Self {
        Self { every, gamma }
    }
}

impl Schedule for StepDecay {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![
            Hyperparameter::count("every", &mut self.every, 1),
            Hyperparameter::number("gamma", &mut self.gamma, Range::NonNegative),
        ]
    }

    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        base * Float::powf(self.gamma, (steps / self.every.max(1)) as f64)
    }
}
