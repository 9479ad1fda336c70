//! Bold driver: a learning rate that grows while the loss falls, and shrinks when it rises, with the step undone.
//!
//! ```text
//! the loss has fallen, or stayed:   r ← grow·r;     remember w and g
//! the loss has risen:               r ← shrink·r;   w, g ← those of the step before
//! u = lr·r·g
//! ```
//!
//! Vogl et al., "Accelerating the convergence of the back-propagation method", 1988; Battiti 1989. `r` begins at 1. The loss is
//! that of [`step_with`](crate::Optimizer::step_with), before the update. A rise is noticed at the step that follows it, which then
//! starts again where the bad one did, with a shorter step along the same gradient.
//!
//! The rule began as one for a single weight: α is multiplied by 0.9 if g > 0 and by 1.1 otherwise. There the sign of g says
//! on which side of the minimum w lies. In many dimensions it cannot: each element of g has a sign of its own, at a
//! minimum as many are positive as negative, and even along a line a positive slope says where down is, not whether the last
//! step was too long. What can be asked in any dimension is whether the loss rose. Losses of different batches also rise and
//! fall by chance: this is a rule for full batches.

use super::{RuleInfo, settings};
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Needs, Rule, Step};
use backflow_tensor::{FloatElement, Shape};

pub(super) const BOLD_DRIVER: RuleInfo = RuleInfo {
    name: "bold-driver",
    formula: "rate ×= grow while the loss falls; ×= shrink, and the step undone, when it rises;  w −= rate·g",
    reference: "Vogl et al. 1988, Battiti 1989",
    full_batch: true,
    make: || BoldDriver::default().into(),
};

settings! {
    /// Gradient descent that adapts its learning rate to whether the loss rises or falls.
    pub struct BoldDriver named "bold-driver" (lr = 1e-2) {
        /// What the rate is multiplied by when the loss has risen, in [0, 1).
        shrink: BelowOne = 0.9,
        /// What the rate is multiplied by when it has not; at least 1.
        grow: Positive = 1.1,
    }
}

impl Rule for BoldDriver {
    fn conflict(&self) -> Option<&'static str> {
        (self.grow < 1.0).then_some("grow must be at least 1")
    }

    fn needs(&self) -> Needs {
        Needs::Loss
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::weights("previous_weight"), Buffer::zeros("previous_gradient")]
    }

    fn numbers(&self) -> &'static [(&'static str, f64)] {
        &[("rate", 1.0), ("previous_loss", f64::INFINITY)]
    }

    fn update<T: FloatElement>(&self, step: Step, mut elements: Elements<'_, T>) -> Totals {
        let [(_, rate), (_, previous)] = &mut *elements.numbers else { unreachable!("two are declared") };
        let risen = step.loss > *previous;
        if risen {
            *rate *= self.shrink;
        } else {
            // There is no step before the first one to judge by.
            *rate *= if previous.is_finite() { self.grow } else { 1.0 };
            *previous = step.loss;
        }
        let lr = T::from_f64(step.lr * *rate);
        if risen {
            elements.restore(0);
        }
        elements.each(move |w, g, [_, before]| {
            let g = if risen { before } else { g };
            (lr * g, [w, g])
        })
    }
}
