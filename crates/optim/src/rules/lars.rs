//! LARS: each layer's gradient is scaled to the size of its weights.
//!
//! ```text
//! d = lr · η·‖w‖/(‖g + λ·w‖ + ε) · (g + λ·w)     the ratio is 1 where a norm is 0
//! b ← μ·b + d
//! u = b                                          or d + μ·b with Nesterov
//! ```
//!
//! You, Gitman and Ginsburg, "Large batch training of convolutional networks", 2017; as `optax.lars`, where
//! the learning rate goes into the momentum buffer. The ratio is of every parameter, biases included: give
//! those a [group](crate::Optimizer::group) of their own to leave them out, as the paper does.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::norm::in_two_factors;
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_tensor::{DType, FloatElement, Shape};

pub(super) const LARS: RuleInfo = RuleInfo {
    name: "lars",
    formula: "b = momentum·b + lr·trust_coefficient·|w|/|g|·g, by parameter;  w −= b",
    reference: "You, Gitman and Ginsburg 2017; optax.lars",
    full_batch: false,
    make: || Lars::default().into(),
};

settings! {
    /// LARS: momentum whose steps are a fixed share of each parameter's norm, whatever the gradient's.
    #[doc(alias = "LARS")]
    pub struct Lars named "lars" (lr = 1.0) {
        /// How large a step is, as a share of the norm of the weights.
        trust_coefficient: Positive = 1e-3,
        /// How much of the last step is kept, in [0, 1).
        momentum: BelowOne = 0.9,
        /// Whether to look ahead by one step of momentum.
        nesterov: Flag = false,
        /// What is added to the norm of the gradient.
        eps: NonNegative = 0.0,
        /// L2 weight decay.
        weight_decay: NonNegative = 0.0,
    }
}

impl Rule for Lars {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    /// Of what is added to a norm, the share of an element.
    fn eps(&self, shape: Shape, _: DType) -> Option<f64> {
        (self.eps > 0.0).then(|| self.eps / (shape.elements().max(1) as f64).sqrt())
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::zeros("momentum_buffer")]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let (w, g) = elements.norms();
        let ratio = if w == 0.0 || g == 0.0 { 1.0 } else { self.trust_coefficient * w / (g + self.eps) };
        let [first, second] = in_two_factors(step.lr * ratio).map(T::from_f64);
        let momentum = T::from_f64(self.momentum);
        if self.nesterov {
            return elements.each_with_momentum(move |_, g, [b]| {
                let d = second * (first * g);
                let b = momentum * b + d;
                (d + momentum * b, [b])
            });
        }
        elements.each_with_momentum(move |_, g, [b]| {
            let b = momentum * b + second * (first * g);
            (b, [b])
        })
    }
}
