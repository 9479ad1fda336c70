//! [`AdaptiveAvgPool2d`]: means of images to a size that does not depend on theirs.

use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::{LayerId, Pair, Role, Tensor};
use std::fmt;

/// Means over as many windows as are asked for, channel by channel; with 1, of whole images. Shapes: x
/// `[N, C, H, W]`, y `[N, C, rows, columns]`. Windows as of [`Tensor::adaptive_avg_pool2d`].
///
/// It announces y to observers, with channels as units.
///
/// ```
/// use backflow_nn::{AdaptiveAvgPool2d, Flatten, Linear, Sequential};
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let head = Linear::new(16, 10, &mut Rng::seed_from_u64(7));
/// let model = Sequential::new().add(AdaptiveAvgPool2d::new(1)).add(Flatten::new()).add(head);
/// for size in [[7, 7], [12, 5]] {
///     assert_eq!(model.forward(&Tensor::ones([8, 16, size[0], size[1]], DType::F32)).shape(), [8, 10]);
/// }
/// ```
#[derive(Clone, Module)]
pub struct AdaptiveAvgPool2d {
    #[module(skip)]
    output: Pair,
    layer: LayerId,
}

impl AdaptiveAvgPool2d {
    /// A layer whose results have so many rows and columns.
    #[must_use]
    pub fn new(output: impl Into<Pair>) -> Self {
        Self { output: output.into(), layer: LayerId::new() }
    }

    /// The mean of each window.
    ///
    /// # Panics
    /// As [`Tensor::adaptive_avg_pool2d`].
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let y = x.adaptive_avg_pool2d(self.output);
        self.layer.announce(Role::Pooling.called("adaptive-avg-pool2d").with_unit_axis(1), &y);
        y
    }
}

impl Layer for AdaptiveAvgPool2d {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for AdaptiveAvgPool2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdaptiveAvgPool2d({:?})", self.output.0)
    }
}
