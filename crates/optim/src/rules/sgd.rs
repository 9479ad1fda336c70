//! Stochastic gradient descent, plain, with momentum, or with Nesterov's momentum.
//!
//! ```text
//! b ← μ·b + (1 − d)·g        d: dampening; the first step has b ← g
//! u = lr·b                   or lr·(g + μ·b) with Nesterov
//! ```
//!
//! Robbins and Monro 1951; Polyak 1964; Nesterov in the form of Sutskever et al. 2013. As in PyTorch the
//! learning rate multiplies after the buffer, so that a change of it acts at once. `u` is what the pipeline
//! subtracts.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_tensor::{FloatElement, Shape};

pub(super) const GD: RuleInfo = RuleInfo {
    name: "gd",
    formula: "w −= lr·g, with g over the whole training set",
    reference: "Cauchy 1847; torch.optim.SGD on the full batch",
    full_batch: true,
    make: || Sgd::default().into(),
};

pub(super) const SGD: RuleInfo = RuleInfo {
    name: "sgd",
    formula: "w −= lr·g",
    reference: "Robbins and Monro 1951; torch.optim.SGD",
    full_batch: false,
    make: || Sgd::default().into(),
};

pub(super) const MOMENTUM: RuleInfo = RuleInfo {
    name: "momentum",
    formula: "b = momentum·b + (1 − dampening)·g;  w −= lr·b",
    reference: "Polyak 1964; torch.optim.SGD(momentum=0.9)",
    full_batch: false,
    make: || Sgd::default().momentum(0.9).into(),
};

pub(super) const NESTEROV: RuleInfo = RuleInfo {
    name: "nesterov",
    formula: "b = momentum·b + g;  w −= lr·(g + momentum·b)",
    reference: "Nesterov 1983, Sutskever et al. 2013; torch.optim.SGD(momentum=0.9, nesterov=True)",
    full_batch: false,
    make: || Sgd::default().momentum(0.9).nesterov(true).into(),
};

settings! {
    /// Stochastic gradient descent: `w ← w − lr·g`, or the same with momentum.
    #[doc(alias = "SGD")]
    pub struct Sgd named "sgd" (lr = 1e-3) {
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
    fn conflict(&self) -> Option<&'static str> {
        let fits = !self.nesterov || (self.momentum > 0.0 && self.dampening == 0.0);
        (!fits).then_some("nesterov needs momentum above 0, and dampening 0")
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
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
            return elements.each_with_momentum(move |_, g, [b]| {
                let b = momentum * b + share * g;
                (lr * (g + momentum * b), [b])
            });
        }
        elements.each_with_momentum(move |_, g, [b]| {
            let b = momentum * b + share * g;
            (lr * b, [b])
        })
    }
}
