//! [`Gru`]: gated recurrent units.

use crate::layer::Layer;
use crate::recurrent::{Layers, RecurrentWeights, Stack};
use backflow_tensor::{Module, Path, Rng, Tensor, Visitor, VisitorMut};
use std::fmt;

/// Gated recurrent units: `h' = (h − n)·z + n`, `n = tanh(x·w_inᵀ + b_in + r·(h·w_hnᵀ + b_hn))`, r and z sigmoids of their sums. Shapes: x
/// `[steps, batch, inputs]`, result `[steps, batch, directions · hidden]`. PyTorch's `GRU`.
///
/// Cho et al. 2014, with the reset gate after the product, as in cuDNN.
///
/// ```
/// use backflow_nn::Gru;
/// use backflow_tensor::{DType, Rng, Tensor};
/// let model = Gru::new(3, 8, &mut Rng::seed_from_u64(7));
/// assert_eq!(model.forward(&Tensor::ones([20, 5, 3], DType::F32)).shape(), [20, 5, 8]);
/// ```
#[derive(Clone)]
pub struct Gru {
    layers: Layers,
    hidden: usize,
}

impl Gru {
    /// One layer with PyTorch's defaults: all parameters uniform on ±1/√hidden.
    #[must_use]
    pub fn new(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self::with_stack(inputs, hidden, Stack::new(), rng)
    }

    /// The same of several layers, in both directions, without biases, …
    #[must_use]
    pub fn with_stack(inputs: usize, hidden: usize, stack: Stack, rng: &mut Rng) -> Self {
        Self { layers: Layers::new(3, [inputs, hidden, hidden], stack, rng), hidden }
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
        self.layers.require("Gru", x, &[(&begin, self.hidden)]);
        let run =
            |x: &Tensor,
             weights: &RecurrentWeights,
             [h]: [&Tensor; 1],
             reverse: bool,
             lengths: Option<&[usize]>| { [x.gru(&weights.recurrent(reverse, lengths), h)] };
        let (y, [h]) = self.layers.forward("gru", x, [begin], lengths, false, run);
        (y, h)
    }
}

impl Layer for Gru {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

// Not derived: parameters stand right under the model, as PyTorch names them.
impl Module for Gru {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.layers.visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.layers.visit_mut(path, visitor);
    }
}

impl fmt::Debug for Gru {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layers.describe("Gru", self.hidden, f)
    }
}
