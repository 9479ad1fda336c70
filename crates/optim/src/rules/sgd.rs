//! Stochastic gradient descent, plain, with momentum, or with Nesterov's momentum.
//!
//! ```text
//! b ← μ·b + (1 − d)·g        d: dampening; the first step has b ← g
//! u = lr·b                   or lr·(g + μ·b) with Nesterov
//! ```
//!
//! Robbins and Monro 1951; Polyak 1964; Nesterov in the form of Sutskever et al. 2013. As in PyTorch the learning rate
//! multiplies after the buffer, so that a change of it acts at once. `u` is what the pipeline subtracts.

use super::{RuleInfo, settings};
use crate::hyperparameter::{Hyperparameter, Range};
use crate::rule::{Buffer, Elements, Rule, Step, Totals, WeightDecay};
use backflow_tensor::FloatElement;

pub(super) const INFO: RuleInfo = RuleInfo {
    name: "sgd",
    formula: "b = momentum·b + (1 − dampening)·g;  w −= lr·b",
    reference: "Robbins and Monro 1951, Polyak 1964, Nesterov 1983; torch.optim.SGD",
    make: || Box::new(Sgd::default()),
};

settings! {
    /// Stochastic gradient descent: `w ← w − lr·g`, or the same with momentum.
    #[doc(alias = "SGD")]
    pub struct Sgd(lr = 1e-3) {
        /// How much of the last step's direction is kept, in [0, 1).
        momentum: BelowOne = 0.0,
        /// How much of each gradient but the first the momentum buffer leaves out, in [0, 1].
        dampening: UpToOne = 0.0,
        /// Whether to look ahead by one step of momentum. Needs momentum, and no dampening.
        nesterov: Flag = false,
        /// L2 weight decay.
        weight_decay: NonNegative = 0.0,
    }
}

impl Rule for Sgd {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        self.settings()
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
