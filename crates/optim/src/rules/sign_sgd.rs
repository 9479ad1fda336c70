//! Sign descent: steps of one size, in the direction of the gradient's signs.
//!
//! ```text
//! u = lr·sign(g)              sign(0) = 0
//! ```
//!
//! Bernstein et al., "signSGD: compressed optimisation for non-convex problems", 2018; `optax.sign_sgd`. The
//! control experiment for adaptive rules: it forgets the size of every gradient, however small.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Rule, Step};
use crate::settings::settings;
use backflow_tensor::FloatElement;

pub(super) const SIGN_SGD: RuleInfo = RuleInfo {
    name: "sign-sgd",
    formula: "w −= lr·sign(g)",
    reference: "Bernstein et al. 2018; optax.sign_sgd",
    full_batch: false,
    make: || SignSgd::default().into(),
};

settings! {
    /// Sign descent: every element moves by the learning rate.
    #[doc(alias = "signSGD")]
    pub struct SignSgd named "sign-sgd" (lr = 1e-3) {}
}

impl Rule for SignSgd {
    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let lr = T::from_f64(step.lr);
        elements.each(move |_, g, []| (lr * sign(g), []))
    }
}

/// −1, 0 or 1; NaN stays NaN.
#[inline(always)]
pub(super) fn sign<T: FloatElement>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        -T::ONE
    } else {
        x
    }
}
