//! A learning rate that falls by a factor at chosen steps.
//!
//! ```text
//! lr(s) = base · γ^(how many milestones ≤ s)
//! ```
//!
//! `torch.optim.lr_scheduler.MultiStepLR`. With one milestone and γ above 1 it is `ConstantLR` too: a small
//! learning rate at first (the base), a larger one afterwards.

use super::ScheduleInfo;
use crate::hyperparameter::{Hyperparameter, Range, Settings};
use crate::schedule::{Schedule, multiplied};
use backflow_tensor::Float;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "multistep",
    formula: "base · gamma^(number of milestones ≤ s)",
    reference: "torch.optim.lr_scheduler.MultiStepLR",
    make: || Box::new(MultiStep::new([], 0.1)),
};

/// Multiplies the learning rate by `gamma` at each milestone: in specs, `multistep:milestones=100:500:800`.
#[derive(Clone, Debug)]
#[doc(alias = "MultiStepLR", alias = "ConstantLR")]
pub struct MultiStep {
    milestones: Vec<u64>,
    gamma: f64,
}

impl MultiStep {
    /// By `gamma` (PyTorch: 0.1) after so many steps, in any order. A milestone given twice counts twice.
    #[must_use]
    pub fn new(milestones: impl Into<Vec<u64>>, gamma: f64) -> Self {
        Self { milestones: milestones.into(), gamma }
    }
}

impl Settings for MultiStep {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![
            Hyperparameter::counts("milestones", &mut self.milestones),
            Hyperparameter::number("gamma", &mut self.gamma, Range::NonNegative),
        ]
    }
}

impl Schedule for MultiStep {
    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        let passed = self.milestones.iter().filter(|&&milestone| milestone <= steps).count();
        multiplied(base, Float::powf(self.gamma, passed as f64))
    }
}
