//! [`LstmCell`]: one step of long short-term memory.

use crate::lstm::LstmState;
use crate::recurrent::{RecurrentWeights, Stack};
use crate::recurrent_cell::RecurrentCell;
use backflow_tensor::{Module, Path, Rng, Tensor, Visitor, VisitorMut};
use std::fmt;

const NAME: &str = "LstmCell";

/// One step of an [`Lstm`](crate::Lstm), which has the formula: from h and c, `[batch, hidden]` each, and x,
/// `[batch, inputs]`, the next h and c. PyTorch's `LSTMCell`.
///
/// For loops of one's own. The layer goes through all steps in one op, which is much faster; called step by step on the
/// same weights, a cell computes the same to rounding. Observers see its uses as steps in time.
///
/// ```
/// use backflow_nn::LstmCell;
/// use backflow_tensor::{DType, Rng, Tensor};
/// let cell = LstmCell::new(3, 8, &mut Rng::seed_from_u64(7));
/// let mut state = None;
/// for x in Tensor::ones([20, 5, 3], DType::F32).iter_axis(0) {
///     state = Some(cell.forward(&x, state.as_ref()));
/// }
/// assert_eq!(state.unwrap().h.shape(), [5, 8]);
/// ```
#[derive(Clone)]
pub struct LstmCell {
    cell: RecurrentCell,
}

impl LstmCell {
    /// A cell with PyTorch's defaults: all parameters uniform on ±1/√hidden, `f32`.
    #[must_use]
    pub fn new(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self { cell: RecurrentCell::new(4, inputs, hidden, Stack::new(), rng) }
    }

    /// The same without biases.
    #[must_use]
    pub fn without_bias(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self { cell: RecurrentCell::new(4, inputs, hidden, Stack::new().without_bias(), rng) }
    }

    /// A cell of these parameters, such as a clone of a layer's own ([`Lstm::weights`](crate::Lstm::weights)): tied, if
    /// they stay in both.
    ///
    /// # Panics
    /// If their shapes do not fit each other, or they project states.
    #[must_use]
    #[track_caller]
    pub fn from_weights(weights: RecurrentWeights) -> Self {
        Self { cell: RecurrentCell::from_weights(NAME, 4, weights) }
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

    /// The state after a step that begins with this one, or with zeros.
    ///
    /// # Panics
    /// If `x` is not `[batch, inputs]` or h and c not `[batch, hidden]`, or element types differ.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor, state: Option<&LstmState>) -> LstmState {
        let zeros = || LstmState { h: self.cell.zeros(x), c: self.cell.zeros(x) };
        let LstmState { h, c } = state.cloned().unwrap_or_else(zeros);
        self.cell.require(NAME, x, &[&h, &c]);
        let (h, c) = x.lstm_cell(&self.cell.weights.recurrent(false, None), &h, &c);
        self.cell.announce("lstm", &h);
        LstmState { h, c }
    }
}

impl Module for LstmCell {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.cell.visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.cell.visit_mut(path, visitor);
    }
}

impl fmt::Debug for LstmCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cell.describe(NAME, f)
    }
}
