//! [`BatchNorm1d`] and [`BatchNorm2d`]: each channel normalised over the batch.

use crate::layer::Layer;
use backflow_nn_derive::Module;
use backflow_tensor::{BatchNormed, DType, LayerId, Role, Statistic, Tensor, is_training, misuse};
use std::fmt;

/// Batch normalisation of `[N, C]` and of series `[N, C, L]`.
pub type BatchNorm1d = BatchNorm<1>;

/// Batch normalisation of images `[N, C, H, W]`.
pub type BatchNorm2d = BatchNorm<2>;

/// Batch normalisation: `y = w (x − μ)/√(σ² + ε) + b`, by channel.
///
/// In [`training`](backflow_tensor::training()) μ and σ² are those of the batch, over all axes but the channels',
/// σ² biased. They move the running statistics, σ² unbiased, by [`momentum`](Self::momentum):
/// `r ← (1 − m) r + m s`. That happens in an optimizer's step and not in a forward
/// ([`with_statistics`](Tensor::with_statistics)). In evaluation μ and σ² are the running statistics. Defaults,
/// initial values and names of the state are PyTorch's: ε = 1e-5, m = 0.1, w = 1, b = 0, μ = 0, σ² = 1. It
/// announces y to observers. Ioffe and Szegedy 2015.
///
/// ```
/// use backflow_nn::{BatchNorm2d, Module};
/// use backflow_tensor::{DType, Rng, Tensor, training};
///
/// let mut layer = BatchNorm2d::new(3);
/// let x = Tensor::full([8, 3, 5, 5], 4.0, DType::F32);
/// let y = training(&Rng::seed_from_u64(7), || layer.forward(&x));
/// assert_eq!(y.to_vec::<f32>(), [0.0; 600]);
/// y.sum(..).backward().fold_statistics(&mut layer); // what an optimizer's step does
/// assert_eq!(layer.running_mean.as_ref().unwrap().to_vec::<f32>(), [0.4; 3]);
/// let paths: Vec<String> = layer.state().into_iter().map(|(path, _)| path).collect();
/// assert_eq!(paths, ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]);
/// ```
#[derive(Clone, Module)]
pub struct BatchNorm<const AXES: usize> {
    /// w, `[C]`.
    pub weight: Option<Tensor>,
    /// b, `[C]`.
    pub bias: Option<Tensor>,
    /// The running mean, `[C]`, a buffer.
    pub running_mean: Option<Tensor>,
    /// The running variance, `[C]`, a buffer.
    pub running_var: Option<Tensor>,
    /// How many batches have moved them, a buffer.
    pub num_batches_tracked: Option<Tensor>,
    #[module(skip)]
    channels: usize,
    #[module(skip)]
    eps: f64,
    #[module(skip)]
    momentum: Option<f64>,
    #[module(skip)]
    is_frozen: bool,
    id: LayerId,
}

impl<const AXES: usize> BatchNorm<AXES> {
    /// A layer for so many channels of `f32`.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self::with_dtype(channels, DType::F32)
    }

    /// The same of another element type.
    ///
    /// # Panics
    /// If it is not floating point.
    #[must_use]
    #[track_caller]
    pub fn with_dtype(channels: usize, dtype: DType) -> Self {
        Self {
            weight: Some(Tensor::ones([channels], dtype).requires_grad()),
            bias: Some(Tensor::zeros([channels], dtype).requires_grad()),
            running_mean: Some(Tensor::zeros([channels], dtype).buffer()),
            running_var: Some(Tensor::ones([channels], dtype).buffer()),
            num_batches_tracked: Some(Tensor::from(0_i64).buffer()),
            channels,
            eps: 1e-5,
            momentum: Some(0.1),
            is_frozen: false,
            id: LayerId::new(),
        }
    }

    /// ε, which is added to the variance.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// The share m by which a batch moves the running statistics. `None`: they are the mean over all batches,
    /// each of the same weight.
    #[must_use]
    pub fn momentum(self, momentum: impl Into<Option<f64>>) -> Self {
        Self { momentum: momentum.into(), ..self }
    }

    /// The same without w and b.
    #[must_use]
    pub fn without_affine(self) -> Self {
        Self { weight: None, bias: None, ..self }
    }

    /// The same without running statistics: it goes by its batch in evaluation, too.
    #[must_use]
    pub fn without_running_statistics(self) -> Self {
        Self { running_mean: None, running_var: None, num_batches_tracked: None, is_frozen: false, ..self }
    }

    /// The same with running statistics that stay as they are: it goes by them in training, too. For fine-tuning
    /// on small batches; w and b are trained unless they are [frozen](crate::Module::freeze), too.
    ///
    /// # Panics
    /// If it has no running statistics.
    #[must_use]
    #[track_caller]
    pub fn frozen(self) -> Self {
        if self.running_mean.is_none() {
            misuse(
                "BatchNorm",
                "there are no running statistics to go by",
                &[("layer", format!("{self:?}"))],
                "",
            );
        }
        Self { is_frozen: true, ..self }
    }

    /// Normalises x; the result has its shape.
    ///
    /// # Panics
    /// If x does not have these axes or so many channels; where it goes by the batch, if that has fewer than two
    /// numbers per channel.
    #[must_use]
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let has_axes = if AXES == 1 { [2, 3].contains(&x.rank()) } else { x.rank() == AXES + 2 };
        let rows = || [("x", x.shape().to_string()), ("layer", format!("{self:?}"))];
        if !has_axes || x.size(1) != self.channels {
            let axes = if AXES == 1 { "x [N, C] or [N, C, L]" } else { "x [N, C, H, W]" };
            misuse("BatchNorm", "the input does not fit", &rows(), axes);
        }
        let (weight, bias) = (self.weight.as_ref(), self.bias.as_ref());
        let running = self.running_mean.as_ref().zip(self.running_var.as_ref());
        let goes_by_batch = running.is_none() || is_training() && !self.is_frozen;
        if goes_by_batch && x.elements() < 2 * self.channels {
            let hint = "one number is its own mean: give a larger batch, or evaluate";
            misuse("BatchNorm", "needs at least two numbers per channel in training", &rows(), hint);
        }
        let y = match running {
            None => x.batch_norm(weight, bias, self.eps).y,
            Some((mean, variance)) => {
                let by_running = || x.batch_norm_by(mean, variance, weight, bias, self.eps);
                let by_batch = || {
                    let batch = x.batch_norm(weight, bias, self.eps);
                    let seen = self.seen(&batch, mean, variance);
                    batch.y.with_statistics(seen)
                };
                if self.is_frozen {
                    by_running()
                } else {
                    self.id.by_mode("batch-norm", by_batch, by_running)
                }
            }
        };
        let what = Role::Normalisation.called("batch-norm").with_unit_axis(1);
        self.id.announce(if self.is_frozen { what } else { what.over_batch() }, &y);
        y
    }

    /// What the running statistics learn of a batch.
    fn seen(&self, batch: &BatchNormed, mean: &Tensor, variance: &Tensor) -> Vec<Statistic> {
        let count = self.num_batches_tracked.as_ref();
        let average = |buffer, value| match (self.momentum, count) {
            (Some(momentum), _) => Some(Statistic::moving_average(buffer, value, momentum)),
            (None, Some(count)) => Some(Statistic::cumulative_average(buffer, value, count)),
            (None, None) => None,
        };
        let averages = [average(mean, &batch.mean), average(variance, &batch.variance)];
        count.map(Statistic::count).into_iter().chain(averages.into_iter().flatten()).collect()
    }
}

impl<const AXES: usize> Layer for BatchNorm<AXES> {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.forward(x)
    }
}

impl<const AXES: usize> fmt::Debug for BatchNorm<AXES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchNorm{AXES}d({})", self.channels)
    }
}
