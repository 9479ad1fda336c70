//! Lion: the sign of a mean of momentum and gradient.
//!
//! ```text
//! u = lr·sign(β₁·m + (1 − β₁)·g) + lr·λ·w
//! m ← β₂·m + (1 − β₂)·g
//! ```
//!
//! Chen et al., "Symbolic discovery of optimization algorithms", 2023; `optax.lion`, with its weight decay of
//! 1e-3. Steps have one size, so that learning rates are 3 to 10 times smaller than Adam's.

use super::RuleInfo;
use super::sign_sgd::sign;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_tensor::{FloatElement, Shape};

pub(super) const LION: RuleInfo = RuleInfo {
    name: "lion",
    formula: "w −= lr·sign(beta1·m + (1 − beta1)·g) + lr·weight_decay·w;  m = mean of g, by beta2",
    reference: "Chen et al. 2023; optax.lion",
    full_batch: false,
    make: || Lion::default().into(),
};

settings! {
    /// Lion: sign descent with momentum, where the newest gradient counts more for the step than for the
    /// memory.
    pub struct Lion named "lion" (lr = 1e-4) {
        /// The momentum's share of the step, and how slowly it forgets, each in [0, 1).
        betas(beta1: BelowOne = 0.9, beta2: BelowOne = 0.99),
        /// Decoupled weight decay.
        weight_decay: NonNegative = 1e-3,
    }
}

impl Rule for Lion {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Decoupled(self.weight_decay)
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::zeros("exp_avg")]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let scalars = [step.lr, self.beta1, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2];
        let [lr, beta1, fresh1, beta2, fresh2] = scalars.map(T::from_f64);
        elements.each_with_momentum(move |_, g, [m]| {
            let direction = beta1 * m + fresh1 * g;
            (lr * sign(direction), [beta2 * m + fresh2 * g])
        })
    }
}
