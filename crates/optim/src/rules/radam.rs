//! `RAdam`: Adam that does not divide by `v` until enough gradients have gone into it.
//!
//! ```text
//! m, v as Adam's;   ρ∞ = 2/(1 − β₂) − 1,   ρ = ρ∞ − 2·t·β₂ᵗ/(1 − β₂ᵗ)
//! r = √[(ρ − 4)(ρ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ)]
//! u = lr·m̂                                      for ρ ≤ 5
//! u = lr·m̂·r·√(1 − β₂ᵗ) / (√v + ε)              after that
//! ```
//!
//! Liu et al., "On the variance of the adaptive learning rate and beyond", 2020; as `torch.optim.RAdam`, with
//! ε beside the uncorrected √v. With β₂ = 0.999 the first five steps are plain momentum.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_tensor::{DType, FloatElement, Shape};

pub(super) const RADAM: RuleInfo = RuleInfo {
    name: "radam",
    formula: "m, v as adam's;  w −= lr·m̂ at first, later lr·r·m̂/(√v̂ + eps)",
    reference: "Liu et al. 2020; torch.optim.RAdam",
    full_batch: false,
    make: || Radam::default().into(),
};

settings! {
    /// `RAdam`: Adam with a warm-up that follows from the variance of its own divisor.
    #[doc(alias = "RAdam")]
    pub struct Radam named "radam" (lr = 1e-3) {
        /// How slowly the means of the gradient and of its square forget, each in [0, 1).
        betas(beta1: BelowOne = 0.9, beta2: BelowOne = 0.999),
        /// What is added to the root so that nothing is divided by 0.
        eps: NonNegative = 1e-8,
        /// Weight decay: L2, or decoupled if so set.
        weight_decay: NonNegative = 0.0,
        /// Whether weight decay stands beside the update, as in [`AdamW`](crate::AdamW).
        decoupled_weight_decay: Flag = false,
    }
}

impl Radam {
    /// The factor r, once it is defined.
    fn rectification(&self, step: Step) -> Option<f64> {
        let correction = step.bias_correction(self.beta2);
        let limit = 2.0 / (1.0 - self.beta2) - 1.0;
        let rho = limit - 2.0 * step.t as f64 * (1.0 - correction) / correction;
        let square = (rho - 4.0) * (rho - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * rho);
        (rho > 5.0).then(|| square.sqrt())
    }
}

impl Rule for Radam {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::either(self.decoupled_weight_decay, self.weight_decay)
    }

    fn eps(&self, _: Shape, _: DType) -> Option<f64> {
        Some(self.eps)
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::zeros("exp_avg"), Buffer::zeros("exp_avg_sq")]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let lr = step.lr / step.bias_correction(self.beta1);
        let rectification = self.rectification(step);
        let scaled = rectification.map_or(lr, |r| lr * r * step.bias_correction(self.beta2).sqrt());
        let scalars = [scaled, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2, self.eps];
        let [lr, fresh1, beta2, fresh2, eps] = scalars.map(T::from_f64);
        let rectified = rectification.is_some();
        elements.each_with_momentum(move |_, g, [m, v]| {
            let m = m + fresh1 * (g - m);
            let v = beta2 * v + fresh2 * g * g;
            let divisor = if rectified { v.sqrt() + eps } else { T::ONE };
            (lr * m / divisor, [m, v])
        })
    }
}
