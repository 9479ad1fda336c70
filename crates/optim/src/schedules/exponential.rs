//! A learning rate that falls by the same factor at every step.
//!
//! ```text
//! lr(s) = base · γˢ
//! ```
//!
//! `torch.optim.lr_scheduler.ExponentialLR`. Steps are many: to fall to a tenth in 1,000 steps, γ is
//! 0.1^(1/1000) = 0.9977.

use super::ScheduleInfo;
use crate::hyperparameter::{Hyperparameter, Range};
use crate::schedule::Schedule;
use backflow_tensor::Float;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "exponential",
    formula: "base · gamma^s",
    reference: "torch.optim.lr_scheduler.ExponentialLR",
    make: || Box::new(Exponential::new(f64::NAN)),
};

/// Multiplies the learning rate by `gamma` at every step. A `gamma` above 1 lets it grow, to find out how
/// much is too much.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "ExponentialLR")]
pub struct Exponential {
    gamma: f64,
}

impl Exponential {
    /// By `gamma` after each step.
    #[must_use]
    pub fn new(gamma: f64) -> Self {
        Self { gamma }
    }
}

impl Schedule for Exponential {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![Hyperparameter::number("gamma", &mut self.gamma, Range::NonNegative)]
    }

    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        base * Float::powf(self.gamma, steps as f64)
    }
}
