//! `NAdam`: Adam with Nesterov's look ahead.
//!
//! ```text
//! μₜ = β₁·(1 − ½·0.96^(t·ψ)),   P ← P·μₜ
//! m, v as Adam's
//! u = lr·[(1 − μₜ)/(1 − P)·g + μₜ₊₁/(1 − P·μₜ₊₁)·m] / (√(v/(1 − β₂ᵗ)) + ε)
//! ```
//!
//! Dozat, "Incorporating Nesterov momentum into Adam", 2016; as `torch.optim.NAdam`, ψ (`momentum_decay`) =
//! 0.004.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_kernels::Float;
use backflow_tensor::{DType, FloatElement, Shape};

pub(super) const NADAM: RuleInfo = RuleInfo {
    name: "nadam",
    formula: "m, v as adam's;  w −= lr·((1 − mu)·ĝ + mu'·m̂)/(√v̂ + eps)",
    reference: "Dozat 2016; torch.optim.NAdam",
    full_batch: false,
    make: || Nadam::default().into(),
};

settings! {
    /// `NAdam`: Adam that steps to where its momentum is about to go.
    #[doc(alias = "NAdam")]
    pub struct Nadam named "nadam" (lr = 2e-3) {
        /// How slowly the means of the gradient and of its square forget, each in [0, 1).
        betas(beta1: BelowOne = 0.9, beta2: BelowOne = 0.999),
        /// What is added to the root so that nothing is divided by 0.
        eps: NonNegative = 1e-8,
        /// How fast the momentum rises to its full size.
        momentum_decay: NonNegative = 4e-3,
        /// Weight decay: L2, or decoupled if so set.
        weight_decay: NonNegative = 0.0,
        /// Whether weight decay stands beside the update, as in [`AdamW`](crate::AdamW).
        decoupled_weight_decay: Flag = false,
    }
}

impl Rule for Nadam {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::either(self.decoupled_weight_decay, self.weight_decay)
    }

    fn eps(&self, _: Shape, _: DType) -> Option<f64> {
        Some(self.eps)
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::zeros("exp_avg"), Buffer::zeros("exp_avg_sq")]
    }

    fn numbers(&self) -> Vec<(&'static str, f64)> {
        vec![("mu_product", 1.0)]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let mu = |t: u64| self.beta1 * (1.0 - 0.5 * Float::powf(0.96, t as f64 * self.momentum_decay));
        let (now, next) = (mu(step.t), mu(step.t + 1));
        let product = &mut elements.numbers[0].1;
        *product *= now;
        let of_gradient = step.lr * (1.0 - now) / (1.0 - *product);
        let of_mean = step.lr * next / (1.0 - *product * next);
        let scale = step.bias_correction(self.beta2);
        let scalars = [of_gradient, of_mean, scale, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2, self.eps];
        let [of_gradient, of_mean, scale, fresh1, beta2, fresh2, eps] = scalars.map(T::from_f64);
        elements.each_with_momentum(move |_, g, [m, v]| {
            let m = m + fresh1 * (g - m);
            let v = beta2 * v + fresh2 * g * g;
            ((of_gradient * g + of_mean * m) / ((v / scale).sqrt() + eps), [m, v])
        })
    }
}
