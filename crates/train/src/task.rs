//! [`Task`]: what a model is trained for. How a batch becomes a loss, how many terms that loss is the mean
//! of, and which figures tell how good the model is.
//!
//! All that trains ([`Trainer`](crate::Trainer), [`comparison`](crate::comparison), [`study`](crate::study),
//! the program) runs one loop over a task, so that another loss is one struct in one place. The number of
//! terms is what makes means right: over parts of a batch, over batches of different sizes, over sequences of
//! different lengths. A task holds no weights and no state; what is learned belongs to the model.

use crate::metric::{Metric, Tally};
use backflow_data::{Batch, Dataset, Loader};
use backflow_tensor::Tensor;

/// What a model of type `M` is trained for.
///
/// The tasks that are here ([`Classification`](crate::Classification), [`Regression`](crate::Regression),
/// [`Reconstruction`](crate::Reconstruction), [`NextToken`](crate::NextToken)) serve every
/// [`Layer`](backflow_nn::Layer). A task of your own is one struct; it may ask for a type of model of its
/// own, which takes two inputs or the lengths of the batch:
///
/// ```
/// # extern crate backflow_tensor as backflow;
/// use backflow_data::{Batch, Dataset, Loader};
/// use backflow_nn::{Linear, Module};
/// use backflow_optim::{Adam, Optimizer};
/// use backflow_tensor::{DType, Rng, Tensor};
/// use backflow_train::{Loss, Metric, Tally, Task, Trainer};
///
/// /// Embeds pairs of points; what belongs together should lie together.
/// #[derive(Debug, Module)]
/// struct Twins {
///     embed: Linear,
/// }
///
/// /// ½·t·d² + ½·(1 − t)·max(0, 1 − d)² with the distance d of a pair: the contrastive loss of Hadsell et
/// /// al. 2006.
/// struct Contrastive;
///
/// impl Contrastive {
///     fn distances(model: &Twins, batch: &Batch) -> Tensor {
///         let [left, right] = [0, 1].map(|side| model.embed.forward(&batch.inputs.select(1, side)));
///         ((left - right).square().sum(1) + 1e-6).sqrt()
///     }
///
///     fn mean(d: &Tensor, t: &Tensor) -> Tensor {
///         (0.5 * (t * d.square() + (1.0 - t) * (1.0 - d).relu().square())).mean(..)
///     }
/// }
///
/// impl Task<Twins> for Contrastive {
///     fn loss(&self, model: &Twins, batch: &Batch) -> Loss {
///         Loss::over(Self::mean(&Self::distances(model, batch), &batch.targets), batch.len())
///     }
///
///     fn metrics(&self) -> Vec<Metric> {
///         vec![Metric::share("accuracy")]
///     }
///
///     fn measure(&self, model: &Twins, batch: &Batch) -> (Loss, Vec<Tally>) {
///         let d = Self::distances(model, batch);
///         let pairs = d.to_f64_vec().into_iter().zip(batch.targets.to_f64_vec());
///         let right = pairs.filter(|&(d, t)| (d < 0.5) == (t > 0.5)).count();
///         let loss = Loss::over(Self::mean(&d, &batch.targets), batch.len());
///         (loss, vec![Tally::new(right as f64, batch.len() as f64)])
///     }
/// }
///
/// let mut rng = Rng::seed_from_u64(0);
/// let points = Tensor::uniform([64, 2, 3], -1.0, 1.0, DType::F32, &mut rng);
/// let [x, y] = [0, 1].map(|side| points.select(1, side).select(1, 0));
/// let belong = ((x * y).sign() + 1.0) / 2.0; // on the same side of 0
/// let pairs = Loader::new(&Dataset::from_tensors(&points, &belong), 16);
/// let mut model = Twins { embed: Linear::new(3, 2, &mut rng) };
/// let mut optimizer = Optimizer::new(Adam::new(0.03));
/// let mut trainer = Trainer::with_task(&Contrastive, &mut model, &mut optimizer);
/// let summary = trainer.fit(&pairs, &pairs, 30, &mut ())?;
/// let last = &summary.epochs[29];
/// assert!(last.train_loss < summary.epochs[0].train_loss && last.metrics["accuracy"] > 0.75);
/// # Ok::<(), backflow_train::TrainError>(())
/// ```
pub trait Task<M: ?Sized> {
    /// The loss of a batch, to be differentiated, and how many terms it is the mean of. It must be a function
    /// of model and batch alone: rules that look around compute it again.
    fn loss(&self, model: &M, batch: &Batch) -> Loss;

    /// Whether the data are of the form that the task needs.
    ///
    /// # Errors
    /// If they are not; [`TaskError::Data`] says what is needed and what was found.
    fn check(&self, data: &Dataset) -> Result<(), TaskError> {
        let _ = data;
        Ok(())
    }

    /// The figures beside the loss; the first is the one that models are ranked by. None unless the task says
    /// so.
    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    /// Loss and [`metrics`](Self::metrics) of a batch that is not learned from, from one forward pass. One
    /// entry per metric.
    fn measure(&self, model: &M, batch: &Batch) -> (Loss, Vec<Tally>) {
        (self.loss(model, batch), Vec::new())
    }
}

/// A mean, and over how many terms.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The mean over the terms: a scalar.
    pub mean: Tensor,
    /// How many terms there are (examples, elements, steps of sequences), or the sum of their weights. 0 for
    /// none, where the mean does not count, whatever it is.
    pub terms: f64,
}

impl Loss {
    /// A mean over so many terms.
    #[must_use]
    pub fn over(mean: Tensor, terms: usize) -> Self {
        Self { mean, terms: terms as f64 }
    }
}

/// Why a task cannot be worked on with these data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The data set is of another form.
    #[error("{task} needs {needs}; the data set is {found}")]
    Data {
        /// The task.
        task: &'static str,
        /// What it needs.
        needs: &'static str,
        /// The data set, in words.
        found: String,
    },
    /// A loader has no batch.
    #[error("no batch to {purpose}: {examples} examples in batches of {batch_size}{}", left_out(*drop_last))]
    NoBatch {
        /// `train on` or `evaluate on`.
        purpose: &'static str,
        /// How many examples there are.
        examples: usize,
        /// How many make a batch.
        batch_size: usize,
        /// Whether a smaller last batch is left out.
        drop_last: bool,
    },
    /// Batch normalisation of one number for each channel would get a single example, whose mean that number is.
    #[error(
        "batchnorm, layer {layer}, needs two examples at least, and would get one: {examples} to train on in batches of \
         {batch_size}{}",
        in_parts(*parts)
    )]
    OneExample {
        /// The layer's path.
        layer: String,
        /// How many examples there are.
        examples: usize,
        /// How many make a batch.
        batch_size: usize,
        /// Into how many parts each is cut.
        parts: usize,
    },
    /// A batch size of 0.
    #[error("a batch size of 0; the smallest is 1")]
    EmptyBatches,
    /// No term of a batch counts for the loss, as where no sequence has a next element.
    #[error(
        "step {step}: the batch has no term that the loss could be a mean of; are all sequences too short?"
    )]
    NoTerms {
        /// The step that could not be made, counted from 1.
        step: u64,
    },
}

fn in_parts(parts: usize) -> String {
    if parts > 1 { format!(", each in {parts} parts") } else { String::new() }
}

fn left_out(drop_last: bool) -> &'static str {
    if drop_last { ", the smaller last one left out" } else { "" }
}

/// Refuses data that a task cannot be worked on with, and a loader without batches.
pub(crate) fn require<M: ?Sized>(
    task: &dyn Task<M>,
    loader: &Loader,
    purpose: &'static str,
) -> Result<(), TaskError> {
    let data = loader.dataset();
    if loader.is_empty() {
        let (examples, batch_size) = (data.len(), loader.batch_size());
        return Err(TaskError::NoBatch { purpose, examples, batch_size, drop_last: loader.drops_last() });
    }
    task.check(data)
}
