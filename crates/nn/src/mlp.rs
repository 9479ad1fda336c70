//! [`Mlp`]: the multilayer perceptron, on which gradient flow is studied.

use crate::activation::Activation;
use crate::activation_layer::ActivationLayer;
use crate::init::Init;
use crate::layer::Layer;
use crate::linear::Linear;
use crate::run::Run;
use backflow_nn_derive::Module;
use backflow_tensor::{DType, Rng, Tensor, misuse};

/// Linear layers with an activation between each two of them:
///
/// ```text
/// z₀ = x w₀ᵀ + b₀,  aᵢ = f(zᵢ),  zᵢ₊₁ = aᵢ wᵢ₊₁ᵀ + bᵢ₊₁,  y = z of the last layer
/// ```
///
/// `layers.i` announces zᵢ to observers and `activations.i` announces aᵢ, so the activation after the layer
/// at path `layers.i` is the one at path `activations.i`. Announcements come in the order of the computation:
/// z₀, a₀, z₁, a₁, …
///
/// ```
/// use backflow_nn::{Activation, Init, Mlp, Module};
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let activation = Activation::Relu;
/// let mut rng = Rng::seed_from_u64(7);
/// let model = Mlp::new(&[784, 256, 128, 10], activation, Init::default_for(activation), DType::F32, &mut rng);
/// assert_eq!(model.forward(&Tensor::zeros([64, 784], DType::F32)).shape(), [64, 10]);
/// assert_eq!(model.parameter_count(), 235_146);
/// assert_eq!(model.state()[0].0, "layers.0.weight");
/// ```
#[derive(Clone, Debug, Module)]
pub struct Mlp {
    /// The linear layers.
    pub layers: Vec<Linear>,
    /// The activations: one fewer than layers, the i-th after the i-th layer.
    pub activations: Vec<ActivationLayer>,
}

impl Mlp {
    /// A network with these layer sizes, inputs first: two sizes are one linear layer, each further one adds
    /// a hidden layer. Weights are drawn by `init` with the gain of the activation, biases as
    /// [`Linear::with_init`] says.
    ///
    /// The gain is the same for all layers, as is customary. Strictly, a layer's gain makes up for the
    /// activation before it, which the first layer does not have; one factor on one layer does not matter (He
    /// et al. 2015, section 2.2).
    ///
    /// # Panics
    /// If there are fewer than two sizes, or as [`Init::sample`].
    #[must_use]
    #[track_caller]
    pub fn new(sizes: &[usize], activation: Activation, init: Init, dtype: DType, rng: &mut Rng) -> Self {
        if sizes.len() < 2 {
            let rows = [("sizes", format!("{sizes:?}"))];
            misuse("Mlp", "needs at least two sizes", &rows, "inputs first, outputs last");
        }
        let gain = activation.gain();
        // A loop, because closures do not pass the caller's line on.
        let mut layers = Vec::with_capacity(sizes.len() - 1);
        for pair in sizes.windows(2) {
            layers.push(Linear::with_init(pair[0], pair[1], init, gain, dtype, rng));
        }
        let activations = (1..layers.len()).map(|_| activation.layer()).collect();
        Self { layers, activations }
    }

    /// The outputs for the inputs `x`, before any softmax. Shapes: x `[…, first size]`; the result is
    /// `[…, last size]`.
    ///
    /// # Panics
    /// If the last axis of `x` is not as long as the first size, or `x` has another element type than the
    /// weights.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let mut run = Run::new();
        self.append_to(&mut run);
        run.forward(x)
    }
}

impl Layer for Mlp {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }

    fn append_to<'a>(&'a self, run: &mut Run<'a>) {
        run.reserve(self.layers.len() + self.activations.len());
        for (idx, layer) in self.layers.iter().enumerate() {
            layer.append_to(run);
            if let Some(activation) = self.activations.get(idx) {
                activation.append_to(run);
            }
        }
    }
}
