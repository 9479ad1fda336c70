//! [`Reconstruction`]: outputs that are the inputs again, through whatever bottleneck the model has. Targets
//! are not looked at.

use super::{PointwiseLoss, Regression};
use crate::metric::{Metric, Tally};
use crate::task::{Loss, Task, TaskError};
use backflow_data::{Batch, Dataset};
use backflow_nn::Layer;

/// An autoencoder's task: the same loss as in [`Regression`], with the inputs as targets. It takes data with
/// targets, too.
///
/// ```
/// use backflow_nn::loss::binary_cross_entropy_with_logits;
/// use backflow_train::Reconstruction;
///
/// let (pixels, bits) = (Reconstruction::mse(), Reconstruction::new(binary_cross_entropy_with_logits));
/// # let _ = (pixels, bits);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Reconstruction(Regression);

impl Reconstruction {
    /// By the mean squared error, with the metrics `mae`, `rmse` and `r2` of [`Regression::mse`].
    #[must_use]
    pub fn mse() -> Self {
        Self(Regression::mse().each_step())
    }

    /// By a loss of your choice; `binary_cross_entropy_with_logits` for inputs from 0 to 1.
    #[must_use]
    pub fn new(loss: PointwiseLoss) -> Self {
        Self(Regression::new(loss).each_step())
    }
}

impl<M: Layer + ?Sized> Task<M> for Reconstruction {
    fn loss(&self, model: &M, batch: &Batch) -> Loss {
        Self(self.0.loss_alone()).measure(model, batch).0
    }

    fn check(&self, data: &Dataset) -> Result<(), TaskError> {
        if data.input_dtype().is_float() {
            return Ok(());
        }
        let needs = "inputs of floating-point numbers";
        Err(TaskError::Data { task: "reconstruction", needs, found: format!("{data:?}") })
    }

    fn metrics(&self) -> Vec<Metric> {
        self.0.metrics().to_vec()
    }

    fn measure(&self, model: &M, batch: &Batch) -> (Loss, Vec<Tally>) {
        let Batch { inputs, lengths, .. } = batch;
        self.0.of(&model.forward(inputs), inputs, lengths.as_deref())
    }
}
