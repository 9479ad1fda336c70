//! A learning rate that falls by the same factor at every step.
//!
//! ```text
//! lr(s) = base · γˢ
//! ```
//!
//! `torch.optim.lr_scheduler.ExponentialLR`. Steps are many: to fall to a tenth in 1,000 steps, γ is
//! 0.1^(1/1000) = 0.9977.

use super::ScheduleInfo;
use crate::schedule::{Schedule, multiplied};
use crate::settings::settings;
use backflow_tensor::Float;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "exponential",
    formula: "base · gamma^s",
    reference: "torch.optim.lr_scheduler.ExponentialLR",
    make: || Box::new(Exponential::new(f64::NAN)),
};

settings! {
    /// Multiplies the learning rate by `gamma` at every step. A `gamma` above 1 lets it grow, to find out how
    /// much is too much.
    #[doc(alias = "ExponentialLR")]
    pub struct Exponential named "exponential" {
        /// By `gamma` after each step.
        new(gamma: NonNegative);
    }
}

impl Schedule for Exponential {
    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        multiplied(base, Float::powf(self.gamma, steps as f64))
    }
}
