//! Gradient descent with a learning rate that adapts to the size of the gradient.
//!
//! ```text
//! u = lr·g / √(1 + ‖g‖²)          ‖g‖ over all parameters
//! ```
//!
//! A step is never longer than the learning rate, so that an exploding gradient does no harm; small gradients
//! are left as they are, so that it comes to rest at a minimum. It is a smooth form of clipping by norm, with
//! the limit 1. Where gradients vanish it is plain gradient descent. Of the family of normalised gradient
//! methods (Nesterov 1984; Hazan, Levy and Shalev-Shwartz 2015), which divide by ‖g‖ itself.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Rule, Step};
use crate::settings::settings;
use backflow_tensor::FloatElement;

pub(super) const NORMALIZED_GD: RuleInfo = RuleInfo {
    name: "normalized-gd",
    formula: "w −= lr·g/√(1 + |g|²), |g| over all parameters",
    reference: "Nesterov 1984, Hazan, Levy and Shalev-Shwartz 2015 (there g/|g|)",
    full_batch: false,
    make: || NormalizedGd::default().into(),
};

settings! {
    /// Gradient descent whose steps are never longer than the learning rate.
    pub struct NormalizedGd named "normalized-gd" (lr = 0.1) {}
}

impl Rule for NormalizedGd {
    fn needs_norm(&self) -> bool {
        true
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        // Not √(1 + ‖g‖²), whose square overflows for the gradients that this is about.
        let norm = step.gradient_norm;
        let root =
            if norm > 1.0 { norm * (1.0 + norm.recip().powi(2)).sqrt() } else { (1.0 + norm * norm).sqrt() };
        let scale = T::from_f64(step.lr / root);
        elements.each(move |_, g, []| (scale * g, []))
    }
}
