//! [`RmsNorm`]: the last axes of each sample divided by their root mean square.

use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::observe::SampleMap;
use backflow_tensor::{DType, LayerId, Role, Shape, Tensor};
use std::fmt;

/// `y = w x/√(mean x² + ε)`, the mean over the last axes of each sample. Shapes: x `[…, shape]`, y alike.
///
/// Defaults, initial values and names of the state are PyTorch's: w = 1, ε the machine epsilon of the element type.
/// It announces y to observers. Zhang and Sennrich 2019.
///
/// ```
/// use backflow_nn::RmsNorm;
/// use backflow_tensor::Tensor;
/// let y = RmsNorm::new([2]).eps(0.0).forward(&Tensor::from([[1.0_f32, -7.0]]));
/// assert_eq!(y.to_vec::<f32>(), [0.2, -1.4]);
/// ```
#[derive(Clone, Module)]
pub struct RmsNorm {
    /// w, of the shape that is normalised.
    pub weight: Option<Tensor>,
    #[module(skip)]
    shape: Shape,
    #[module(skip)]
    eps: Option<f64>,
    id: LayerId,
}

impl RmsNorm {
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
        Self { weight, shape, eps: None, id: LayerId::new() }
    }

    /// ε, which is added to the mean square.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps: Some(eps), ..self }
    }

    /// The same without w.
    #[must_use]
    pub fn without_affine(self) -> Self {
        Self { weight: None, ..self }
    }

    /// Normalises x; the result has its shape.
    ///
    /// # Panics
    /// If x does not end in the shape of the layer, or has another element type.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let what = Role::Normalisation.called("rms-norm").with_map(SampleMap::RmsNorm(self.eps));
        self.id.announce_input(what, x);
        let y = x.rms_norm(self.shape, self.weight.as_ref(), self.eps);
        self.id.announce(what, &y);
        y
    }
}

impl Layer for RmsNorm {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for RmsNorm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RmsNorm({})", self.shape)
    }
}
