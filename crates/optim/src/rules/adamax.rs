//! `AdaMax`: Adam with the largest recent gradient in place of the root mean square.
//!
//! ```text
//! m ← m + (1 − β₁)·(g − m)
//! s ← max(β₂·s, |g| + ε)
//! u = lr/(1 − β₁ᵗ) · m / s
//! ```
//!
//! Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 2; as `torch.optim.Adamax`,
//! whose ε stands beside
//! |g| (the paper has none).

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_tensor::{DType, FloatElement, Shape};

pub(super) const ADAMAX: RuleInfo = RuleInfo {
    name: "adamax",
    formula: "m = mean of g, s = max(beta2·s, |g| + eps);  w −= lr·m̂/s",
    reference: "Kingma and Ba 2015; torch.optim.Adamax",
    full_batch: false,
    make: || Adamax::default().into(),
};

settings! {
    /// `AdaMax`: steps are at most about the learning rate, since no recent gradient is larger than what
    /// divides it.
    #[doc(alias = "AdaMax")]
    pub struct Adamax named "adamax" (lr = 2e-3) {
        /// How slowly the mean and the maximum forget, each in [0, 1).
        betas(beta1: BelowOne = 0.9, beta2: BelowOne = 0.999),
        /// What is added to |g| so that nothing is divided by 0.
        eps: NonNegative = 1e-8,
        /// L2 weight decay.
        weight_decay: NonNegative = 0.0,
    }
}

impl Rule for Adamax {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn eps(&self, _: Shape, _: DType) -> Option<f64> {
        Some(self.eps)
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::zeros("exp_avg"), Buffer::zeros("exp_inf")]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let lr = step.lr / step.bias_correction(self.beta1);
        let [lr, fresh, beta2, eps] = [lr, 1.0 - self.beta1, self.beta2, self.eps].map(T::from_f64);
        elements.each_with_momentum(move |_, g, [m, s]| {
            let m = m + fresh * (g - m);
            let s = (beta2 * s).maximum(g.abs() + eps);
            (lr * m / s, [m, s])
        })
    }
}
