//! Averaged stochastic gradient descent.
//!
//! ```text
//! η = lr / (1 + λ·lr·(t − 1))^α
//! u = λ·η·w + η·g
//! a ← a + μ·(w − a),   μ = 1/max(1, t − 1 − t₀)
//! ```
//!
//! Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; Bottou 2012. As
//! `torch.optim.ASGD`, where η is made at the end of one step for the next, so that a schedule acts a step
//! later than on other rules. Until step `t0` the average is the weights themselves. PyTorch leaves it to the
//! reader to look at the average; here it is what is [evaluated](crate::Optimizer::evaluating).

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_kernels::Float;
use backflow_tensor::{FloatElement, Shape};

pub(super) const ASGD: RuleInfo = RuleInfo {
    name: "asgd",
    formula: "eta = lr/(1 + lambd·lr·t)^alpha;  w −= eta·(g + lambd·w);  after t0, the mean of the w",
    reference: "Polyak and Juditsky 1992; torch.optim.ASGD",
    full_batch: false,
    make: || Asgd::default().into(),
};

settings! {
    /// Averaged stochastic gradient descent: steps that slowly shrink, and the mean of the weights.
    #[doc(alias = "ASGD")]
    pub struct Asgd named "asgd" (lr = 1e-2) {
        /// How strongly weights decay, and how fast the learning rate falls.
        lambd: NonNegative = 1e-4,
        /// The power by which the learning rate falls.
        alpha: NonNegative = 0.75,
        /// After how many steps averaging begins.
        t0: NonNegative = 1e6,
        /// L2 weight decay.
        weight_decay: NonNegative = 0.0,
    }
}

impl Rule for Asgd {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::zeros("ax")]
    }

    fn average(&self) -> Option<&'static str> {
        Some("ax")
    }

    fn numbers(&self) -> Vec<(&'static str, f64)> {
        // As PyTorch's: 0 until there was a step.
        vec![("eta", 0.0)]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let next = step.lr / Float::powf(1.0 + self.lambd * step.lr * step.t as f64, self.alpha);
        let eta = std::mem::replace(&mut elements.numbers[0].1, next);
        let eta = if step.t == 1 { step.lr } else { eta };
        let share = 1.0 / ((step.t - 1) as f64 - self.t0).max(1.0);
        let shrinks = self.lambd * eta;
        let [eta, shrinks, share] = [eta, shrinks, share].map(T::from_f64);
        if share == T::ONE {
            return elements.each(move |w, g, [_]| {
                let u = shrinks * w + eta * g;
                (u, [w - u])
            });
        }
        elements.each(move |w, g, [a]| {
            let u = shrinks * w + eta * g;
            (u, [a + share * (w - u - a)])
        })
    }
}
