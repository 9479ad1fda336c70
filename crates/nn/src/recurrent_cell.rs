//! What [`RnnCell`](crate::RnnCell), [`LstmCell`](crate::LstmCell) and [`GruCell`](crate::GruCell) have in common: the
//! parameters of one layer in one direction, and a name for whoever looks on.

use crate::recurrent::{RecurrentWeights, Stack};
use backflow_tensor::{LayerId, Module, Path, Rng, Role, Tensor, Visitor, VisitorMut, misuse};
use std::fmt;

/// The parameters of a cell.
#[derive(Clone)]
pub(crate) struct RecurrentCell {
    pub(crate) weights: RecurrentWeights,
    id: LayerId,
}

impl RecurrentCell {
    pub(crate) fn new(gates: usize, inputs: usize, hidden: usize, stack: Stack, rng: &mut Rng) -> Self {
        Self { weights: RecurrentWeights::new(gates, inputs, hidden, hidden, stack, rng), id: LayerId::new() }
    }

    /// A cell of these parameters, which stay the leaves that they are.
    #[track_caller]
    pub(crate) fn from_weights(name: &'static str, gates: usize, weights: RecurrentWeights) -> Self {
        let RecurrentWeights { weight_ih, weight_hh, bias_ih, bias_hh, weight_hr } = &weights;
        let hidden = weight_hh.size(-1);
        let wide = gates * hidden;
        let is_bias = |bias: &Option<Tensor>| bias.as_ref().is_none_or(|bias| bias.shape() == [wide]);
        let fits = weight_ih.rank() == 2
            && weight_ih.size(0) == wide
            && weight_hh.shape() == [wide, hidden]
            && (is_bias(bias_ih) && is_bias(bias_hh))
            && bias_ih.is_some() == bias_hh.is_some();
        let shape = |tensor: &Option<Tensor>| {
            tensor.as_ref().map_or_else(|| "none".to_owned(), |tensor| tensor.shape().to_string())
        };
        let rows = || {
            [
                ("weight_ih", weight_ih.shape().to_string()),
                ("weight_hh", weight_hh.shape().to_string()),
                ("bias_ih", shape(bias_ih)),
                ("bias_hh", shape(bias_hh)),
                ("weight_hr", shape(weight_hr)),
            ]
        };
        if weight_hr.is_some() {
            misuse(name, "a cell projects no states", &rows(), "without weight_hr");
        }
        if !fits {
            let hint = format!(
                "weight_ih [{gates} · hidden, inputs], weight_hh [{gates} · hidden, hidden], both biases or none"
            );
            misuse(name, "parameters do not fit", &rows(), &hint);
        }
        Self { weights, id: LayerId::new() }
    }

    /// How many numbers a state has.
    pub(crate) fn hidden(&self) -> usize {
        self.weights.weight_hh.size(1)
    }

    /// The state to begin with, if none is given.
    pub(crate) fn zeros(&self, x: &Tensor) -> Tensor {
        let batch = x.shape().first().copied().unwrap_or(1);
        Tensor::zeros([batch, self.hidden()], x.dtype())
    }

    /// Panics unless x is a batch of rows of so many features, and states fit it.
    #[track_caller]
    pub(crate) fn require(&self, name: &'static str, x: &Tensor, states: &[&Tensor]) {
        let inputs = self.weights.weight_ih.size(1);
        let fits = |x: &Tensor, numbers: usize| x.rank() == 2 && x.size(1) == numbers;
        let fits_batch = |state: &&Tensor| fits(state, self.hidden()) && state.size(0) == x.size(0);
        if !fits(x, inputs) || !states.iter().all(fits_batch) {
            let mut rows = vec![("x", x.shape().to_string())];
            rows.extend(states.iter().map(|state| ("state", state.shape().to_string())));
            let hint = format!(
                "x is one step, [batch, {inputs}], and a state [batch, {}]; a single row is a batch of one, unsqueeze",
                self.hidden()
            );
            misuse(name, "shapes do not fit", &rows, &hint);
        }
    }

    /// Tells observers the state that the cell computed.
    pub(crate) fn announce(&self, name: &'static str, h: &Tensor) {
        self.id.announce(Role::Recurrence.called(name), h);
    }

    /// As models are printed.
    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bias = if self.weights.bias_ih.is_some() { "" } else { ", no bias" };
        write!(f, "{name}({} → {}{bias})", self.weights.weight_ih.size(1), self.hidden())
    }
}

// Not derived: parameters stand right under the cell, as PyTorch names them.
impl Module for RecurrentCell {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.weights.visit(path, visitor);
        path.inside("id", |path| self.id.visit(path, visitor));
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.weights.visit_mut(path, visitor);
        path.inside("id", |path| self.id.visit_mut(path, visitor));
    }
}
