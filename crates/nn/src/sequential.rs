//! [`Sequential`]: layers one after the other, as many as the program decides while it runs.

use crate::layer::Layer;
use crate::run::Run;
use backflow_tensor::{Module, Path, Tensor, Visitor, VisitorMut};
use std::fmt::Debug;

/// Layers one after the other. Paths are numbers, as in PyTorch: `0.weight`, `0.bias`, `2.weight`, …
///
/// Linear layers and activations that follow one another are computed as one op, also where they stand in a
/// `Sequential` inside. A clone is the same model again: same layers, same parameters.
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
#[derive(Clone, Default)]
pub struct Sequential {
    layers: Vec<Box<dyn Layer>>,
}

impl Sequential {
    /// No layers: the identity.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a layer at the end: a [`Layer`], a boxed one, or an [`Activation`](crate::Activation).
    #[must_use]
    #[allow(
        clippy::should_implement_trait,
        reason = "it is not an addition: what is added is of another type"
    )]
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
        let mut run = Run::new();
        self.append_to(&mut run);
        run.forward(x)
    }
}

impl Layer for Sequential {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }

    fn append_to<'a>(&'a self, run: &mut Run<'a>) {
        run.reserve(self.layers.len());
        self.layers.iter().for_each(|layer| layer.append_to(run));
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
