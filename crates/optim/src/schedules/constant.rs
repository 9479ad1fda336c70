//! A learning rate that stays as it is.
//!
//! ```text
//! lr(s) = base
//! ```

use super::ScheduleInfo;
use crate::hyperparameter::Hyperparameter;
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

impl Schedule for Constant {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![]
    }

    fn learning_rate(&self, base: f64, _: u64) -> f64 {
        base
    }
}
