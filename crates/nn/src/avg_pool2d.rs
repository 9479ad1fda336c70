//! [`AvgPool2d`]: the mean of each window of images.

use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::{LayerId, Pooling, Role, Tensor};
use std::fmt;

/// The mean of each window, channel by channel. Shapes: x `[N, C, H, W]`, y `[N, C, OH, OW]`;
/// [`Tensor::avg_pool2d`] says which OH and OW.
///
/// It announces y to observers, with channels as units.
///
/// ```
/// use backflow_nn::AvgPool2d;
/// use backflow_tensor::{DType, Pooling, Tensor};
///
/// let x = Tensor::ones([8, 16, 15, 15], DType::F32);
/// let halving = AvgPool2d::new(Pooling::new(2).ceil_mode(true).count_include_pad(false));
/// assert_eq!(halving.forward(&x).shape(), [8, 16, 8, 8]);
/// assert_eq!(halving.forward(&x).max(..).item(), 1.0);
/// ```
#[derive(Clone, Module)]
pub struct AvgPool2d {
    #[module(skip)]
    windows: Pooling,
    layer: LayerId,
}

impl AvgPool2d {
    /// A layer with windows of this size, one beside the other, or with others.
    #[must_use]
    pub fn new(windows: impl Into<Pooling>) -> Self {
        Self { windows: windows.into(), layer: LayerId::new() }
    }

    /// The mean of each window.
    ///
    /// # Panics
    /// As [`Tensor::avg_pool2d`].
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let y = x.avg_pool2d(self.windows);
        self.layer.announce(Role::Pooling.called("avg-pool2d").with_unit_axis(1), &y);
        y
    }
}

impl Layer for AvgPool2d {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for AvgPool2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AvgPool2d({})", self.windows)
    }
}
