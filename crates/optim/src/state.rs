//! What an optimizer remembers between steps: a counter, and named arrays per parameter path. Nothing is hidden.
//!
//! Schedules are pure functions of the counter, so this is all that has to be kept to continue a run.

use crate::rule::Buffer;
use backflow_tensor::{DType, Shape, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything an optimizer remembers.
#[derive(Debug)]
pub struct State {
    /// The rule whose buffers these are.
    pub rule: &'static str,
    /// The version of their meaning ([`Rule::version`](crate::Rule::version)).
    pub version: u32,
    /// Steps taken so far.
    pub steps: u64,
    /// By parameter path. A parameter appears at its first step and stays, frozen later or not.
    pub parameters: BTreeMap<Arc<str>, ParameterState>,
}

/// What an optimizer remembers of one parameter.
#[derive(Debug)]
pub struct ParameterState {
    /// How often this parameter was updated: the `t` of the formulas.
    pub steps: u64,
    /// The rule's buffers by name, e.g. `exp_avg`.
    pub buffers: Vec<(&'static str, Tensor)>,
    pub(crate) path: Arc<str>,
    pub(crate) shape: Shape,
    pub(crate) dtype: DType,
}

impl ParameterState {
    pub(crate) fn new(path: &str, parameter: &Tensor, buffers: &[Buffer]) -> Self {
        let (shape, dtype) = (parameter.shape(), parameter.dtype());
        let fill = |buffer: &Buffer| (buffer.name, Tensor::full(shape, buffer.start, dtype));
        Self { steps: 0, buffers: buffers.iter().map(fill).collect(), path: path.into(), shape, dtype }
    }

    /// The buffer of this name.
    #[must_use]
    pub fn buffer(&self, name: &str) -> Option<&Tensor> {
        self.buffers.iter().find(|(own, _)| *own == name).map(|(_, buffer)| buffer)
    }

    pub(crate) fn fits(&self, parameter: &Tensor) -> bool {
        self.shape == parameter.shape() && self.dtype == parameter.dtype()
    }
}
