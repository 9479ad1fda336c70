//! A learning rate that a function of the program gives.
//!
//! ```text
//! lr(s) = base · f(s)
//! ```
//!
//! `torch.optim.lr_scheduler.LambdaLR`. Its `MultiplicativeLR` multiplies the last learning rate by `f(s)` at
//! each step, which is this with the product `f(1)·…·f(s)`. A text cannot hold a function, so specs and
//! [`SCHEDULES`](crate::SCHEDULES) do not know this one.

use crate::hyperparameter::{Hyperparameter, Settings};
use crate::schedule::Schedule;
use std::fmt;

/// The base learning rate times a function of the number of steps taken.
///
/// The function must be a pure one: the same step, the same factor. Nothing checks what it answers.
///
/// ```
/// use backflow_optim::{Adam, Lambda, Optimizer};
/// // As in "Attention is all you need": a rise, then the inverse square root of the step.
/// let factor = |steps| { let s = (steps + 1) as f64; (s / 4000.0).min((4000.0 / s).sqrt()) };
/// let optimizer = Optimizer::new(Adam::new(1e-3)).schedule(Lambda::new(factor));
/// assert_eq!(optimizer.learning_rate(), 1e-3 / 4000.0);
/// ```
#[derive(Clone, Copy)]
#[doc(alias = "LambdaLR", alias = "MultiplicativeLR")]
pub struct Lambda<F> {
    factor: F,
}

impl<F: Fn(u64) -> f64> Lambda<F> {
    /// With `factor(s)` after `s` steps.
    #[must_use]
    pub fn new(factor: F) -> Self {
        Self { factor }
    }
}

impl<F> fmt::Debug for Lambda<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lambda").finish_non_exhaustive()
    }
}

impl<F: Fn(u64) -> f64 + Clone + Send + Sync + 'static> Settings for Lambda<F> {
    fn name(&self) -> &'static str {
        "lambda"
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![]
    }
}

impl<F: Fn(u64) -> f64 + Clone + Send + Sync + 'static> Schedule for Lambda<F> {
    fn learning_rate(&self, base: f64, steps: u64) -> f64 {
        base * (self.factor)(steps)
    }
}
