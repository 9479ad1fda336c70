//! Adagrad: steps shrink where gradients have been large.
//!
//! ```text
//! s ← s + g²
//! u = lr / (1 + (t − 1)·lr_decay) · g / (√s + ε)
//! ```
//!
//! Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011, diagonal form. As in PyTorch, ε = 1e-10 stands outside
//! the root, and `lr_decay` is an addition to the paper.

use super::RuleInfo;
use crate::hyperparameter::{Hyperparameter, Range};
use crate::rule::{Buffer, Elements, Rule, Step, Totals, WeightDecay};
use backflow_tensor::FloatElement;

pub(super) const INFO: RuleInfo = RuleInfo {
    name: "adagrad",
    formula: "s += g²;  w −= lr/(1 + (t − 1)·lr_decay) · g/(√s + eps)",
    reference: "Duchi, Hazan and Singer 2011; torch.optim.Adagrad",
    make: || Box::new(Adagrad::new(1e-2)),
};

/// Adagrad: each element's step is divided by the root of the sum of its squared gradients.
#[derive(Clone, Debug)]
pub struct Adagrad {
    learning_rate: f64,
    lr_decay: f64,
    weight_decay: f64,
    initial_accumulator_value: f64,
    eps: f64,
}

impl Adagrad {
    /// Adagrad with this learning rate and PyTorch's other defaults.
    #[must_use]
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, lr_decay: 0.0, weight_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10 }
    }

    /// How fast the learning rate falls with the number of steps: 0 at first.
    #[must_use]
    pub fn lr_decay(self, lr_decay: f64) -> Self {
        Self { lr_decay, ..self }
    }

    /// L2 weight decay: 0 at first.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// What the sums of squares start from: 0 at first.
    #[must_use]
    pub fn initial_accumulator_value(self, initial_accumulator_value: f64) -> Self {
        Self { initial_accumulator_value, ..self }
    }

    /// What is added to the root so that nothing is divided by 0: 1e-10 at first.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }
}

impl Rule for Adagrad {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![
            Hyperparameter::number("lr", &mut self.learning_rate, Range::NonNegative),
            Hyperparameter::number("lr_decay", &mut self.lr_decay, Range::NonNegative),
            Hyperparameter::number("weight_decay", &mut self.weight_decay, Range::NonNegative),
            Hyperparameter::number("initial_accumulator_value", &mut self.initial_accumulator_value, Range::NonNegative),
            Hyperparameter::number("eps", &mut self.eps, Range::NonNegative),
        ]
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn buffers(&self) -> Vec<Buffer> {
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
