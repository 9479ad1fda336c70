//! [`Layer`]: what maps one tensor to one tensor, a user's own struct as well as a built-in one.
//!
//! Models with branches, several inputs or state are structs with an ordinary `forward` instead.

use crate::run::Run;
use backflow_tensor::{Module, Tensor};
use std::fmt::Debug;

/// A module that maps one tensor to one tensor, so that it can stand in a [`Sequential`](crate::Sequential).
///
/// A layer that wants a row of its own in tables and logs holds a [`LayerId`](backflow_tensor::LayerId) and
/// announces its output, with the [`Role`](backflow_tensor::Role) by which it is to be treated:
///
/// ```
/// # extern crate backflow_tensor as backflow;
/// use backflow_nn::{Layer, Linear, Module, Sequential};
/// use backflow_tensor::{LayerId, Rng, Role, Tensor};
///
/// /// y = x + f(x)
/// #[derive(Clone, Debug, Module)]
/// struct Residual {
///     inner: Linear,
///     id: LayerId,
/// }
///
/// impl Layer for Residual {
///     fn forward(&self, x: &Tensor) -> Tensor {
///         let y = x + self.inner.forward(x);
///         self.id.announce(Role::ResidualSum, &y);
///         y
///     }
/// }
///
/// let inner = Linear::new(2, 2, &mut Rng::seed_from_u64(7));
/// let model = Sequential::new().add(Residual { inner, id: LayerId::new() });
/// assert_eq!(model.state()[0].0, "0.inner.weight");
/// let layers: Vec<String> = model.layers().into_iter().map(|(path, _)| path).collect();
/// assert_eq!(layers, ["0.inner", "0"]);
/// // The same layers, with the same parameters.
/// assert_eq!(model.clone().state()[0].1.id(), model.state()[0].1.id());
/// ```
///
/// A layer is cloned with the model that it stands in, so its type is [`Clone`]; a clone is the same layer
/// again, as that of a [`Tensor`] is the same tensor.
pub trait Layer: Module + CloneLayer + Debug + Send + Sync {
    /// The output for the input `x`.
    #[must_use]
    fn forward(&self, x: &Tensor) -> Tensor;

    /// Adds this layer to a run of parts, of which neighbours may be computed as one op. By default it is one
    /// part, which is computed by [`forward`](Self::forward). A layer that consists of others, one after the
    /// other, may add theirs; then they are computed together also with what stands before and after it:
    ///
    /// ```
    /// # extern crate backflow_tensor as backflow;
    /// use backflow_nn::{Activation, ActivationLayer, Layer, Linear, Module, Run};
    /// # use backflow_tensor::{DType, Rng, Tensor};
    ///
    /// #[derive(Clone, Debug, Module)]
    /// struct Block {
    ///     linear: Linear,
    ///     activation: ActivationLayer,
    /// }
    ///
    /// impl Layer for Block {
    ///     fn forward(&self, x: &Tensor) -> Tensor {
    ///         let mut run = Run::new();
    ///         self.append_to(&mut run);
    ///         run.forward(x)
    ///     }
    ///
    ///     fn append_to<'a>(&'a self, run: &mut Run<'a>) {
    ///         self.linear.append_to(run);
    ///         self.activation.append_to(run);
    ///     }
    /// }
    ///
    /// let linear = Linear::new(3, 2, &mut Rng::seed_from_u64(7));
    /// let block = Block { linear: linear.clone(), activation: Activation::Tanh.layer() };
    /// let x = Tensor::ones([4, 3], DType::F32);
    /// assert_eq!(block.forward(&x).to_vec::<f32>(), linear.forward(&x).tanh().to_vec::<f32>());
    /// ```
    fn append_to<'a>(&'a self, run: &mut Run<'a>) {
        run.other(|x| self.forward(x));
    }
}

/// What clones a layer whose type is not known. Every [`Clone`] layer has it.
#[diagnostic::on_unimplemented(
    message = "a layer must be `Clone`, and `{Self}` is not",
    label = "not `Clone`",
    note = "add `#[derive(Clone)]`: models are cloned with their layers"
)]
pub trait CloneLayer {
    /// The same layer again.
    #[must_use]
    fn clone_layer(&self) -> Box<dyn Layer>;
}

impl<L: Layer + Clone + 'static> CloneLayer for L {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Layer> {
    fn clone(&self) -> Self {
        (**self).clone_layer()
    }
}

impl<L: Layer + 'static> From<L> for Box<dyn Layer> {
    fn from(layer: L) -> Self {
        Box::new(layer)
    }
}
