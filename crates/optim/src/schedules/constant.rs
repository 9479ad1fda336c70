//! A learning rate that stays as it is.
//!
//! ```text
//! lr(s) = base
//! ```
//!
//! It has no options. PyTorch's `ConstantLR`, a share of the base learning rate for the first steps and then
//! all of it, is [`MultiStep`](crate::MultiStep) with one milestone: `ConstantLR(factor=1/3, total_iters=5)`
//! at 0.3 is `multistep:milestones=5,gamma=3` at 0.1.

use super::ScheduleInfo;
use crate::hyperparameter::{Hyperparameter, Settings};
use crate::schedule::Schedule;

pub(super) const INFO: ScheduleInfo = ScheduleInfo {
    name: "constant",
    formula: "base",
    reference: "no scheduler in PyTorch",
    make: || Box::new(Constant),
};

/// The rule's own learning rate at every step: what an optimizer has unless told otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Constant;

impl Settings for Constant {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![]
    }
}

impl Schedule for Constant {
    fn learning_rate(&self, base: f64, _: u64) -> f64 {
        base
    }
}
