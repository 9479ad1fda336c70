//! [`Dropout2d`]: whole channels dropped by chance in training, the identity in evaluation.

use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::training::next_stream;
use backflow_tensor::{LayerId, Role, Tensor, misuse};
use std::fmt;

/// As [`Dropout`](crate::Dropout), but whole channels, since neighbouring pixels say nearly the same: each
/// channel of each sample with probability p. Shapes: `[N, C, …]`, as `[N, C, H, W]`. Tompson et al. 2015.
///
/// ```
/// use backflow_nn::Dropout2d;
/// use backflow_tensor::{DType, Rng, Tensor, training};
///
/// let x = Tensor::ones([1, 1, 2, 2], DType::F32);
/// let y = training(&Rng::seed_from_u64(7), || Dropout2d::new(0.5).forward(&x)).to_vec::<f32>();
/// assert!(y == [0.0; 4] || y == [2.0; 4]);
/// ```
#[derive(Clone, Module)]
pub struct Dropout2d {
    #[module(skip)]
    p: f64,
    layer: LayerId,
}

impl Dropout2d {
    /// A layer that drops channels with this probability.
    ///
    /// # Panics
    /// If `p` is not in [0, 1].
    #[must_use]
    #[track_caller]
    pub fn new(p: f64) -> Self {
        if !(0.0..=1.0).contains(&p) {
            misuse("Dropout2d", "the probability is not in [0, 1]", &[("p", p.to_string())], "");
        }
        Self { p, layer: LayerId::new() }
    }

    /// Drops channels in training.
    ///
    /// # Panics
    /// If there is no axis of channels, or in training, if the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        if x.rank() < 2 {
            misuse("Dropout2d", "no axis of channels", &[("x", x.shape().to_string())], "x [N, C, H, W]");
        }
        let dropped = || {
            let mut channels = vec![1; x.rank()];
            channels[..2].copy_from_slice(&x.shape()[..2]);
            x * Tensor::ones(channels, x.dtype()).dropout(self.p, &next_stream())
        };
        let y = self.layer.by_mode("dropout2d", dropped, || x.clone());
        self.layer.announce(Role::Dropout.called("dropout2d"), &y);
        y
    }
}

/// Of half the channels, as in PyTorch.
impl Default for Dropout2d {
    fn default() -> Self {
        Self::new(0.5)
    }
}

impl Layer for Dropout2d {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl fmt::Debug for Dropout2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dropout2d({})", self.p)
    }
}
