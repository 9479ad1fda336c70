//! [`LayerNorm`]: the last axes of each sample normalised by themselves.

use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::observe::SampleMap;
use backflow_tensor::{DType, LayerId, Role, Shape, Tensor};
use std::fmt;

/// Layer normalisation: `y = w (x − μ)/√(σ² + ε) + b`, μ and σ² over the last axes of each sample. Shapes: x
/// `[…, shape]`, y alike.
///
/// Defaults, initial values and names of the state are PyTorch's: ε = 1e-5, w = 1, b = 0. It announces x
/// and y to observers. Ba, Kiros and Hinton 2016.
///
/// ```
/// use backflow_nn::LayerNorm;
/// use backflow_tensor::Tensor;
/// let y = LayerNorm::new([4]).eps(0.0).forward(&Tensor::from([[1.0_f32, 1.0, 3.0, 3.0]]));
/// assert_eq!(y.to_vec::<f32>(), [-1.0, -1.0, 1.0, 1.0]);
/// ```
#[derive(Clone, Module)]
pub struct LayerNorm {
    /// w, of the shape that is normalised.
    pub weight: Option<Tensor>,
    /// b, of the same shape.
    pub bias: Option<Tensor>,
    #[module(skip)]
    shape: Shape,
    #[module(skip)]
    eps: f64,
    id: LayerId,
}

impl LayerNorm {
    /// A layer for last axes of these sizes, of `f32`.
    #[must_use]
    pub fn new(shape: impl Into<Shape>) -> Self {
        Self::with_dtype(shape, DType::F32)
    }

    /// The same of another element type.
    ///
    /// # Panics
    /// If it is not floating point.
    #[must_use]
    #[track_caller]
    pub fn with_dtype(shape: impl Into<Shape>, dtype: DType) -> Self {
        let shape = shape.into();
        let weight = Some(Tensor::ones(shape, dtype).requires_grad());
        let bias = Some(Tensor::zeros(shape, dtype).requires_grad());
        Self { weight, bias, shape, eps: 1e-5, id: LayerId::new() }
    }

    /// ε, which is added to the variance.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// The same without b.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// The same without w and b.
    #[must_use]
    pub fn without_affine(self) -> Self {
        Self { weight: None, bias: None, ..self }
    }

    /// Normalises x; the result has its shape.
    ///
    /// # Panics
    /// If x does not end in the shape of the layer, or has another element type.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let what = Role::Normalisation.called("layer-norm").with_map(SampleMap::LayerNorm(self.eps));
        self.id.announce_input(what, x);
        let y = x.layer_norm(self.shape, self.weight.as_ref(), self.bias.as_ref(), self.eps);
        self.id.announce(what, &y);
        y
    }
}

impl Layer for LayerNorm {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for LayerNorm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LayerNorm({})", self.shape)
    }
}
