//! Sign descent with momentum.
//!
//! ```text
//! m ← β·m + (1 − β)·g
//! u = lr·sign(m) + lr·λ·w
//! ```
//!
//! Bernstein et al., "signSGD: compressed optimisation for non-convex problems", 2018, algorithm 2, with its
//! decoupled weight decay.

use super::RuleInfo;
use super::sign_sgd::sign;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_tensor::{FloatElement, Shape};

pub(super) const SIGNUM: RuleInfo = RuleInfo {
    name: "signum",
    formula: "m = momentum·m + (1 − momentum)·g;  w −= lr·sign(m) + lr·weight_decay·w",
    reference: "Bernstein et al. 2018; optax.signum",
    full_batch: false,
    make: || Signum::default().into(),
};

settings! {
    /// Sign descent on a running mean of the gradient.
    pub struct Signum named "signum" (lr = 1e-3) {
        /// How slowly the mean forgets, in [0, 1).
        momentum: BelowOne = 0.9,
        /// Decoupled weight decay.
        weight_decay: NonNegative = 0.0,
    }
}

impl Rule for Signum {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Decoupled(self.weight_decay)
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::zeros("momentum_buffer")]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let [lr, momentum, fresh] = [step.lr, self.momentum, 1.0 - self.momentum].map(T::from_f64);
        elements.each_with_momentum(move |_, g, [m]| {
            let m = momentum * m + fresh * g;
            (lr * sign(m), [m])
        })
    }
}
