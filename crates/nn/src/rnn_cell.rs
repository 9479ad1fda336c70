//! [`RnnCell`]: one step of a plain recurrent network.

use crate::activation::Activation;
use crate::recurrent::{RecurrentWeights, Stack};
use crate::recurrent_cell::RecurrentCell;
use backflow_tensor::{Module, Path, Rng, Tensor, Visitor, VisitorMut};
use std::fmt;

const NAME: &str = "RnnCell";

/// One step of a plain recurrent network: `h' = f(x·weight_ihᵀ + bias_ih + h·weight_hhᵀ + bias_hh)`, f = tanh or relu.
/// Shapes: x `[batch, inputs]`, h and the result `[batch, hidden]`. PyTorch's `RNNCell`.
///
/// For loops of one's own. [`Rnn`](crate::Rnn) goes through all steps in one op, which is much faster; called step by
/// step on the same weights, a cell computes the same to rounding. Observers see its uses as steps in time.
///
/// ```
/// use backflow_nn::RnnCell;
/// use backflow_tensor::{DType, Rng, Tensor};
/// let cell = RnnCell::new(3, 8, &mut Rng::seed_from_u64(7));
/// let mut h = None;
/// for x in Tensor::ones([20, 5, 3], DType::F32).iter_axis(0) {
///     h = Some(cell.forward(&x, h.as_ref()));
/// }
/// assert_eq!(h.unwrap().shape(), [5, 8]);
/// ```
#[derive(Clone)]
pub struct RnnCell {
    cell: RecurrentCell,
    relu: bool,
}

impl RnnCell {
    /// A cell with PyTorch's defaults: all parameters uniform on ±1/√hidden, tanh, `f32`.
    #[must_use]
    pub fn new(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self { cell: RecurrentCell::new(1, inputs, hidden, Stack::new(), rng), relu: false }
    }

    /// The same without biases.
    #[must_use]
    pub fn without_bias(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self { cell: RecurrentCell::new(1, inputs, hidden, Stack::new().without_bias(), rng), relu: false }
    }

    /// A cell of these parameters, such as a clone of a layer's own ([`Rnn::weights`](crate::Rnn::weights)): tied, if
    /// they stay in both.
    ///
    /// # Panics
    /// If their shapes do not fit each other.
    #[must_use]
    #[track_caller]
    pub fn from_weights(weights: RecurrentWeights) -> Self {
        Self { cell: RecurrentCell::from_weights(NAME, 1, weights), relu: false }
    }

    /// The same with relu in place of tanh.
    #[must_use]
    pub fn relu(self) -> Self {
        Self { relu: true, ..self }
    }

    /// Which function it is: tanh or relu.
    #[must_use]
    pub fn activation(&self) -> Activation {
        if self.relu { Activation::Relu } else { Activation::Tanh }
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
        let h = x.rnn_cell(&self.cell.weights.recurrent(false, None), &h, self.relu);
        self.cell.announce("rnn", &h);
        h
    }
}

impl Module for RnnCell {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.cell.visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.cell.visit_mut(path, visitor);
    }
}

impl fmt::Debug for RnnCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cell.describe(NAME, f)
    }
}
