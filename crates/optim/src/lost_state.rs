//! [`LostState`]: what a rule remembers and can never use again.
//!
//! A gradient of 1e20 is a number of `f32`, its square is not: a mean of squares that has met it is infinite
//! for ever, and the rule divides by it, so that the element never moves again while the loss looks well.
//! Nothing is searched in ordinary steps: a look at the buffers follows a step whose squares left the range
//! of the type, and all steps after one that lost something.

use crate::elements::Totals;
use crate::optimizer::Optimizer;
use crate::rule::Name;
use crate::state::ParameterState;
use crate::step::method_of;
use backflow_tensor::{DType, Module, Tensor};

/// NaN or infinity among what a rule remembers of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct LostState {
    /// The rule.
    pub rule: Name,
    /// The share of elements that it is so for, of the buffer that has most.
    pub share: f64,
    /// The step at which it was first seen.
    pub since: u64,
}

/// Whether squares of gradients, or of weights, can have left the range of the type. A NaN counts.
pub(crate) fn is_possible(totals: &Totals, dtype: DType) -> bool {
    let end = if dtype == DType::F32 { 1e37 } else { 1e307 };
    !(totals.gradient < end && totals.weight < end)
}

/// What is lost of a state after step `step`.
pub(crate) fn find(state: &ParameterState, step: u64) -> Option<LostState> {
    let share = |buffer: &Tensor| {
        let lost = buffer.to_f64_vec().into_iter().filter(|x| !x.is_finite()).count();
        lost as f64 / buffer.elements().max(1) as f64
    };
    let share = state.buffers.iter().map(|(_, buffer)| share(buffer)).fold(0.0, f64::max);
    let since = state.lost.as_ref().map_or(step, |earlier| earlier.since);
    (share > 0.0).then(|| LostState { rule: state.rule.clone(), share, since })
}

impl Optimizer {
    /// Whether the rule divided 0 by 0 at the parameter of this path: its ε is 0, and an element is NaN of
    /// which it remembers nothing but gradients of 0.
    #[must_use]
    pub fn divided_by_zero(&self, model: &(impl Module + ?Sized), path: &str) -> bool {
        let parameters = model.parameters();
        let Some((_, w)) = parameters.iter().find(|(own, _)| own == path) else { return false };
        let Some(state) = self.state().parameters.get(path) else { return false };
        let eps = method_of(&self.method, &self.groups, path).rule.eps(w.shape(), w.dtype());
        let is_like = |buffer: &&Tensor| buffer.shape() == w.shape();
        let buffers = state.buffers.iter().map(|(_, buffer)| buffer).filter(is_like);
        let buffers: Vec<Vec<f64>> = buffers.map(Tensor::to_f64_vec).collect();
        let mut elements = w.to_f64_vec().into_iter().enumerate();
        // What it divides by is 0; what it made of the quotient is NaN, as the element is.
        let nothing = |idx: usize| buffers.iter().any(|buffer| buffer[idx] == 0.0);
        eps == Some(0.0) && elements.any(|(idx, w)| w.is_nan() && nothing(idx))
    }
}
