//! Stochastic gradient descent, plain, with momentum, or with Nesterov's momentum.
//!
//! ```text
//! b ← μ·b + (1 − d)·g        d: dampening; the first step has b ← g
//! u = lr·b                   or lr·(g + μ·b) with Nesterov
//! ```
//!
//! Robbins and Monro 1951; Polyak 1964; Nesterov in the form of Sutskever et al. 2013. As in PyTorch the learning rate
//! multiplies after the buffer, so that a change of it acts at once. `u` is what the pipeline subtracts.

use super::RuleInfo;
use crate::hyperparameter::{Hyperparameter, Range};
use crate::rule::{Buffer, Elements, Rule, Step, Totals, WeightDecay};
use backflow_tensor::FloatElement;

pub(super) const INFO: RuleInfo = RuleInfo {
    name: "sgd",
    formula: "b = momentum·b + (1 − dampening)·g;  w −= lr·b",
    reference: "Robbins and Monro 1951, Polyak 1964, Nesterov 1983; torch.optim.SGD",
    make: || Box::new(Sgd::new(1e-3)),
};

/// Stochastic gradient descent: `w ← w − lr·g`, or the same with momentum.
#[derive(Clone, Debug)]
#[doc(alias = "SGD")]
pub struct Sgd {
    learning_rate: f64,
    momentum: f64,
    dampening: f64,
    nesterov: bool,
    weight_decay: f64,
}

impl Sgd {
    /// Plain gradient descent with this learning rate.
    #[must_use]
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, momentum: 0.0, dampening: 0.0, nesterov: false, weight_decay: 0.0 }
    }

    /// How much of the last step's direction is kept, in [0, 1): 0 at first.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// How much of each gradient but the first the momentum buffer leaves out, in [0, 1]: 0 at first.
    #[must_use]
    pub fn dampening(self, dampening: f64) -> Self {
        Self { dampening, ..self }
    }

    /// Whether to look ahead by one step of momentum. Needs momentum, and no dampening.
    #[must_use]
    pub fn nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }

    /// L2 weight decay: 0 at first.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }
}

impl Rule for Sgd {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![
            Hyperparameter::number("lr", &mut self.learning_rate, Range::NonNegative),
            Hyperparameter::number("momentum", &mut self.momentum, Range::BelowOne),
            Hyperparameter::number("dampening", &mut self.dampening, Range::UpToOne),
            Hyperparameter::flag("nesterov", &mut self.nesterov),
            Hyperparameter::number("weight_decay", &mut self.weight_decay, Range::NonNegative),
        ]
    }

    fn conflict(&self) -> Option<&'static str> {
        let fits = !self.nesterov || (self.momentum > 0.0 && self.dampening == 0.0);
        (!fits).then_some("nesterov needs momentum above 0, and dampening 0")
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn buffers(&self) -> Vec<Buffer> {
        if self.momentum == 0.0 { vec![] } else { vec![Buffer::zeros("momentum_buffer")] }
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let lr = T::from_f64(step.lr);
        if self.momentum == 0.0 {
            return elements.each(move |_, g, []| (lr * g, []));
        }
        // On a buffer of zeros, a full share makes the first step b = g.
        let share = if step.t == 1 { 1.0 } else { 1.0 - self.dampening };
        let [momentum, share] = [self.momentum, share].map(T::from_f64);
        if self.nesterov {
            return elements.each(move |_, g, [b]| {
                let b = momentum * b + share * g;
                (lr * (g + momentum * b), [b])
            });
        }
        elements.each(move |_, g, [b]| {
            let b = momentum * b + share * g;
            (lr * b, [b])
        })
    }
}
