//! [`Regression`]: numbers of any shape, to be met as closely as possible.
//!
//! ```text
//! outputs y and targets t of one shape [n, …] and one type    loss = mean of a function of all yᵢ and tᵢ
//! mae = mean |y − t|        rmse = √(mean (y − t)²)        r2 = 1 − Σ (y − t)² / Σ (t − mean t)²
//! ```

use super::steps_of_sequences::rows;
use crate::metric::{Metric, Tally};
use crate::task::{Loss, Task, TaskError};
use backflow_data::{Batch, Dataset};
use backflow_nn::Layer;
use backflow_nn::loss::mse_loss;
use backflow_tensor::Tensor;

/// A loss of outputs and targets of one shape that is the mean over their elements: `mse_loss`, for instance,
/// or your own.
pub type PointwiseLoss = fn(&Tensor, &Tensor) -> Tensor;

/// The mean absolute error, and the root of the mean square of errors, over all elements; and R², the share of the targets'
/// variance that is explained.
const FIGURES: [Metric; 3] =
    [Metric::error("mae"), Metric::error("rmse").finish(f64::sqrt), Metric::score("r2").finish(explained)];

/// What is left of 1; of targets that are all the same, or of none, nothing is known.
fn explained(unexplained: f64) -> f64 {
    if unexplained.is_finite() { 1.0 - unexplained } else { f64::NAN }
}

/// Numbers from inputs.
///
/// ```
/// use backflow_data::{Dataset, Loader};
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_optim::{Adam, Optimizer};
/// use backflow_tensor::{DType, Rng, Tensor};
/// use backflow_train::{Regression, Trainer};
///
/// let mut rng = Rng::seed_from_u64(0);
/// let x = Tensor::uniform([256, 1], -3.0, 3.0, DType::F32, &mut rng);
/// let curve = Loader::new(&Dataset::from_tensors(&x, &x.sin()), 32).shuffle(0);
/// let mut model = Mlp::new(&[1, 32, 1], Activation::Tanh, Init::XavierNormal, DType::F32, &mut rng);
/// let mut optimizer = Optimizer::new(Adam::new(1e-2));
/// let task = Regression::mse();
/// let summary = Trainer::with_task(&task, &mut model, &mut optimizer).fit(&curve, &curve, 60, &mut ())?;
/// assert!(summary.epochs[59].metrics["rmse"] < 0.1);
/// # Ok::<(), backflow_train::TrainError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Regression {
    loss: PointwiseLoss,
    metrics: &'static [Metric],
    each_step: bool,
}

impl Regression {
    /// By the mean squared error, with the metrics `mae`, `rmse` and `r2`.
    ///
    /// R² is 1 where all is met, 0 for whoever answers the mean of the evaluated targets, below 0 for worse, and NaN if
    /// these are all the same. Of several numbers for each example, both of its sums go over all of them, with a mean
    /// for each place: scikit-learn's `r2_score` with `multioutput="variance_weighted"`.
    #[must_use]
    pub fn mse() -> Self {
        Self { metrics: &FIGURES, ..Self::new(mse_loss) }
    }

    /// By a loss of your choice, with no other figure: what its outputs are (numbers, scores, logarithms) is
    /// not known here.
    #[must_use]
    pub fn new(loss: PointwiseLoss) -> Self {
        Self { loss, metrics: &[], each_step: false }
    }

    /// Says that targets `[n, T, …]` belong to the steps of the inputs, so that those behind the end of a
    /// padded sequence do not count. Otherwise all elements do, and lengths are the model's business.
    #[must_use]
    pub fn each_step(self) -> Self {
        Self { each_step: true, ..self }
    }

    pub(super) fn metrics(&self) -> &'static [Metric] {
        self.metrics
    }

    /// The same loss, for batches of which nothing else is asked.
    pub(super) fn loss_alone(self) -> Self {
        Self { metrics: &[], ..self }
    }

    /// Loss and metrics of these outputs.
    #[track_caller]
    pub(super) fn of(
        &self,
        outputs: &Tensor,
        targets: &Tensor,
        lengths: Option<&[usize]>,
    ) -> (Loss, Vec<Tally>) {
        let steps = targets.shape().get(1).copied();
        if let (true, Some(lengths), Some(steps)) = (self.each_step, lengths, steps)
            && outputs.shape() == targets.shape()
        {
            let [outputs, targets] = [outputs, targets].map(|x| rows(x, steps, Some(lengths)));
            return self.of(&outputs, &targets, None);
        }
        let loss = Loss::over((self.loss)(outputs, targets), targets.elements());
        if self.metrics.is_empty() {
            return (loss, Vec::new());
        }
        let (outputs, numbers) = (outputs.to_f64_vec(), targets.to_f64_vec());
        let errors = || outputs.iter().zip(&numbers).map(|(y, t)| y - t);
        let [distances, squares] = [errors().map(f64::abs).sum(), errors().map(|error| error * error).sum()];
        let rows = targets.shape().first().copied().unwrap_or(1).max(1);
        let tallies = vec![
            Tally::new(distances, loss.terms),
            Tally::new(squares, loss.terms),
            Tally::beside_spread(squares, &numbers, numbers.len() / rows),
        ];
        (loss, tallies)
    }
}

impl<M: Layer + ?Sized> Task<M> for Regression {
    fn loss(&self, model: &M, batch: &Batch) -> Loss {
        self.loss_alone().measure(model, batch).0
    }

    fn check(&self, data: &Dataset) -> Result<(), TaskError> {
        if data.target_dtype().is_some_and(|dtype| dtype.is_float()) {
            return Ok(());
        }
        let needs = "targets of floating-point numbers";
        Err(TaskError::Data { task: "regression", needs, found: format!("{data:?}") })
    }

    fn metrics(&self) -> Vec<Metric> {
        self.metrics.to_vec()
    }

    fn measure(&self, model: &M, batch: &Batch) -> (Loss, Vec<Tally>) {
        self.of(&model.forward(&batch.inputs), &batch.targets, batch.lengths.as_deref())
    }
}
