//! [`MaxPool2d`]: the largest element of each window of images.

use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::{LayerId, Pooling, Role, Tensor};
use std::fmt;

/// The largest element of each window, channel by channel. Shapes: x `[N, C, H, W]`, y `[N, C, OH, OW]`;
/// [`Tensor::max_pool2d`] says which OH and OW, and which of equal elements gets the gradient.
///
/// It announces y to observers, with channels as units.
///
/// ```
/// use backflow_nn::MaxPool2d;
/// use backflow_tensor::{DType, Pooling, Tensor};
///
/// let x = Tensor::ones([8, 16, 15, 15], DType::F32);
/// assert_eq!(MaxPool2d::new(2).forward(&x).shape(), [8, 16, 7, 7]);
/// let overlapping = MaxPool2d::new(Pooling::new(3).stride(2).padding(1));
/// assert_eq!(overlapping.forward(&x).shape(), [8, 16, 8, 8]);
/// assert_eq!(format!("{overlapping:?}"), "MaxPool2d(kernel [3, 3], stride [2, 2], padding [1, 1])");
/// ```
#[derive(Clone, Module)]
pub struct MaxPool2d {
    #[module(skip)]
    windows: Pooling,
    layer: LayerId,
}

impl MaxPool2d {
    /// A layer with windows of this size, one beside the other, or with others.
    #[must_use]
    pub fn new(windows: impl Into<Pooling>) -> Self {
        Self { windows: windows.into(), layer: LayerId::new() }
    }

    /// The largest element of each window.
    ///
    /// # Panics
    /// As [`Tensor::max_pool2d`].
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let y = x.max_pool2d(self.windows);
        self.layer.announce(Role::Pooling.called("max-pool2d").with_unit_axis(1), &y);
        y
    }
}

impl Layer for MaxPool2d {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for MaxPool2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MaxPool2d({})", self.windows)
    }
}
