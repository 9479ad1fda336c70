//! A learning rate that falls to 0 along a power of the time that is left.
//!
//! ```text
//! lr(s) = base · (1 − min(s, steps)/steps)^power
//! ```
//!
//! `torch.optim.lr_scheduler.PolynomialLR`, where `steps` is called `total_iters` (5 there, which counts
//! epochs; here it must be given).

use super::ScheduleInfo;
use crate::schedule::Schedule;
use crate::settings::settings;
use backflow_tensor::Float;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "polynomial",
    formula: "base · (1 − min(s, steps)/steps)^power",
    reference: "torch.optim.lr_scheduler.PolynomialLR",
    make: || Box::new(Polynomial::new(0)),
};

settings! {
    /// From the base learning rate to 0: along a line with a power of 1, ever more gently with higher powers.
    #[doc(alias = "PolynomialLR")]
    pub struct Polynomial named "polynomial" {
        /// To 0 in `steps` steps.
        new(steps: Count(1));
        /// The power of the time that is left.
        ///
        /// With `0` the learning rate stays as it is.
        power: NonNegative = 1.0,
    }
}

impl Schedule for Polynomial {
    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        let left = 1.0 - steps.min(self.steps) as f64 / self.steps as f64;
        base * Float::powf(left, self.power)
    }
}
