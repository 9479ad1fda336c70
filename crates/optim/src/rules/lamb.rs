//! LAMB: Adam whose step is scaled, layer by layer, to the size of the weights.
//!
//! ```text
//! d = m̂ / (√v̂ + ε) + λ·w          m, v as Adam's
//! u = lr · ‖w‖/‖d‖ · d             the ratio is 1 where a norm is 0
//! ```
//!
//! You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", 2020; as
//! `optax.lamb`, ε = 1e-6. The norms are of each parameter.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step};
use crate::settings::settings;
use backflow_tensor::{DType, FloatElement, Shape};

pub(super) const LAMB: RuleInfo = RuleInfo {
    name: "lamb",
    formula: "d = m̂/(√v̂ + eps) + weight_decay·w;  w −= lr·|w|/|d|·d, by parameter",
    reference: "You et al. 2020; optax.lamb",
    full_batch: false,
    make: || Lamb::default().into(),
};

settings! {
    /// LAMB: Adam whose steps are, for each parameter, the learning rate's share of its norm.
    #[doc(alias = "LAMB")]
    pub struct Lamb named "lamb" (lr = 1e-3) {
        /// How slowly the means of the gradient and of its square forget, each in [0, 1).
        betas(beta1: BelowOne = 0.9, beta2: BelowOne = 0.999),
        /// What is added to the root so that nothing is divided by 0.
        eps: NonNegative = 1e-6,
        /// Weight decay, inside the direction that is scaled.
        weight_decay: NonNegative = 0.0,
    }
}

impl Rule for Lamb {
    fn eps(&self, _: Shape, _: DType) -> Option<f64> {
        Some(self.eps)
    }

    fn is_linear_below_eps(&self) -> bool {
        false
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::zeros("exp_avg"), Buffer::zeros("exp_avg_sq")]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let (of_mean, of_square) =
            (1.0 / step.bias_correction(self.beta1), 1.0 / step.bias_correction(self.beta2));
        let scalars =
            [of_mean, of_square, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2, self.eps, self.weight_decay];
        let [of_mean, of_square, fresh1, beta2, fresh2, eps, decay] = scalars.map(T::from_f64);
        let direction = move |w: T, g: T, [m, v]: [T; 2]| {
            let m = m + fresh1 * (g - m);
            let v = beta2 * v + fresh2 * g * g;
            (m * of_mean / ((v * of_square).sqrt() + eps) + decay * w, [m, v])
        };
        elements.scaled(direction, |w, d| if w == 0.0 || d == 0.0 { step.lr } else { step.lr * w / d })
    }
}
