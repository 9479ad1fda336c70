//! Adagrad: steps shrink where gradients have been large.
//!
//! ```text
//! s ← s + g²
//! u = lr / (1 + (t − 1)·lr_decay) · g / (√s + ε)
//! ```
//!
//! Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011, diagonal form. As in PyTorch, ε = 1e-10
//! stands outside the root, and `lr_decay` is an addition to the paper.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_tensor::{DType, FloatElement, Shape};

pub(super) const ADAGRAD: RuleInfo = RuleInfo {
    name: "adagrad",
    formula: "s += g²;  w −= lr/(1 + (t − 1)·lr_decay) · g/(√s + eps)",
    reference: "Duchi, Hazan and Singer 2011; torch.optim.Adagrad",
    full_batch: false,
    make: || Adagrad::default().into(),
};

settings! {
    /// Adagrad: each element's step is divided by the root of the sum of its squared gradients.
    pub struct Adagrad named "adagrad" (lr = 1e-2) {
        /// How fast the learning rate falls with the number of steps.
        lr_decay: NonNegative = 0.0,
        /// L2 weight decay.
        weight_decay: NonNegative = 0.0,
        /// What the sums of squares start from.
        initial_accumulator_value: NonNegative = 0.0,
        /// What is added to the root so that nothing is divided by 0.
        eps: NonNegative = 1e-10,
    }
}

impl Rule for Adagrad {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn eps(&self, _: Shape, _: DType) -> Option<f64> {
        Some(self.eps)
    }

    fn is_linear_below_eps(&self) -> bool {
        false
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::full("sum", self.initial_accumulator_value)]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let lr = step.lr / (1.0 + (step.t - 1) as f64 * self.lr_decay);
        let [lr, eps] = [lr, self.eps].map(T::from_f64);
        elements.each(move |_, g, [s]| {
            let s = s + g * g;
            (lr * g / (s.sqrt() + eps), [s])
        })
    }
}
