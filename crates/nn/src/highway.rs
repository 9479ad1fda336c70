//! [`Highway`]: a layer that learns how much of its input goes past it.

use crate::activation::Activation;
use crate::activation_layer::ActivationLayer;
use crate::init::Init;
use crate::layer::Layer;
use crate::linear::Linear;
use backflow_nn_derive::Module;
use backflow_tensor::{DType, LayerId, Rng, Tensor};
use std::fmt;

/// A highway layer: `y = T(x)·H(x) + (1 − T(x))·x`, `H = f(w x + b)`, `T = σ(v x + c)`. Shapes: x `[…, numbers]`, y
/// alike.
///
/// c begins at −1, so that most of x goes past at first; f is relu unless said. It announces y, and what its parts
/// compute. Not as a residual sum: the way past it is scaled by the gate, and so is the gradient along it. Srivastava,
/// Greff and Schmidhuber 2015.
///
/// ```
/// use backflow_nn::{Activation, Highway, Sequential};
/// use backflow_tensor::{DType, Rng, Tensor};
/// let mut rng = Rng::seed_from_u64(7);
/// let add = |model: Sequential, _| model.add(Highway::new(8, &mut rng).activation(Activation::Tanh));
/// let model = (0..50).fold(Sequential::new(), add);
/// assert_eq!(model.forward(&Tensor::ones([5, 8], DType::F32)).shape(), [5, 8]);
/// ```
#[derive(Clone, Module)]
pub struct Highway {
    /// w and b.
    pub transform: Linear,
    /// v and c.
    pub gate: Linear,
    function: ActivationLayer,
    sigmoid: ActivationLayer,
    id: LayerId,
}

impl Highway {
    /// A layer of so many numbers, of `f32`, with PyTorch's initial weights of linear layers and c = −1.
    #[must_use]
    pub fn new(numbers: usize, rng: &mut Rng) -> Self {
        Self::with_init(numbers, Init::TorchLinear, 1.0, -1.0, DType::F32, rng)
    }

    /// The same with weights drawn as by [`Linear::with_init`], and c = `gate_bias`.
    ///
    /// # Panics
    /// If `dtype` is not floating point, or as [`Init::sample`].
    #[must_use]
    #[track_caller]
    pub fn with_init(
        numbers: usize,
        init: Init,
        gain: f64,
        gate_bias: f64,
        dtype: DType,
        rng: &mut Rng,
    ) -> Self {
        let transform = Linear::with_init(numbers, numbers, init, gain, dtype, rng);
        let weight = init.sample([numbers, numbers], 1.0, dtype, rng);
        Self {
            transform,
            gate: Linear::from_tensors(weight, Some(Tensor::full([numbers], gate_bias, dtype))),
            function: Activation::Relu.layer(),
            sigmoid: Activation::Sigmoid.layer(),
            id: LayerId::new(),
        }
    }

    /// The same with another f.
    #[must_use]
    pub fn activation(self, function: Activation) -> Self {
        Self { function: function.layer(), ..self }
    }

    /// `T(x)·H(x) + (1 − T(x))·x`
    ///
    /// # Panics
    /// If the last axis of x has other numbers, or x has another element type.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let h = self.function.forward(&self.transform.forward(x));
        let t = self.sigmoid.forward(&self.gate.forward(x));
        let y = &t * h + (1.0 - t) * x;
        self.id.announce("highway", &y);
        y
    }
}

impl Layer for Highway {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for Highway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Highway({})", self.transform.inputs())
    }
}
