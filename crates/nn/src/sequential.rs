//! [`Sequential`]: layers one after the other, as many as the program decides while it runs.

use crate::layer::Layer;
use crate::map::Map;
use crate::run::Run;
use backflow_tensor::observe::Announcement;
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

    /// Puts a layer at the end: a [`Layer`], a boxed one, or an [`Activation`](crate::Activation). A function
    /// is put there by [`map`](Self::map).
    #[must_use]
    #[allow(
        clippy::should_implement_trait,
        reason = "it is not an addition: what is added is of another type"
    )]
    pub fn add(mut self, layer: impl Into<Box<dyn Layer>>) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// Puts a function at the end, as a layer without parameters. Its output is announced under the name, and
    /// with the [`Role`](backflow_tensor::Role) by which tables and verdicts are to treat it, if that is said
    /// instead of the name alone:
    ///
    /// ```
    /// use backflow_nn::{Linear, Sequential};
    /// use backflow_tensor::observe::{Role, Side};
    /// # use backflow_tensor::{DType, Rng, Tensor};
    /// let mut rng = Rng::seed_from_u64(7);
    /// let bounded = Role::Activation { below: Side::Flat(-1.0), above: Side::Flat(1.0) };
    /// let model = Sequential::new()
    ///     .map("flatten", |x| x.flatten(1))
    ///     .add(Linear::new(6, 4, &mut rng))
    ///     .map(bounded.called("hardtanh"), |x| x.clamp(-1.0, 1.0));
    /// assert_eq!(model.forward(&Tensor::ones([5, 2, 3], DType::F32)).shape(), [5, 4]);
    /// assert_eq!(format!("{model:?}"), "Sequential[flatten, Linear(6 → 4), hardtanh]");
    /// ```
    ///
    /// Tensors that the function holds are constants of the model: nothing trains, saves or copies them. A
    /// layer with parameters is a struct that implements [`Layer`].
    #[must_use]
    pub fn map(
        mut self,
        what: impl Into<Announcement>,
        function: impl Fn(&Tensor) -> Tensor + Send + Sync + 'static,
    ) -> Self {
        self.layers.push(Box::new(Map::new(what.into(), function)));
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
