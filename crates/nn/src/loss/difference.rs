//! Losses of differences d = y − t, element by element: squares, magnitudes, and what lies between.
//!
//! ```text
//! mse d²      l1 |d|      huber d²/2 up to |d| = δ, δ(|d| − δ/2) beyond      smooth l1 = huber with δ = β, over β
//! ```

use super::Reduction;
use super::operands::{require_alike, require_option};
use super::reduction::options;
use backflow_tensor::Tensor;

/// y − t, which must pair up.
#[track_caller]
fn difference(loss: &str, input: &Tensor, target: &Tensor) -> Tensor {
    require_alike(loss, ("input", input), ("target", target));
    input - target
}

/// The mean squared error, `mean (y − t)²`. Shapes: y and t alike; the result is a scalar.
///
/// ```
/// # use backflow_nn::loss::mse_loss;
/// # use backflow_tensor::Tensor;
/// assert_eq!(mse_loss(&Tensor::from([1.0, 4.0]), &Tensor::from([2.0, 2.0])).item(), 2.5);
/// ```
///
/// # Panics
/// If shapes or element types differ.
#[must_use]
#[track_caller]
pub fn mse_loss(input: &Tensor, target: &Tensor) -> Tensor {
    MseLoss::new().of(input, target)
}

/// [`mse_loss`] with another reduction.
#[derive(Clone, Debug)]
pub struct MseLoss {
    reduction: Reduction,
}
options!(MseLoss {});

impl MseLoss {
    /// (y − t)², reduced.
    ///
    /// # Panics
    /// As [`mse_loss`].
    #[must_use]
    #[track_caller]
    pub fn of(&self, input: &Tensor, target: &Tensor) -> Tensor {
        self.reduction.of(difference("mse_loss", input, target).square())
    }
}

/// The mean absolute error, `mean |y − t|`, with gradient 0 where y = t. Shapes: y and t alike; the result is
/// a scalar.
///
/// # Panics
/// If shapes or element types differ.
#[must_use]
#[track_caller]
pub fn l1_loss(input: &Tensor, target: &Tensor) -> Tensor {
    L1Loss::new().of(input, target)
}

/// [`l1_loss`] with another reduction.
#[derive(Clone, Debug)]
pub struct L1Loss {
    reduction: Reduction,
}
options!(L1Loss {});

impl L1Loss {
    /// |y − t|, reduced.
    ///
    /// # Panics
    /// As [`l1_loss`].
    #[must_use]
    #[track_caller]
    pub fn of(&self, input: &Tensor, target: &Tensor) -> Tensor {
        self.reduction.of(difference("l1_loss", input, target).abs())
    }
}

/// The mean of half the squares of small errors and of large errors themselves, with δ = 1: outliers pull no
/// harder than 1. Shapes: y and t alike; the result is a scalar. Huber, "Robust estimation of a location
/// parameter", 1964.
///
/// ```
/// # use backflow_nn::loss::huber_loss;
/// # use backflow_tensor::Tensor;
/// assert_eq!(huber_loss(&Tensor::from([0.5, 10.0]), &Tensor::from([0.0, 0.0])).item(), (0.125 + 9.5) / 2.0);
/// ```
///
/// # Panics
/// If shapes or element types differ.
#[must_use]
#[track_caller]
pub fn huber_loss(input: &Tensor, target: &Tensor) -> Tensor {
    HuberLoss::new().of(input, target)
}

/// [`huber_loss`] with options.
#[derive(Clone, Debug)]
pub struct HuberLoss {
    delta: f64,
    reduction: Reduction,
}
options!(HuberLoss { delta: 1.0 });

impl HuberLoss {
    /// δ > 0, from where on the loss is linear.
    ///
    /// # Panics
    /// If it is not above 0.
    #[must_use]
    #[track_caller]
    pub fn delta(self, delta: f64) -> Self {
        require_option("huber_loss", delta > 0.0, ("delta", delta), "above 0");
        Self { delta, ..self }
    }

    /// d²/2 where |d| < δ, else δ(|d| − δ/2), reduced; d = y − t.
    ///
    /// # Panics
    /// As [`huber_loss`].
    #[must_use]
    #[track_caller]
    pub fn of(&self, input: &Tensor, target: &Tensor) -> Tensor {
        self.reduction.of(huber(&difference("huber_loss", input, target), self.delta))
    }
}

/// k(d − k/2), where k is d cut off at ±δ.
#[track_caller]
fn huber(d: &Tensor, delta: f64) -> Tensor {
    let k = d.clamp(-delta, delta);
    &k * (d - &k * 0.5)
}

/// The mean absolute error with its kink rounded off, by β = 1. Shapes: y and t alike; the result is a scalar.
/// Girshick, "Fast R-CNN", 2015.
///
/// # Panics
/// If shapes or element types differ.
#[must_use]
#[track_caller]
pub fn smooth_l1_loss(input: &Tensor, target: &Tensor) -> Tensor {
    SmoothL1Loss::new().of(input, target)
}

/// [`smooth_l1_loss`] with options.
#[derive(Clone, Debug)]
pub struct SmoothL1Loss {
    beta: f64,
    reduction: Reduction,
}
options!(SmoothL1Loss { beta: 1.0 });

impl SmoothL1Loss {
    /// β ≥ 0, from where on the loss is linear; with 0 it is [`l1_loss`].
    ///
    /// # Panics
    /// If it is below 0.
    #[must_use]
    #[track_caller]
    pub fn beta(self, beta: f64) -> Self {
        require_option("smooth_l1_loss", beta >= 0.0, ("beta", beta), "0 or above");
        Self { beta, ..self }
    }

    /// d²/2β where |d| < β, else |d| − β/2, reduced; d = y − t.
    ///
    /// # Panics
    /// As [`smooth_l1_loss`].
    #[must_use]
    #[track_caller]
    pub fn of(&self, input: &Tensor, target: &Tensor) -> Tensor {
        let d = difference("smooth_l1_loss", input, target);
        let losses = if self.beta == 0.0 { d.abs() } else { huber(&d, self.beta) / self.beta };
        self.reduction.of(losses)
    }
}
