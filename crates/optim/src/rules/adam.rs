//! Adam: a running mean of the gradient, divided by its running root mean square, both corrected for their
//! start at 0.
//!
//! ```text
//! m ← m + (1 − β₁)·(g − m)
//! v ← β₂·v + (1 − β₂)·g²
//! u = lr/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
//! ```
//!
//! Kingma and Ba, "Adam: a method for stochastic optimization", 2015. `AMSGrad` (Reddi, Kale and Kumar 2018)
//! divides by the largest `v` so far; as in PyTorch the maximum is taken of `v` before its correction.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_tensor::{DType, FloatElement, Shape};

pub(super) const ADAM: RuleInfo = RuleInfo {
    name: "adam",
    formula: "m, v = means of g, g²;  w −= lr·m̂/(√v̂ + eps)",
    reference: "Kingma and Ba 2015; torch.optim.Adam",
    full_batch: false,
    make: || Adam::default().into(),
};

pub(super) const AMSGRAD: RuleInfo = RuleInfo {
    name: "amsgrad",
    formula: "as adam, with the largest v so far:  w −= lr·m̂/(√max v̂ + eps)",
    reference: "Reddi, Kale and Kumar 2018; torch.optim.Adam(amsgrad=True)",
    full_batch: false,
    make: || Adam::default().amsgrad(true).into(),
};

settings! {
    /// Adam: each element's step is about the learning rate, whatever the size of its gradients.
    pub struct Adam named "adam" (lr = 1e-3) {
        /// How slowly the means of the gradient and of its square forget, each in [0, 1).
        betas(beta1: BelowOne = 0.9, beta2: BelowOne = 0.999),
        /// What is added to the root so that nothing is divided by 0.
        eps: NonNegative = 1e-8,
        /// L2 weight decay. For decay beside the update there is [`AdamW`](crate::AdamW).
        weight_decay: NonNegative = 0.0,
        /// Whether to divide by the largest mean square so far, so that steps never grow again.
        amsgrad: Flag = false,
    }
}

impl Rule for Adam {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn eps(&self, _: Shape, _: DType) -> Option<f64> {
        Some(self.eps)
    }

    fn is_linear_below_eps(&self) -> bool {
        !self.amsgrad
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        let names: &[_] = if self.amsgrad {
            &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
        } else {
            &["exp_avg", "exp_avg_sq"]
        };
        names.iter().copied().map(Buffer::zeros).collect()
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let lr = step.lr / step.bias_correction(self.beta1);
        let scale = 1.0 / step.bias_correction(self.beta2).sqrt();
        let scalars = [lr, scale, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2, self.eps];
        let [lr, scale, fresh1, beta2, fresh2, eps] = scalars.map(T::from_f64);
        let means = move |m: T, v: T, g: T| (m + fresh1 * (g - m), beta2 * v + fresh2 * g * g);
        if self.amsgrad {
            return elements.each_with_momentum(move |_, g, [m, v, largest]| {
                let (m, v) = means(m, v, g);
                let largest = largest.maximum(v);
                (lr * m / (largest.sqrt() * scale + eps), [m, v, largest])
            });
        }
        elements.each_with_momentum(move |_, g, [m, v]| {
            let (m, v) = means(m, v, g);
            (lr * m / (v.sqrt() * scale + eps), [m, v])
        })
    }
}
