//! [`Flatten`]: all axes but the first as one.

use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::Tensor;
use std::fmt;

/// All axes but the first as one, row by row, as a linear layer takes images. Shapes: x `[N, …]`, y `[N, features]`.
///
/// It announces nothing: no number changes.
///
/// ```
/// use backflow_nn::{Flatten, Linear, MaxPool2d, Sequential};
/// use backflow_tensor::{DType, Rng, Tensor};
///
/// let head = Linear::new(3 * 4 * 4, 10, &mut Rng::seed_from_u64(7));
/// let model = Sequential::new().add(MaxPool2d::new(2)).add(Flatten::new()).add(head);
/// assert_eq!(model.forward(&Tensor::ones([5, 3, 8, 8], DType::F32)).shape(), [5, 10]);
/// ```
#[derive(Clone, Default, Module)]
pub struct Flatten {}

impl Flatten {
    /// A layer that flattens from axis 1 on, PyTorch's default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The batch with one axis of features.
    ///
    /// # Panics
    /// If there is no axis 1.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.flatten(1)
    }
}

impl Layer for Flatten {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for Flatten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flatten")
    }
}
