//! Resilient backpropagation: only the signs of the gradient count, and each element has a step size of its
//! own.
//!
//! ```text
//! s = sign(g·g')              g': the gradient of the step before
//! Δ ← clamp(Δ·{η₊, η₋, 1})    for s > 0, s < 0, s = 0;  Δ begins at lr
//! g ← 0 where s < 0
//! u = sign(g)·Δ
//! ```
//!
//! Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning", 1993, in the variant
//! iRprop⁻ (Igel and Hüsken 2000); as `torch.optim.Rprop`, except that s is made of two signs: the product of
//! two vanishing `f32` gradients would be 0. The learning rate is the first step size and no more: schedules
//! do not reach a run that has begun. Gradients of different batches differ in sign by chance, so this is a
//! rule for full batches first of all.

use super::RuleInfo;
use super::sign_sgd::sign;
use crate::elements::{Elements, Totals};
use crate::rule::{Buffer, Rule, Step};
use crate::settings::settings;
use backflow_tensor::{FloatElement, Shape};

pub(super) const RPROP: RuleInfo = RuleInfo {
    name: "rprop",
    formula: "step ×= 1.2 where g keeps its sign, ×= 0.5 where it turns;  w −= sign(g)·step",
    reference: "Riedmiller and Braun 1993; torch.optim.Rprop",
    full_batch: true,
    make: || Rprop::default().into(),
};

settings! {
    /// Resilient backpropagation: step sizes that grow while the gradient keeps its sign and shrink when it
    /// turns.
    pub struct Rprop named "rprop" (lr = 1e-2) {
        /// What a step size is multiplied by where the gradient turns, and where it keeps its sign.
        etas(eta_minus: BelowOne = 0.5, eta_plus: Positive = 1.2),
        /// The smallest and the largest step size.
        step_sizes(step_min: NonNegative = 1e-6, step_max: Positive = 50.0),
    }
}

impl Rule for Rprop {
    fn conflict(&self) -> Option<&'static str> {
        if self.eta_plus <= 1.0 {
            return Some("eta_plus must be above 1");
        }
        (self.step_min > self.step_max).then_some("step_min must not exceed step_max")
    }

    fn buffers(&self, _: Shape) -> Vec<Buffer> {
        vec![Buffer::zeros("prev"), Buffer::zeros("step_size")]
    }

    fn update<T: FloatElement>(&self, step: Step, elements: Elements<'_, T>) -> Totals {
        let scalars = [self.eta_minus, self.eta_plus, self.step_min, self.step_max, step.lr];
        let [minus, plus, min, max, lr] = scalars.map(T::from_f64);
        let first = step.t == 1;
        elements.each(move |_, g, [previous, size]| {
            let turn = sign(g) * sign(previous);
            let factor = if turn > T::ZERO {
                plus
            } else if turn < T::ZERO {
                minus
            } else {
                T::ONE
            };
            let size = if first { lr } else { size };
            let size = (size * factor).maximum(min).minimum(max);
            let g = if turn < T::ZERO { T::ZERO } else { g };
            (sign(g) * size, [g, size])
        })
    }
}
