//! [`GroupNorm`]: groups of channels of each sample normalised by themselves.

use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::observe::SampleMap;
use backflow_tensor::{DType, LayerId, Role, Tensor, misuse};
use std::fmt;

/// Group normalisation: `y = w (x − μ)/√(σ² + ε) + b`, μ and σ² over a group of neighbouring channels of a sample,
/// w and b by channel. Shapes: x `[N, C, …]`, y alike.
///
/// Defaults, initial values and names of the state are PyTorch's: ε = 1e-5, w = 1, b = 0. It announces x
/// and y to observers. Wu and He 2018.
///
/// ```
/// use backflow_nn::GroupNorm;
/// use backflow_tensor::Tensor;
/// let y = GroupNorm::new(2, 4).eps(0.0).forward(&Tensor::from([[-1.0_f32, 1.0, 6.0, 8.0]]));
/// assert_eq!(y.to_vec::<f32>(), [-1.0, 1.0, -1.0, 1.0]);
/// ```
#[derive(Clone, Module)]
pub struct GroupNorm {
    /// w, `[C]`.
    pub weight: Option<Tensor>,
    /// b, `[C]`.
    pub bias: Option<Tensor>,
    #[module(skip)]
    groups: usize,
    #[module(skip)]
    channels: usize,
    #[module(skip)]
    eps: f64,
    id: LayerId,
}

impl GroupNorm {
    /// A layer for so many channels of `f32`, in so many groups.
    ///
    /// # Panics
    /// If the channels cannot be cut into so many groups.
    #[must_use]
    #[track_caller]
    pub fn new(groups: usize, channels: usize) -> Self {
        Self::with_dtype(groups, channels, DType::F32)
    }

    /// The same of another element type.
    ///
    /// # Panics
    /// As [`new`](Self::new), or if it is not floating point.
    #[must_use]
    #[track_caller]
    pub fn with_dtype(groups: usize, channels: usize, dtype: DType) -> Self {
        if groups == 0 || !channels.is_multiple_of(groups) {
            let rows = [("groups", groups.to_string()), ("channels", channels.to_string())];
            misuse("GroupNorm", "channels cannot be cut into groups", &rows, "");
        }
        let weight = Some(Tensor::ones([channels], dtype).requires_grad());
        let bias = Some(Tensor::zeros([channels], dtype).requires_grad());
        Self { weight, bias, groups, channels, eps: 1e-5, id: LayerId::new() }
    }

    /// ε, which is added to the variance.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// The same without w and b.
    #[must_use]
    pub fn without_affine(self) -> Self {
        Self { weight: None, bias: None, ..self }
    }

    /// Normalises x; the result has its shape.
    ///
    /// # Panics
    /// If x has fewer than two axes, other channels, or another element type.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        if x.rank() < 2 || x.size(1) != self.channels {
            let rows = [("x", x.shape().to_string()), ("layer", format!("{self:?}"))];
            misuse("GroupNorm", "the input does not fit", &rows, "x [N, C, …]");
        }
        let what = Role::Normalisation
            .called("group-norm")
            .with_unit_axis(1)
            .with_map(SampleMap::GroupNorm(self.groups, self.eps));
        self.id.announce_input(what, x);
        let y = x.group_norm(self.groups, self.weight.as_ref(), self.bias.as_ref(), self.eps);
        self.id.announce(what, &y);
        y
    }
}

impl Layer for GroupNorm {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for GroupNorm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupNorm({} groups of {})", self.groups, self.channels / self.groups)
    }
}
