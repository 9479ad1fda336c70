//! `AdamW`: Adam, with weight decay beside the update instead of inside the gradient.
//!
//! ```text
//! u = (Adam's) + lr·λ·w
//! ```
//!
//! Loshchilov and Hutter, "Decoupled weight decay regularization", 2019. As in PyTorch, λ is 0.01 unless set, and is
//! multiplied by the scheduled learning rate.

use super::RuleInfo;
use super::adam::Adam;
use crate::hyperparameter::Hyperparameter;
use crate::rule::{Buffer, Elements, Rule, Step, Totals, WeightDecay};
use backflow_tensor::FloatElement;

pub(super) const INFO: RuleInfo = RuleInfo {
    name: "adamw",
    formula: "w −= lr·m̂/(√v̂ + eps) + lr·weight_decay·w",
    reference: "Loshchilov and Hutter 2019; torch.optim.AdamW",
    make: || Box::new(AdamW::new(1e-3)),
};

/// Adam with decoupled weight decay: every weight decays at the same rate, whatever its gradients.
#[derive(Clone, Debug)]
pub struct AdamW(Adam);

impl AdamW {
    /// With this learning rate (PyTorch: 0.001) and PyTorch's other defaults.
    #[must_use]
    pub fn new(learning_rate: f64) -> Self {
        Self(Adam::new(learning_rate).weight_decay(1e-2))
    }

    /// As [`Adam::betas`].
    #[must_use]
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Self(self.0.betas(beta1, beta2))
    }

    /// As [`Adam::eps`].
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self(self.0.eps(eps))
    }

    /// Decoupled weight decay.
    ///
    /// `0.01` unless set.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self(self.0.weight_decay(weight_decay))
    }

    /// As [`Adam::amsgrad`].
    #[must_use]
    pub fn amsgrad(self, amsgrad: bool) -> Self {
        Self(self.0.amsgrad(amsgrad))
    }
}

impl Rule for AdamW {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        self.0.hyperparameters()
    }

    fn learning_rate(&self) -> f64 {
        self.0.learning_rate()
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Decoupled(self.0.weight_decay)
    }

    fn buffers(&self) -> Vec<Buffer> {
        self.0.buffers()
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        self.0.update(step, elements)
    }
}
