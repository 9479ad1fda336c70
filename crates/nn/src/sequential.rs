//! [`Sequential`]: layers one after the other, as many as the program decides while it runs.
//!
//! The one idea: what maps one tensor to one tensor is a [`Layer`], a user's own struct as well as a built-in one. Models
//! with branches, several inputs or state are structs with an ordinary `forward` instead.

use crate::activation::{Activation, ActivationLayer};
use crate::linear::Linear;
use crate::stack::Stack;
use backflow_tensor::{Module, Path, Tensor, Visitor, VisitorMut};
use std::fmt::Debug;

/// A module that maps one tensor to one tensor, so that it can stand in a [`Sequential`].
///
/// ```
/// # extern crate backflow_tensor as backflow;
/// use backflow_nn::{Layer, Linear, Module, Sequential};
/// use backflow_tensor::{Rng, Tensor};
///
/// /// y = x + f(x)
/// #[derive(Debug, Module)]
/// struct Residual {
///     inner: Linear,
/// }
///
/// impl Layer for Residual {
///     fn forward(&self, x: &Tensor) -> Tensor {
///         x + self.inner.forward(x)
///     }
/// }
///
/// let model = Sequential::new().add(Residual { inner: Linear::new(2, 2, &mut Rng::seed_from_u64(7)) });
/// assert_eq!(model.state()[0].0, "0.inner.weight");
/// ```
pub trait Layer: Module + Debug + Send + Sync {
    /// The output for the input `x`.
    #[must_use]
    fn forward(&self, x: &Tensor) -> Tensor;

    /// This layer, if it is a linear one: linear layers and the activations after them are computed together, and
    /// [`forward`](Self::forward) is not called.
    fn as_linear(&self) -> Option<&Linear> {
        None
    }

    /// This layer, if it is an activation; likewise.
    fn as_activation(&self) -> Option<&ActivationLayer> {
        None
    }
}

/// Layers one after the other. Paths are numbers, as in PyTorch: `0.weight`, `0.bias`, `2.weight`, …
///
/// ```
/// use backflow_nn::{Activation, Linear, Module, Sequential};
/// # use backflow_tensor::Rng;
/// let mut rng = Rng::seed_from_u64(7);
/// let mut model = Sequential::new();
/// for _ in 0..3 {
///     model = model.add(Linear::new(8, 8, &mut rng)).add(Activation::Tanh);
/// }
/// assert_eq!(model.state()[5].0, "4.bias");
/// assert_eq!(format!("{model:?}"), format!("Sequential[{}]", ["Linear(8 → 8), tanh"; 3].join(", ")));
/// ```
#[derive(Default)]
pub struct Sequential {
    layers: Vec<Box<dyn Layer>>,
}

impl Sequential {
    /// No layers: the identity.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a layer at the end: a [`Layer`], a boxed one, or an [`Activation`].
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "it is no addition: what is added is of another type")]
    pub fn add(mut self, layer: impl Into<Box<dyn Layer>>) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// The output of the last layer for the input `x` of the first.
    ///
    /// # Panics
    /// Where a layer does: usually because shapes do not fit.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let mut stack = Stack::new(x, self.layers.len());
        for layer in &self.layers {
            match (layer.as_linear(), layer.as_activation()) {
                (Some(layer), _) => stack.linear(layer),
                (_, Some(layer)) => stack.activation(layer),
                _ => stack.other(|x| layer.forward(x)),
            }
        }
        stack.output()
    }
}

impl Layer for Sequential {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

// Not derived: the layers are numbered right under the model, without a step for the field.
impl Module for Sequential {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.layers.visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.layers.visit_mut(path, visitor);
    }
}

impl Debug for Sequential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sequential")?;
        f.debug_list().entries(&self.layers).finish()
    }
}

impl<L: Layer + 'static> From<L> for Box<dyn Layer> {
    fn from(layer: L) -> Self {
        Box::new(layer)
    }
}

impl From<Activation> for Box<dyn Layer> {
    fn from(activation: Activation) -> Self {
        Box::new(activation.layer())
    }
}
