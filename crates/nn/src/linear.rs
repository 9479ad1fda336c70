//! [`Linear`]: the affine map `y = x wᵀ + b`.

use crate::init::Init;
use crate::layer::Layer;
use crate::run::{self, Run};
use backflow_nn_derive::Module;
use backflow_tensor::{DType, LayerId, Rng, Tensor, misuse};
use std::fmt;

/// A fully connected layer: `y = x wᵀ + b`. Shapes: x `[…, inputs]`, y `[…, outputs]`.
///
/// It announces x and y to observers. A clone is the same layer again: it shares the parameters' place in the
/// graph.
///
/// ```
/// use backflow_nn::{Init, Linear};
/// use backflow_tensor::{DType, Module, Rng, Tensor};
///
/// let mut rng = Rng::seed_from_u64(7);
/// let layer = Linear::new(3, 2, &mut rng);
/// let y = layer.forward(&Tensor::ones([5, 3], DType::F32));
/// assert_eq!(y.shape(), [5, 2]);
///
/// let precise = Linear::with_init(3, 2, Init::Orthogonal, 1.0, DType::F64, &mut rng);
/// assert_eq!(precise.weight.dtype(), DType::F64);
/// assert_eq!(precise.parameter_count(), 3 * 2 + 2);
/// ```
#[derive(Clone, Module)]
pub struct Linear {
    /// w, `[outputs, inputs]`.
    pub weight: Tensor,
    /// b, `[outputs]`.
    pub bias: Option<Tensor>,
    id: LayerId,
}

impl Linear {
    /// A layer with PyTorch's defaults: `f32`, weights and bias uniform on ±1/√inputs.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize, rng: &mut Rng) -> Self {
        Self::with_init(inputs, outputs, Init::TorchLinear, 1.0, DType::F32, rng)
    }

    /// The same without a bias: `y = x wᵀ`.
    #[must_use]
    pub fn without_bias(inputs: usize, outputs: usize, rng: &mut Rng) -> Self {
        let weight = Init::TorchLinear.sample([outputs, inputs], 1.0, DType::F32, rng);
        Self::from_tensors(weight, None)
    }

    /// A layer whose weights are drawn by `init`, for an activation of this
    /// [`gain`](crate::Activation::gain). The bias is drawn too by [`Init::TorchLinear`] and by rules with a
    /// [bias variance](Init::with_bias_variance), and zero with all others.
    ///
    /// # Panics
    /// If `dtype` is not floating point, or as [`Init::sample`].
    #[must_use]
    #[track_caller]
    pub fn with_init(
        inputs: usize,
        outputs: usize,
        init: Init,
        gain: f64,
        dtype: DType,
        rng: &mut Rng,
    ) -> Self {
        let weight = init.sample([outputs, inputs], gain, dtype, rng);
        let bias = init.bias_distribution([outputs, inputs], gain).sample([outputs].into(), dtype, rng);
        Self::from_tensors(weight, Some(bias))
    }

    /// A layer with given weights `[outputs, inputs]` and bias `[outputs]`, which become trainable leaves.
    ///
    /// # Panics
    /// If the shapes do not fit each other, or the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn from_tensors(weight: Tensor, bias: Option<Tensor>) -> Self {
        let fits = weight.rank() == 2 && bias.as_ref().is_none_or(|bias| bias.shape() == weight.shape()[..1]);
        if !fits {
            let bias = bias.map_or("none".to_owned(), |bias| bias.shape().to_string());
            let rows = [("weight", weight.shape().to_string()), ("bias", bias)];
            misuse("Linear", "parameters do not fit", &rows, "weight [outputs, inputs], bias [outputs]");
        }
        let trainable = |x: Tensor| x.detach().requires_grad();
        Self { weight: trainable(weight), bias: bias.map(trainable), id: LayerId::new() }
    }

    /// The number of inputs.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.weight.size(1)
    }

    /// The number of outputs.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.weight.size(0)
    }

    /// `x wᵀ + b`. Shapes: x `[…, inputs]`; the result is `[…, outputs]`.
    ///
    /// # Panics
    /// If the last axis of `x` is not `inputs` long, or `x` has another element type than the weights.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        run::linear(self.id, &self.weight, self.bias.as_ref(), x)
    }
}

impl Layer for Linear {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }

    fn append_to<'a>(&'a self, run: &mut Run<'a>) {
        run.linear(self.id, &self.weight, self.bias.as_ref());
    }
}

impl fmt::Debug for Linear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bias = if self.bias.is_some() { "" } else { ", no bias" };
        write!(f, "Linear({} → {}{bias})", self.inputs(), self.outputs())
    }
}
