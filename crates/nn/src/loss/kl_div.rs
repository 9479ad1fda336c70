//! The Kullback–Leibler divergence.

use super::Reduction;
use super::operands::{refuse, require_alike};
use super::reduction::options;
use backflow_tensor::Tensor;

/// The mean over all elements of `t (ln t − x)`, where x are logarithms of probabilities and t probabilities;
/// 0 where t is. Shapes: x and t alike; the result is a scalar, in nats. That mean is PyTorch's default; the
/// divergence Σ t (ln t − x) itself, its mean over the batch, is [`KlDiv::batch_mean`]. Kullback and Leibler,
/// "On information and sufficiency", 1951.
///
/// # Panics
/// If shapes or element types differ.
#[must_use]
#[track_caller]
pub fn kl_div(input: &Tensor, target: &Tensor) -> Tensor {
    KlDiv::new().of(input, target)
}

/// [`kl_div`] with options.
///
/// ```
/// # use backflow_nn::loss::KlDiv;
/// # use backflow_tensor::Tensor;
/// let (x, t) = (Tensor::from([[0.5, 0.5]]).ln(), Tensor::from([[1.0, 0.0]]));
/// assert_eq!(KlDiv::new().batch_mean().of(&x, &t).item(), std::f64::consts::LN_2);
/// ```
#[derive(Clone, Debug)]
pub struct KlDiv {
    log_target: bool,
    batch_mean: bool,
    reduction: Reduction,
}
options!(KlDiv { log_target: false, batch_mean: false });

impl KlDiv {
    /// Targets are logarithms of probabilities, too.
    #[must_use]
    pub fn log_target(self) -> Self {
        Self { log_target: true, ..self }
    }

    /// The sum over all elements, divided by the size of the first axis, in place of a reduction. PyTorch's
    /// `reduction="batchmean"`.
    #[must_use]
    pub fn batch_mean(self) -> Self {
        Self { batch_mean: true, ..self }
    }

    /// t (ln t − x), reduced. Where t is 0 the gradient with respect to t is −x, and PyTorch's NaN.
    ///
    /// # Panics
    /// As [`kl_div`], or if there is no batch to take the mean over.
    #[must_use]
    #[track_caller]
    pub fn of(&self, input: &Tensor, target: &Tensor) -> Tensor {
        require_alike("kl_div", ("input", input), ("target", target));
        let losses = if self.log_target {
            target.exp() * (target - input)
        } else {
            // 0 ln 0 is 0.
            let safe = target.masked_fill(&target.eq(0.0), 1.0);
            &safe * safe.ln() - target * input
        };
        if !self.batch_mean {
            return self.reduction.of(losses);
        }
        let Some(&n) = input.shape().first() else {
            refuse("kl_div", ("input", input), ("target", target), "a batch has an axis: [n, …]")
        };
        losses.sum(..) / n as f64
    }
}
