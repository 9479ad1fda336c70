//! `RMSprop`: the gradient divided by a running root mean square of itself.
//!
//! ```text
//! v ← α·v + (1 − α)·g²
//! a ← a + (1 − α)·(g − a)           centered: v − a² takes the place of v below
//! d = g / (√v + ε)
//! u = lr·d                          or, with momentum,  b ← μ·b + d,  u = lr·b
//! ```
//!
//! Tieleman and Hinton, lecture 6e of "Neural networks for machine learning", 2012; centered: Graves 2013. As in PyTorch,
//! ε stands outside the root and there is no bias correction: `v` starts at 0, so that the first step is 1/√(1 − α) times,
//! by default 10 times, the learning rate.
//!
//! Under a gradient that stays the same, `v − a²` cancels down to rounding errors: the centered step then grows to
//! `lr·g/ε`, or to NaN where the difference comes out below 0. PyTorch does the same.

use super::RuleInfo;
use crate::hyperparameter::{Hyperparameter, Range};
use crate::rule::{Buffer, Elements, Rule, Step, Totals, WeightDecay};
use backflow_tensor::FloatElement;

pub(super) const INFO: RuleInfo = RuleInfo {
    name: "rmsprop",
    formula: "v = alpha·v + (1 − alpha)·g²;  w −= lr·g/(√v + eps)",
    reference: "Tieleman and Hinton 2012, Graves 2013; torch.optim.RMSprop",
    make: || Box::new(Rmsprop::new(1e-2)),
};

/// `RMSprop`: each element's step is divided by a running root mean square of its gradients.
#[derive(Clone, Debug)]
#[doc(alias = "RMSprop")]
pub struct Rmsprop {
    learning_rate: f64,
    alpha: f64,
    eps: f64,
    weight_decay: f64,
    momentum: f64,
    centered: bool,
}

impl Rmsprop {
    /// `RMSprop` with this learning rate and PyTorch's other defaults.
    #[must_use]
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, alpha: 0.99, eps: 1e-8, weight_decay: 0.0, momentum: 0.0, centered: false }
    }

    /// How slowly the mean square forgets, in [0, 1): 0.99 at first.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// What is added to the root so that nothing is divided by 0: 1e-8 at first.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// L2 weight decay: 0 at first.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// How much of the last step's direction is kept, in [0, 1): 0 at first.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Whether to divide by the running standard deviation instead of the root mean square.
    #[must_use]
    pub fn centered(self, centered: bool) -> Self {
        Self { centered, ..self }
    }
}

impl Rule for Rmsprop {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn hyperparameters(&mut self) -> Vec<Hyperparameter<'_>> {
        vec![
            Hyperparameter::number("lr", &mut self.learning_rate, Range::NonNegative),
            Hyperparameter::number("alpha", &mut self.alpha, Range::BelowOne),
            Hyperparameter::number("eps", &mut self.eps, Range::NonNegative),
            Hyperparameter::number("weight_decay", &mut self.weight_decay, Range::NonNegative),
            Hyperparameter::number("momentum", &mut self.momentum, Range::BelowOne),
            Hyperparameter::flag("centered", &mut self.centered),
        ]
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn buffers(&self) -> Vec<Buffer> {
        let used = [(true, "square_avg"), (self.centered, "grad_avg"), (self.momentum > 0.0, "momentum_buffer")];
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
            (false, true) => elements.each(move |_, g, [v, b]| {
                let v = mean_square(v, g);
                let b = momentum * b + g / (v.sqrt() + eps);
                (lr * b, [v, b])
            }),
            (true, false) => elements.each(move |_, g, [v, a]| {
                let (v, a) = (mean_square(v, g), mean(a, g));
                (lr * g / ((v - a * a).sqrt() + eps), [v, a])
            }),
            (true, true) => elements.each(move |_, g, [v, a, b]| {
                let (v, a) = (mean_square(v, g), mean(a, g));
                let b = momentum * b + g / ((v - a * a).sqrt() + eps);
                (lr * b, [v, a, b])
            }),
        }
    }
}
