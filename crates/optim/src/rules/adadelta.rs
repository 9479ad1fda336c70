//! Adadelta: steps in the units of the weights, from the sizes of past steps and past gradients.
//!
//! ```text
//! v ← ρ·v + (1 − ρ)·g²
//! d = √(a + ε) / √(v + ε) · g
//! a ← ρ·a + (1 − ρ)·d²
//! u = lr·d
//! ```
//!
//! Zeiler, "ADADELTA: an adaptive learning rate method", 2012; as `torch.optim.Adadelta`, with ε inside both
//! roots and a learning rate of 1 (the paper has none). The first steps are about √ε = 1e-3 long, and for
//! gradients below that size the rule is linear: it does not rescue vanishing gradients.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_tensor::{DType, FloatElement, Shape};

pub(super) const ADADELTA: RuleInfo = RuleInfo {
    name: "adadelta",
    formula: "d = √(a + eps)/√(v + eps)·g, v and a = means of g² and d²;  w −= lr·d",
    reference: "Zeiler 2012; torch.optim.Adadelta",
    full_batch: false,
    make: || Adadelta::default().into(),
};

settings! {
    /// Adadelta: needs no learning rate, since the sizes of its own past steps set that of the next.
    pub struct Adadelta named "adadelta" (lr = 1.0) {
        /// How slowly the means of squares forget, in [0, 1).
        rho: BelowOne = 0.9,
        /// What is added under both roots: its root is the size of the first steps.
        eps: NonNegative = 1e-6,
        /// L2 weight decay.
        weight_decay: NonNegative = 0.0,
    }
}

impl Rule for Adadelta {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    /// Of what stands beside squares, the root.
    fn eps(&self, _: Shape, _: DType) -> Option<f64> {
        Some(self.eps.sqrt())
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::zeros("square_avg"), Buffer::zeros("acc_delta")]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let [lr, rho, fresh, eps] = [step.lr, self.rho, 1.0 - self.rho, self.eps].map(T::from_f64);
        elements.each(move |_, g, [v, a]| {
            let v = rho * v + fresh * g * g;
            let d = (a + eps).sqrt() / (v + eps).sqrt() * g;
            (lr * d, [v, rho * a + fresh * d * d])
        })
    }
}
