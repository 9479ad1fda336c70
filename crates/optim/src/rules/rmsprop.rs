//! `RMSprop`: the gradient divided by a running root mean square of itself.
//!
//! ```text
//! v ← α·v + (1 − α)·g²
//! a ← a + (1 − α)·(g − a)           centered: v − a² takes the place of v below
//! d = g / (√v + ε)
//! u = lr·d                          or, with momentum,  b ← μ·b + d,  u = lr·b
//! ```
//!
//! Tieleman and Hinton, lecture 6e of "Neural networks for machine learning", 2012; centered: Graves 2013. As
//! in PyTorch, ε stands outside the root and there is no bias correction: `v` starts at 0, so that the first
//! step is 1/√(1 − α) times, by default 10 times, the learning rate.
//!
//! Under a gradient that stays nearly the same (to one part in 10⁵ over some hundred steps), `v − a²` cancels
//! down to rounding errors: the centered step then grows to `lr·g/ε`, or to NaN where the difference comes
//! out below 0. PyTorch does the same.

use super::RuleInfo;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step, WeightDecay};
use crate::settings::settings;
use backflow_tensor::{DType, FloatElement, Shape};

pub(super) const RMSPROP: RuleInfo = RuleInfo {
    name: "rmsprop",
    formula: "v = alpha·v + (1 − alpha)·g²;  w −= lr·g/(√v + eps)",
    reference: "Tieleman and Hinton 2012, Graves 2013; torch.optim.RMSprop",
    full_batch: false,
    make: || Rmsprop::default().into(),
};

settings! {
    /// `RMSprop`: each element's step is divided by a running root mean square of its gradients.
    #[doc(alias = "RMSprop")]
    pub struct Rmsprop named "rmsprop" (lr = 1e-2) {
        /// How slowly the mean square forgets, in [0, 1).
        alpha: BelowOne = 0.99,
        /// What is added to the root so that nothing is divided by 0.
        eps: NonNegative = 1e-8,
        /// L2 weight decay.
        weight_decay: NonNegative = 0.0,
        /// How much of the last step's direction is kept, in [0, 1).
        momentum: BelowOne = 0.0,
        /// Whether to divide by the running standard deviation instead of the root mean square.
        centered: Flag = false,
    }
}

impl Rule for Rmsprop {
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn eps(&self, _: Shape, _: DType) -> Option<f64> {
        Some(self.eps)
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        let used =
            [(self.momentum > 0.0, "momentum_buffer"), (true, "square_avg"), (self.centered, "grad_avg")];
        used.into_iter().filter(|(used, _)| *used).map(|(_, name)| Buffer::zeros(name)).collect()
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let scalars = [step.lr, self.alpha, 1.0 - self.alpha, self.eps, self.momentum];
        let [lr, alpha, fresh, eps, momentum] = scalars.map(T::from_f64);
        let mean_square = move |v: T, g: T| alpha * v + fresh * g * g;
        let mean = move |a: T, g: T| a + fresh * (g - a);
        match (self.centered, self.momentum > 0.0) {
            (false, false) => elements.each(move |_, g, [v]| {
                let v = mean_square(v, g);
                (lr * g / (v.sqrt() + eps), [v])
            }),
            (false, true) => elements.each_with_momentum(move |_, g, [b, v]| {
                let v = mean_square(v, g);
                let b = momentum * b + g / (v.sqrt() + eps);
                (lr * b, [b, v])
            }),
            (true, false) => elements.each(move |_, g, [v, a]| {
                let (v, a) = (mean_square(v, g), mean(a, g));
                (lr * g / ((v - a * a).sqrt() + eps), [v, a])
            }),
            (true, true) => elements.each_with_momentum(move |_, g, [b, v, a]| {
                let (v, a) = (mean_square(v, g), mean(a, g));
                let b = momentum * b + g / ((v - a * a).sqrt() + eps);
                (lr * b, [b, v, a])
            }),
        }
    }
}
