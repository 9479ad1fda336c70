//! `AdamW`: Adam, with weight decay beside the update instead of inside the gradient.
//!
//! ```text
//! u = (Adam's) + lr·λ·w
//! ```
//!
//! Loshchilov and Hutter, "Decoupled weight decay regularization", 2019. As in PyTorch, λ is 0.01 unless set,
//! and is multiplied by the scheduled learning rate.

use super::RuleInfo;
use super::adam::Adam;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_tensor::{DType, FloatElement, Shape};

pub(super) const ADAMW: RuleInfo = RuleInfo {
    name: "adamw",
    formula: "w −= lr·m̂/(√v̂ + eps) + lr·weight_decay·w",
    reference: "Loshchilov and Hutter 2019; torch.optim.AdamW",
    full_batch: false,
    make: || AdamW::default().into(),
};

settings! {
    /// Adam with decoupled weight decay: every weight decays at the same rate, whatever its gradients.
    pub struct AdamW named "adamw" (lr = 1e-3) {
        /// As [`Adam::betas`].
        betas(beta1: BelowOne = 0.9, beta2: BelowOne = 0.999),
        /// As [`Adam::eps`].
        eps: NonNegative = 1e-8,
        /// Decoupled weight decay.
        weight_decay: NonNegative = 1e-2,
        /// As [`Adam::amsgrad`].
        amsgrad: Flag = false,
    }
}

impl AdamW {
    fn adam(&self) -> Adam {
        Adam::new(self.learning_rate).betas(self.beta1, self.beta2).eps(self.eps).amsgrad(self.amsgrad)
    }
}

impl Rule for AdamW {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Decoupled(self.weight_decay)
    }

    fn eps(&self, _: Shape, _: DType) -> Option<f64> {
        Some(self.eps)
    }

    fn is_linear_below_eps(&self) -> bool {
        !self.amsgrad
    }

    fn buffers(&self, shape: Shape) -> Vec<Buffer> {
        self.adam().buffers(shape)
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        self.adam().update(step, elements)
    }
}
