//! [`InstanceNorm2d`]: each channel of each image normalised by itself.

use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::observe::SampleMap;
use backflow_tensor::{DType, LayerId, Role, Tensor, misuse};
use std::fmt;

/// Instance normalisation: `y = (x − μ)/√(σ² + ε)`, μ and σ² over the pixels of a channel of an image. Shapes: x
/// `[N, C, H, W]`, y alike.
///
/// As in PyTorch it has neither parameters nor running statistics unless asked, and ε = 1e-5; running statistics
/// cannot be asked for. It announces y to observers. Ulyanov, Vedaldi and Lempitsky 2016.
///
/// ```
/// use backflow_nn::InstanceNorm2d;
/// use backflow_tensor::Tensor;
/// let x = Tensor::from([6.0_f32, 8.0, 0.0, 2.0]).reshape([1, 2, 1, 2]);
/// assert_eq!(InstanceNorm2d::new(2).eps(0.0).forward(&x).to_vec::<f32>(), [-1.0, 1.0, -1.0, 1.0]);
/// ```
#[derive(Clone, Module)]
pub struct InstanceNorm2d {
    /// w, `[C]`.
    pub weight: Option<Tensor>,
    /// b, `[C]`.
    pub bias: Option<Tensor>,
    #[module(skip)]
    channels: usize,
    #[module(skip)]
    eps: f64,
    id: LayerId,
}

impl InstanceNorm2d {
    /// A layer for so many channels.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { weight: None, bias: None, channels, eps: 1e-5, id: LayerId::new() }
    }

    /// The same with w and b by channel, 1 and 0 at first, of this element type: `y = w x̂ + b`.
    ///
    /// # Panics
    /// If it is not floating point.
    #[must_use]
    #[track_caller]
    pub fn with_affine(self, dtype: DType) -> Self {
        let weight = Some(Tensor::ones([self.channels], dtype).requires_grad());
        let bias = Some(Tensor::zeros([self.channels], dtype).requires_grad());
        Self { weight, bias, ..self }
    }

    /// ε, which is added to the variance.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// Normalises x; the result has its shape.
    ///
    /// # Panics
    /// If x does not have four axes, other channels, fewer than two pixels, or another element type than w.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        if x.rank() != 4 || x.size(1) != self.channels || x.size(2) * x.size(3) < 2 {
            let rows = [("x", x.shape().to_string()), ("layer", format!("{self:?}"))];
            misuse(
                "InstanceNorm2d",
                "the input does not fit",
                &rows,
                "x [N, C, H, W] of at least two pixels",
            );
        }
        let what = Role::Normalisation
            .called("instance-norm")
            .with_unit_axis(1)
            .with_map(SampleMap::GroupNorm(self.channels, self.eps));
        self.id.announce_input(what, x);
        let y = x.group_norm(self.channels, self.weight.as_ref(), self.bias.as_ref(), self.eps);
        self.id.announce(what, &y);
        y
    }
}

impl Layer for InstanceNorm2d {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for InstanceNorm2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceNorm2d({})", self.channels)
    }
}
