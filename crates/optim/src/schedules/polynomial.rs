//! A learning rate that falls to 0 along a power of the time that is left.
//!
//! ```text
//! lr(s) = base · (1 − min(s, steps)/steps)^power
//! ```
//!
//! `torch.optim.lr_scheduler.PolynomialLR`, where `steps` is called `total_iters` (5 there, which counts
//! epochs; here it must be given).

use super::ScheduleInfo;
use crate::hyperparameter::{Hyperparameter, Range};
use crate::schedule::Schedule;
use backflow_tensor::Float;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "polynomial",
    formula: "base · (1 − min(s, steps)/steps)^power",
    reference: "torch.optim.lr_scheduler.PolynomialLR",
    make: || Box::new(Polynomial::new(0)),
};

/// From the base learning rate to 0: along a line with a power of 1, ever more gently with higher powers.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "PolynomialLR")]
pub struct Polynomial {
    steps: u64,
    power: f64,
}

impl Polynomial {
    /// To 0 in `steps` steps.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        Self { steps, power: 1.0 }
    }

    /// The power of the time that is left.
    ///
    /// `1` unless set. With `0` the learning rate stays as it is.
    #[must_use]
    pub fn power(self, power: f64) -> Self {
        Self { power, ..self }
    }
}

impl Schedule for Polynomial {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![
            Hyperparameter::count("steps", &mut self.steps, 1),
            Hyperparameter::number("power", &mut self.power, Range::NonNegative),
        ]
    }

    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        let left = 1.0 - steps.min(self.steps) as f64 / self.steps as f64;
        base * Float::powf(left, self.power)
    }
}
