//! Gradient descent with injected noise.
//!
//! ```text
//! u = lr·(g + n),   n ~ N(0, eta/tᵞ)
//! ```
//!
//! Neelakantan et al., "Adding gradient noise improves learning for very deep networks", 2015;
//! `optax.noisy_sgd`. `eta` is a variance. The pipeline adds the noise, to any rule
//! ([`Optimizer::noise`](crate::Optimizer::noise)); this one asks for it by itself. The paper counts steps
//! from 0 and writes (1 + t)ᵞ: the same.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Noise, Rule, Step};
use crate::settings::settings;
use backflow_tensor::FloatElement;

pub(super) const NOISY_SGD: RuleInfo = RuleInfo {
    name: "noisy-sgd",
    formula: "w −= lr·(g + n),  n ~ N(0, eta/t^gamma)",
    reference: "Neelakantan et al. 2015; optax.noisy_sgd",
    full_batch: false,
    make: || NoisySgd::default().into(),
};

settings! {
    /// Gradient descent on gradients with Gaussian noise, whose variance falls with the steps.
    pub struct NoisySgd named "noisy-sgd" (lr = 1e-3) {
        /// The variance of the noise at the first step.
        eta: NonNegative = 0.01,
        /// How fast it falls.
        gamma: NonNegative = 0.55,
        /// The seed of the noise.
        seed: Count(0) = 0,
    }
}

impl Rule for NoisySgd {
    fn noise(&self) -> Option<Noise> {
        Some(Noise { eta: self.eta, gamma: self.gamma, seed: self.seed })
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let lr = T::from_f64(step.lr);
        elements.each(move |_, g, []| (lr * g, []))
    }
}
