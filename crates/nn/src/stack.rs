//! Linear layers and the activations after them, one after the other: as one op where nobody watches, to the same bits.
//!
//! One op costs the overhead of one, stores nothing between a layer and its activation, and lets threads share the rows of a batch
//! for all layers at once ([`Tensor::mlp`]). Observers, and whoever looks for the op that made a NaN, see every layer.

use crate::activation::ActivationLayer;
use crate::linear::Linear;
use backflow_tensor::observe::is_watched;
use backflow_tensor::{Affine, Pointwise, Tensor};

/// A computation on its way through layers.
#[derive(Debug)]
pub(crate) struct Stack<'a> {
    /// What the layers up to those that wait have made of the input.
    x: Tensor,
    /// Layers that have not been computed yet.
    waiting: Vec<Affine<'a>>,
    is_watched: bool,
}

impl<'a> Stack<'a> {
    /// At the input, with room for so many layers.
    pub(crate) fn new(x: &Tensor, layers: usize) -> Self {
        Self { x: x.clone(), waiting: Vec::with_capacity(layers), is_watched: is_watched() }
    }

    #[track_caller]
    pub(crate) fn linear(&mut self, layer: &'a Linear) {
        match &layer.bias {
            Some(bias) if !self.is_watched => {
                self.waiting.push(Affine { weight: &layer.weight, bias, function: Pointwise::Identity });
            }
            _ => {
                self.catch_up();
                self.x = layer.forward(&self.x);
            }
        }
    }

    #[track_caller]
    pub(crate) fn activation(&mut self, layer: &ActivationLayer) {
        match (self.waiting.last_mut(), layer.activation.pointwise()) {
            (Some(before), Some(function)) if before.function == Pointwise::Identity => {
                before.function = function;
            }
            _ => {
                self.catch_up();
                self.x = layer.forward(&self.x);
            }
        }
    }

    /// What is neither.
    #[track_caller]
    pub(crate) fn other(&mut self, forward: impl FnOnce(&Tensor) -> Tensor) {
        self.catch_up();
        self.x = forward(&self.x);
    }

    /// The output of the last layer.
    #[track_caller]
    pub(crate) fn output(mut self) -> Tensor {
        self.catch_up();
        self.x
    }

    #[track_caller]
    fn catch_up(&mut self) {
        match &*self.waiting {
            [] => {}
            [Affine { weight, bias, function: Pointwise::Identity }] => self.x = self.x.linear(weight, bias),
            layers => self.x = self.x.mlp(layers),
        }
        self.waiting.clear();
    }
}
