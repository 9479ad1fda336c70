//! Gradient descent with a learning rate that adapts to the size of the gradient.
//!
//! ```text
//! u = lr·g / √(c² + ‖g‖²)          ‖g‖ over all parameters, c = offset
//! ```
//!
//! A step is never longer than the learning rate, so that an exploding gradient does no harm. Gradients far
//! below c, which is 1 by default, are left as they are (over c), so that it comes to rest at a minimum: a
//! smooth form of clipping by norm, with the limit c. Where gradients vanish it is plain gradient descent.
//!
//! `offset=0` is the method of the textbooks (Nesterov 1984; Hazan, Levy and Shalev-Shwartz, "Beyond
//! convexity: stochastic quasi-convex optimization", 2015): u = lr·g/‖g‖, a step as long as the learning rate
//! whatever the size of the gradient, and none where that is 0.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::norm::{hypotenuse, in_two_factors};
use crate::rule::{Rule, Step};
use crate::settings::settings;
use backflow_tensor::FloatElement;

pub(super) const NORMALIZED_GD: RuleInfo = RuleInfo {
    name: "normalized-gd",
    formula: "w −= lr·g/√(offset² + |g|²), |g| over all parameters",
    reference: "Nesterov 1984, Hazan, Levy and Shalev-Shwartz 2015 (there g/|g|: offset=0)",
    full_batch: false,
    make: || NormalizedGd::default().into(),
};

settings! {
    /// Gradient descent whose steps are never longer than the learning rate.
    pub struct NormalizedGd named "normalized-gd" (lr = 0.1) {
        /// The norm far below which steps are proportional to the gradient; with `0` all have one length.
        offset: NonNegative = 1.0,
    }
}

impl Rule for NormalizedGd {
    fn needs_norm(&self) -> bool {
        true
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        // Not √(c² + ‖g‖²), whose squares leave the range of f64 for the gradients that this is about.
        let (norm, offset) = (step.gradient_norm, self.offset);
        let length = hypotenuse(norm, offset);
        if length == 0.0 {
            // Written so that weight decay still acts.
            return elements.each(move |_, _, []| (T::ZERO, []));
        }
        let scale = step.lr / length;
        let [first, second] = in_two_factors(scale).map(T::from_f64);
        elements.each(move |_, g, []| (second * (first * g), []))
    }
}
