//! [`ActivationLayer`]: an activation as a layer of a model.

use crate::activation::Activation;
use crate::layer::Layer;
use crate::run::{self, Run};
use backflow_nn_derive::Module;
use backflow_tensor::{LayerId, Tensor};
use std::fmt;

/// An [`Activation`] as a layer of a model: the same function, and its output is announced to observers.
#[derive(Clone, Module)]
pub struct ActivationLayer {
    /// The function.
    #[module(skip)]
    pub activation: Activation,
    id: LayerId,
}

impl Activation {
    /// The activation as a layer, whose output observers see.
    #[must_use]
    pub fn layer(self) -> ActivationLayer {
        ActivationLayer { activation: self, id: LayerId::new() }
    }
}

impl ActivationLayer {
    /// Applies the function to each element.
    ///
    /// # Panics
    /// If the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        run::activation(self.id, self.activation, x)
    }
}

impl Layer for ActivationLayer {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }

    fn append_to<'a>(&'a self, run: &mut Run<'a>) {
        run.activation(self.id, self.activation);
    }
}

impl fmt::Debug for ActivationLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.activation, f)
    }
}

impl From<Activation> for Box<dyn Layer> {
    fn from(activation: Activation) -> Self {
        Box::new(activation.layer())
    }
}
