//! Bold driver: a learning rate that grows while the loss falls, and shrinks when it rises, with the step
//! undone.
//!
//! ```text
//! try   w' = w − lr·r·g          r begins at 1
//! the loss at w' is no higher:   w ← w',   r ← grow·r
//! it is higher, or not finite:   w stays,  r ← shrink·r
//! ```
//!
//! Vogl et al., "Accelerating the convergence of the back-propagation method", 1988; Battiti 1989. Both
//! losses are of the same data, so a step computes the loss twice, through
//! [`step_with`](crate::Optimizer::step_with); the gradient once.
//!
//! The rule began as one for a single weight: α is multiplied by 0.9 if g > 0 and by 1.1 otherwise. There the
//! sign of g says on which side of the minimum w lies. In many dimensions it cannot: each element of g has a
//! sign of its own, and even along a line a positive slope says where down is, not whether the last step was
//! too long. What can be asked in any dimension is whether the loss rose.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Needs, Rule, Step};
use crate::settings::settings;
use backflow_tensor::FloatElement;

pub(super) const BOLD_DRIVER: RuleInfo = RuleInfo {
    name: "bold-driver",
    formula: "w −= rate·g;  rate ×= grow if the loss fell; ×= shrink, and the step undone, if it rose",
    reference: "Vogl et al. 1988, Battiti 1989",
    full_batch: true,
    make: || BoldDriver::default().into(),
};

settings! {
    /// Gradient descent that adapts its learning rate to whether the loss rises or falls.
    pub struct BoldDriver named "bold-driver" (lr = 1e-2) {
        /// What the rate is multiplied by after a step that raised the loss, in [0, 1).
        shrink: BelowOne = 0.9,
        /// What the rate is multiplied by after any other step; at least 1.
        grow: Positive = 1.1,
    }
}

impl Rule for BoldDriver {
    fn conflict(&self) -> Option<&'static str> {
        (self.grow < 1.0).then_some("grow must be at least 1")
    }

    fn needs(&self) -> Needs {
        Needs::Trial { shrink: self.shrink, grow: self.grow }
    }

    fn numbers(&self) -> Vec<(&'static str, f64)> {
        vec![("rate", 1.0)]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let lr = T::from_f64(step.lr * elements.numbers[0].1);
        elements.each(move |_, g, []| (lr * g, []))
    }
}
