//! Sharpness-aware minimisation: the gradient is taken a little way uphill, where it points out of sharp
//! minima.
//!
//! ```text
//! g' = ∇L(w + ρ·g/‖g‖)            ‖g‖ over all parameters
//! w ← base rule with g' in place of g
//! ```
//!
//! Foret et al., "Sharpness-aware minimization for efficiently improving generalization", 2021, with the
//! 2-norm. Each step computes loss and gradient twice, so it runs through
//! [`step_with`](crate::Optimizer::step_with). By name the base is gradient descent with momentum; in a
//! program any rule serves that needs no more than a gradient: `Sam::new(Adam::new(1e-3))`. A loss that is
//! not finite up there skips the step.

use super::{RuleInfo, Sgd};
use crate::elements::{Elements, Totals};
use crate::hyperparameter::{Hyperparameter, Range, Settings};
use crate::method::Method;
use crate::rule::{Needs, Rule, Step};
use backflow_tensor::FloatElement;

pub(super) const SAM: RuleInfo = RuleInfo {
    name: "sam",
    formula: "g' = gradient at w + rho·g/|g|;  b = momentum·b + g';  w −= lr·b",
    reference: "Foret et al. 2021, over torch.optim.SGD",
    full_batch: false,
    make: || Method::custom(Sam::new(Sgd::new(1e-2).momentum(0.9))),
};

/// A rule that goes by the gradient a little way uphill.
#[derive(Clone, Debug)]
#[doc(alias = "SAM")]
pub struct Sam<R> {
    base: R,
    rho: f64,
}

impl<R: Rule> Sam<R> {
    /// Around this rule.
    #[must_use]
    pub fn new(base: R) -> Self {
        Self { base, rho: 0.05 }
    }

    /// How far uphill the gradient is taken, in the units of the weights.
    ///
    /// `0.05` unless set.
    #[must_use]
    pub fn rho(self, rho: f64) -> Self {
        Self { rho, ..self }
    }
}

impl<R: Rule + Clone> From<Sam<R>> for Method {
    fn from(rule: Sam<R>) -> Self {
        Self::custom(rule)
    }
}

impl<R: Rule> Settings for Sam<R> {
    fn name(&self) -> &'static str {
        "sam"
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        let mut settings = self.base.hyperparameters();
        settings.insert(1, Hyperparameter::number("rho", &mut self.rho, Range::NonNegative));
        settings
    }
}

impl<R: Rule> Rule for Sam<R> {
    fn inner(&self) -> Option<&dyn Rule> {
        Some(&self.base)
    }

    fn conflict(&self) -> Option<&'static str> {
        let fits = self.base.needs() == Needs::Gradient;
        self.base.conflict().or((!fits).then_some("the rule inside must need no more than a gradient"))
    }

    fn needs(&self) -> Needs {
        Needs::Uphill(self.rho)
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        self.base.update(step, elements)
    }
}
