//! What an optimizer remembers between steps: counters, and named arrays and numbers per parameter path.
//! Nothing is hidden.
//!
//! Schedules are pure functions of the counter (one apart, whose memory is here too), and noise is one of
//! seed, path and step, so this is all that has to be kept to continue a run.

use crate::lost_state::LostState;
use crate::method::AnyRule;
use crate::rule::{Buffer, Name, Start};
use crate::rules::LbfgsMemory;
use backflow_tensor::{DType, Module, Shape, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything an optimizer remembers.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Steps taken so far, those that were skipped included.
    pub steps: u64,
    /// Steps that changed nothing because a loss or a gradient was not finite.
    pub skipped: u64,
    /// What the schedule remembers of the losses it has seen.
    pub schedule: Vec<(Name, f64)>,
    /// By parameter path. A parameter appears at its first step and stays, frozen later or not.
    pub parameters: BTreeMap<Arc<str>, ParameterState>,
    /// What L-BFGS knows of the curvature.
    pub lbfgs: Option<LbfgsMemory>,
}

/// What an optimizer remembers of one parameter.
#[derive(Clone, Debug)]
pub struct ParameterState {
    /// The rule whose buffers these are.
    pub rule: Name,
    /// The version of their meaning ([`Rule::version`](crate::Rule::version)).
    pub version: u32,
    /// The parameter's shape.
    pub shape: Shape,
    /// The parameter's element type.
    pub dtype: DType,
    /// How often this parameter was updated: the `t` of the formulas.
    pub steps: u64,
    /// The rule's numbers by name, e.g. `mu_product`.
    pub numbers: Vec<(Name, f64)>,
    /// The rule's buffers by name, e.g. `exp_avg`.
    pub buffers: Vec<(Name, Tensor)>,
    /// The average of the weights, with [`Optimizer::average`](crate::Optimizer::average).
    pub average: Option<Tensor>,
    /// What of this can never be used again, as it was last seen: it is looked for where it may have come about, and
    /// told in [reports](crate::ParameterReport::lost_state) from then on.
    pub lost: Option<LostState>,
    /// Whether the last update was near the rounding of the weights: the next one is then
    /// [looked at](crate::ParameterReport::changed_share), if somebody observes.
    pub is_near_rounding: bool,
}

impl ParameterState {
    pub(crate) fn new(rule: &dyn AnyRule, parameter: &Tensor) -> Self {
        let (shape, dtype) = (parameter.shape(), parameter.dtype());
        let numbers = rule.numbers().into_iter().map(|(name, start)| (Name::Borrowed(name), start)).collect();
        let fill = |buffer: &Buffer| match buffer.start {
            Start::Value(value) => Tensor::full(buffer.shape.unwrap_or(shape), value, dtype),
            Start::Weights => parameter.detach().copied(),
        };
        let buffers =
            rule.buffers(shape).iter().map(|buffer| (Name::Borrowed(buffer.name), fill(buffer))).collect();
        let (rule, version) = (Name::Borrowed(rule.name()), rule.version());
        Self {
            rule,
            version,
            shape,
            dtype,
            steps: 0,
            numbers,
            buffers,
            average: None,
            lost: None,
            is_near_rounding: false,
        }
    }

    /// The buffer of this name.
    #[must_use]
    pub fn buffer(&self, name: &str) -> Option<&Tensor> {
        self.buffers.iter().find(|(own, _)| own == name).map(|(_, buffer)| buffer)
    }

    pub(crate) fn fits(&self, parameter: &Tensor) -> bool {
        self.shape == parameter.shape() && self.dtype == parameter.dtype()
    }
}
