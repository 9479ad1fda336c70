//! [`GruCell`]: one step of a network with gated recurrent units.

use crate::recurrent::{RecurrentWeights, Stack};
use crate::recurrent_cell::RecurrentCell;
use backflow_tensor::{Module, Path, Rng, Tensor, Visitor, VisitorMut};
use std::fmt;

const NAME: &str = "GruCell";

/// One step of a [`Gru`](crate::Gru), which has the formula: from h, `[batch, hidden]`, and x, `[batch, inputs]`, the
/// next h. PyTorch's `GRUCell`.
///
/// For loops of one's own. The layer goes through all steps in one op, which is much faster; called step by step on the
/// same weights, a cell computes the same to rounding. Observers see its uses as steps in time.
///
/// ```
/// use backflow_nn::{Gru, GruCell};
/// use backflow_tensor::{DType, Rng, Tensor};
/// let rng = &mut Rng::seed_from_u64(7);
/// let (layer, x) = (Gru::new(3, 8, rng), Tensor::randn([20, 5, 3], DType::F32, rng));
/// let cell = GruCell::from_weights(layer.weights(0, false).clone());
/// let h = x.iter_axis(0).fold(None, |h: Option<Tensor>, x| Some(cell.forward(&x, h.as_ref())));
/// assert!((h.unwrap() - layer.forward(&x).select(0, -1)).abs().max(..).item() < 1e-6);
/// ```
#[derive(Clone)]
pub struct GruCell {
    cell: RecurrentCell,
}

impl GruCell {
    /// A cell with PyTorch's defaults: all parameters uniform on ±1/√hidden, `f32`.
    #[must_use]
    pub fn new(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self { cell: RecurrentCell::new(3, inputs, hidden, Stack::new(), rng) }
    }

    /// The same without biases.
    #[must_use]
    pub fn without_bias(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self { cell: RecurrentCell::new(3, inputs, hidden, Stack::new().without_bias(), rng) }
    }

    /// A cell of these parameters, such as a clone of a layer's own ([`Gru::weights`](crate::Gru::weights)): tied, if
    /// they stay in both.
    ///
    /// # Panics
    /// If their shapes do not fit each other.
    #[must_use]
    #[track_caller]
    pub fn from_weights(weights: RecurrentWeights) -> Self {
        Self { cell: RecurrentCell::from_weights(NAME, 3, weights) }
    }

    /// The parameters.
    #[must_use]
    pub fn weights(&self) -> &RecurrentWeights {
        &self.cell.weights
    }

    /// The same, to put others in their place.
    #[must_use]
    pub fn weights_mut(&mut self) -> &mut RecurrentWeights {
        &mut self.cell.weights
    }

    /// The state after a step that begins with `h`, or with zeros.
    ///
    /// # Panics
    /// If `x` is not `[batch, inputs]` or `h` not `[batch, hidden]`, or element types differ.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor, h: Option<&Tensor>) -> Tensor {
        let h = h.cloned().unwrap_or_else(|| self.cell.zeros(x));
        self.cell.require(NAME, x, &[&h]);
        let h = x.gru_cell(&self.cell.weights.recurrent(false, None), &h);
        self.cell.announce("gru", &h);
        h
    }
}

impl Module for GruCell {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.cell.visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.cell.visit_mut(path, visitor);
    }
}

impl fmt::Debug for GruCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cell.describe(NAME, f)
    }
}
