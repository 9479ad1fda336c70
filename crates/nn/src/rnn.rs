//! [`Rnn`]: a plain recurrent network.

use crate::activation::Activation;
use crate::layer::Layer;
use crate::recurrent::{Layers, RecurrentWeights, Stack};
use backflow_tensor::{Module, Path, Rng, Tensor, Visitor, VisitorMut};
use std::fmt;

/// A plain recurrent network: `h' = f(x·weight_ihᵀ + bias_ih + h·weight_hhᵀ + bias_hh)`, f = tanh or relu. Shapes: x
/// `[steps, batch, inputs]`, result `[steps, batch, directions · hidden]`. PyTorch's `RNN`.
///
/// Elman 1990. Its gradients through time vanish or explode: Hochreiter 1991, Bengio et al. 1994, Pascanu et al. 2013.
///
/// ```
/// use backflow_nn::Rnn;
/// use backflow_tensor::{DType, Rng, Tensor};
/// let model = Rnn::new(3, 8, &mut Rng::seed_from_u64(7));
/// assert_eq!(model.forward(&Tensor::ones([20, 5, 3], DType::F32)).shape(), [20, 5, 8]);
/// ```
#[derive(Clone)]
pub struct Rnn {
    layers: Layers,
    hidden: usize,
    relu: bool,
}

impl Rnn {
    /// One layer with PyTorch's defaults: all parameters uniform on ±1/√hidden, tanh.
    #[must_use]
    pub fn new(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self::with_stack(inputs, hidden, Stack::new(), rng)
    }

    /// The same of several layers, in both directions, without biases, …
    #[must_use]
    pub fn with_stack(inputs: usize, hidden: usize, stack: Stack, rng: &mut Rng) -> Self {
        Self { layers: Layers::new(1, [inputs, hidden, hidden], stack, rng), hidden, relu: false }
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

    /// The parameters of a layer in one direction.
    ///
    /// # Panics
    /// If there is no such layer.
    #[must_use]
    pub fn weights(&self, layer: usize, reverse: bool) -> &RecurrentWeights {
        self.layers.weights(layer, reverse)
    }

    /// The same, to put others in their place, as [`Init::Orthogonal`](crate::Init) weights from step to step.
    ///
    /// # Panics
    /// If there is no such layer.
    #[must_use]
    pub fn weights_mut(&mut self, layer: usize, reverse: bool) -> &mut RecurrentWeights {
        self.layers.weights_mut(layer, reverse)
    }

    /// The states of the last layer at all steps; sequences begin with zeros.
    ///
    /// # Panics
    /// As [`forward_from`](Self::forward_from).
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.forward_from(x, None, None).0
    }

    /// The states of the last layer at all steps, and those of all layers after the last one, `[layers · directions,
    /// batch, hidden]`. With `lengths`, each sequence ends after so many steps, and a way back starts there: its state
    /// stays from there on, and the result is 0, as of PyTorch's packed sequences.
    ///
    /// # Panics
    /// If `x` or the states have other shapes than that, or a length is larger than the number of steps.
    #[must_use]
    #[track_caller]
    pub fn forward_from(
        &self,
        x: &Tensor,
        begin: Option<&Tensor>,
        lengths: Option<&[usize]>,
    ) -> (Tensor, Tensor) {
        let begin = begin.cloned().unwrap_or_else(|| self.layers.zeros(x, self.hidden));
        self.layers.require("Rnn", x, &[(&begin, self.hidden)]);
        let run = |x: &Tensor,
                   weights: &RecurrentWeights,
                   [h]: [&Tensor; 1],
                   reverse: bool,
                   lengths: Option<&[usize]>| {
            [x.rnn(&weights.recurrent(reverse, lengths), h, self.relu)]
        };
        let (y, [h]) = self.layers.forward("rnn", x, [begin], lengths, false, run);
        (y, h)
    }
}

impl Layer for Rnn {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

// Not derived: parameters stand right under the model, as PyTorch names them.
impl Module for Rnn {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.layers.visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.layers.visit_mut(path, visitor);
    }
}

impl fmt::Debug for Rnn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layers.describe("Rnn", self.hidden, f)
    }
}
