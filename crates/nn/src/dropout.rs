//! [`Dropout`]: elements dropped by chance in training, the identity in evaluation.

use crate::layer::Layer;
use crate::run::Run;
use backflow_nn_derive::Module;
use backflow_tensor::training::next_stream;
use backflow_tensor::{LayerId, Role, Tensor, misuse};
use std::fmt;

/// Drops each element with probability p in training, and divides the others by 1 − p: `y = x · m / (1 − p)`,
/// m ∈ {0, 1}. In evaluation `y = x`. Shapes: any.
///
/// It drops inside [`training`](backflow_tensor::training()), from the scope's stream, and an optimizer's
/// [`step_with`](https://docs.rs/backflow-optim) opens such a scope by itself. Used twice, it drops different
/// elements; in the same scope entered again, the same ones. It announces y to observers. Srivastava et al.
/// 2014; p is `0.5` by [default](Default), as in PyTorch.
///
/// ```
/// use backflow_nn::{Activation, Dropout, Linear, Sequential};
/// use backflow_tensor::{DType, Rng, Tensor, training};
///
/// let mut rng = Rng::seed_from_u64(7);
/// let model = Sequential::new().add(Linear::new(4, 8, &mut rng)).add(Activation::Relu).add(Dropout::new(0.25));
/// let x = Tensor::ones([5, 4], DType::F32);
/// let drop = |step| training(&rng.split(step), || model.forward(&x)).to_vec::<f32>();
/// assert_eq!(drop(1), drop(1));
/// assert_ne!(drop(1), drop(2));
/// assert_ne!(drop(1), model.forward(&x).to_vec::<f32>()); // outside: evaluation
/// ```
#[derive(Clone, Module)]
pub struct Dropout {
    #[module(skip)]
    p: f64,
    layer: LayerId,
}

impl Dropout {
    /// A layer that drops with this probability.
    ///
    /// # Panics
    /// If `p` is not in [0, 1].
    #[must_use]
    #[track_caller]
    pub fn new(p: f64) -> Self {
        if !(0.0..=1.0).contains(&p) {
            misuse("Dropout", "the probability is not in [0, 1]", &[("p", p.to_string())], "");
        }
        Self { p, layer: LayerId::new() }
    }

    /// A layer that drops, or none, which has no training mode, for p = 0.
    #[track_caller]
    pub(crate) fn unless_0(p: f64) -> Option<Self> {
        let layer = Self::new(p);
        (p != 0.0).then_some(layer)
    }

    /// The probability with which an element is dropped.
    #[must_use]
    pub fn p(&self) -> f64 {
        self.p
    }

    /// Drops elements in training.
    ///
    /// # Panics
    /// In training, if the elements are not floating point.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let dropped = || x.dropout(self.p, &next_stream());
        let y = self.layer.by_mode("dropout", dropped, || x.clone());
        self.layer.announce(Role::Dropout, &y);
        y
    }
}

/// x as it is, where there is no such layer.
#[track_caller]
pub(crate) fn dropped(dropout: &Option<Dropout>, x: &Tensor) -> Tensor {
    match dropout {
        Some(dropout) => dropout.forward(x),
        None => x.clone(),
    }
}

impl Default for Dropout {
    fn default() -> Self {
        Self::new(0.5)
    }
}

impl Layer for Dropout {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }

    fn append_to<'a>(&'a self, run: &mut Run<'a>) {
        run.dropout(self);
    }
}

impl fmt::Debug for Dropout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dropout({})", self.p)
    }
}
