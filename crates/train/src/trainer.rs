//! The training loop of a classifier: nothing that a user could not write out (see `examples/mnist_mlp.rs`), plus what
//! everyone wants around it: figures per step and per epoch, a stop when the loss is no number, a recorder of the flow.

use crate::error::TrainError;
use crate::evaluate::{Evaluation, evaluate};
use crate::step_times::StepTimes;
use backflow_data::{Batch, Epoch, Loader};
use backflow_nn::Layer;
use backflow_optim::{Optimizer, StepReport};
use backflow_probe::{FlowStep, Recorder, find_nonfinite};
use backflow_tensor::training::Scope;
use serde::Serialize;

/// One training step, as it is reported and logged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepRecord {
    /// Counted from 1 over all epochs.
    pub step: u64,
    /// Counted from 1.
    pub epoch: u64,
    /// Mean cross entropy over the batch before the update, in nats.
    pub loss: f64,
    /// The learning rate of the update.
    pub learning_rate: f64,
    /// The norm of all gradients together, before clipping.
    pub gradient_norm: f64,
}

/// One epoch: a pass over the training set, and the test that followed it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: u64,
    /// Mean of the losses of the epoch's examples, each before the update that it took part in.
    pub train_loss: f64,
    /// Loss on the test set after the epoch.
    pub test_loss: f64,
    /// Accuracy on the test set after the epoch, from 0 to 1.
    pub test_accuracy: f64,
}

/// What a training run came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many steps were made.
    pub steps: u64,
    /// The record of every epoch.
    pub epochs: Vec<EpochRecord>,
}

/// Hears of a run while it goes on: a progress bar, a log file.
pub trait Listener {
    /// A step was made; `steps` are made in each epoch.
    ///
    /// # Errors
    /// An error ends the run.
    fn step(&mut self, record: &StepRecord, steps: u64) -> Result<(), TrainError> {
        let _ = (record, steps);
        Ok(())
    }

    /// An epoch ended.
    ///
    /// # Errors
    /// An error ends the run.
    fn epoch(&mut self, record: &EpochRecord) -> Result<(), TrainError> {
        let _ = record;
        Ok(())
    }
}

/// Hears nothing.
impl Listener for () {}

/// Trains a classifier, whose outputs are logits of shape `[batch, classes]`, with cross entropy.
///
/// ```
/// use backflow_data::{Loader, Mnist};
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_optim::{Adam, Optimizer};
/// use backflow_tensor::{DType, Rng};
/// use backflow_train::Trainer;
///
/// let digits = Mnist::embedded();
/// let mut model = Mlp::new(&[784, 32, 10], Activation::Relu, Init::HeNormal, DType::F32, &mut Rng::seed_from_u64(0));
/// let mut optimizer = Optimizer::new(Adam::new(1e-3));
/// let train = Loader::new(&digits.train, 32).shuffle(0);
/// let test = Loader::new(&digits.test, 1000);
/// let summary = Trainer::new(&mut model, &mut optimizer).fit(&train, &test, 1, &mut ())?;
/// assert!(summary.epochs[0].test_accuracy > 0.8);
/// # Ok::<(), backflow_train::TrainError>(())
/// ```
#[derive(Debug)]
pub struct Trainer<'a, M: ?Sized> {
    model: &'a mut M,
    optimizer: &'a mut Optimizer,
    recorder: Option<&'a mut Recorder>,
    times: Option<&'a mut StepTimes>,
    steps: u64,
    last: Option<StepRecord>,
    /// Where the loss of the last step was computed: what computes it again enters it, and draws the same.
    scope: Scope,
}

impl<'a, M: Layer + ?Sized> Trainer<'a, M> {
    /// A trainer of `model` by `optimizer`.
    #[must_use]
    pub fn new(model: &'a mut M, optimizer: &'a mut Optimizer) -> Self {
        let scope = optimizer.scope();
        Self { model, optimizer, recorder: None, times: None, steps: 0, last: None, scope }
    }

    /// Lets `recorder` look at the steps. It changes no bit of the training.
    #[must_use]
    pub fn probe(self, recorder: &'a mut Recorder) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// Lets `times` measure where the time of the steps goes, batches included. It changes no bit of the training.
    #[must_use]
    pub fn time(self, times: &'a mut StepTimes) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Trains for `epochs` passes over `train`, with a test after each, of the weights that the optimizer would have
    /// [evaluated](Optimizer::evaluating). A schedule that [listens](Optimizer::observe) hears the mean training
    /// loss of each epoch: what goes by the test set is no test any more.
    ///
    /// # Errors
    /// If the loss becomes NaN or infinite, or the listener fails. The error tells where the first number that is not finite
    /// came from: the loss of that batch is computed once more to [find](find_nonfinite) it.
    pub fn fit(
        &mut self,
        train: &Loader,
        test: &Loader,
        epochs: u64,
        listener: &mut dyn Listener,
    ) -> Result<Summary, TrainError> {
        let mut records = Vec::new();
        for epoch in 1..=epochs {
            let (mut loss_sum, mut examples) = (0.0, 0_usize);
            if let Some(recorder) = &mut self.recorder {
                recorder.begin_epoch();
            }
            let mut batches = train.epoch(epoch - 1);
            while batches.len() > 0 {
                let (batch, report) = self.timed_step(&mut batches);
                let loss = report.loss.unwrap_or(f64::NAN);
                if !loss.is_finite() {
                    return Err(self.diverged(&batch, loss, epoch));
                }
                self.steps += 1;
                let count = batch.targets.elements();
                loss_sum += loss * count as f64;
                examples += count;
                let record = StepRecord {
                    step: self.steps,
                    epoch,
                    loss,
                    learning_rate: report.learning_rate,
                    gradient_norm: report.gradient_norm,
                };
                self.last = Some(record);
                listener.step(&record, train.len() as u64)?;
            }
            let Evaluation { loss: test_loss, accuracy: test_accuracy } =
                self.optimizer.evaluating(&mut *self.model, |model| evaluate(model, test));
            let train_loss = loss_sum / examples as f64;
            self.optimizer.observe(train_loss);
            let record = EpochRecord { epoch, train_loss, test_loss, test_accuracy };
            listener.epoch(&record)?;
            records.push(record);
        }
        Ok(Summary { steps: self.steps, epochs: records })
    }

    /// Takes the next batch, and makes a step with it.
    fn timed_step(&mut self, batches: &mut Epoch<'_>) -> (Batch, StepReport) {
        let times = self.times.take();
        let mut step = || {
            let batch = batches.next().expect("some are left");
            let report = self.step(&batch);
            (batch, report)
        };
        let Some(times) = times else { return step() };
        let made = times.measure(step);
        self.times = Some(times);
        made
    }

    /// Loss and update of one batch; no update if the loss is no finite number.
    fn step(&mut self, batch: &Batch) -> StepReport {
        self.scope = self.optimizer.scope();
        let Self { model, optimizer, recorder, scope, .. } = self;
        let loss = |model: &M| model.forward(&batch.inputs).cross_entropy(&batch.targets);
        if let Some(recorder) = recorder {
            recorder.measure_curvature(&**model, |model| scope.enter(|| loss(model)));
            recorder.measure_jacobians(&**model, |x| model.forward(x), &batch.inputs);
            recorder.step(|| optimizer.step_with(&mut **model, loss))
        } else {
            optimizer.step_with(&mut **model, loss)
        }
    }

    /// The error of a step whose loss is no finite number, which the recorder is shown, too. The step has changed nothing, so that
    /// the loss can be computed again.
    fn diverged(&mut self, batch: &Batch, loss: f64, epoch: u64) -> TrainError {
        let model = &*self.model;
        let again = || self.scope.enter(|| model.forward(&batch.inputs).cross_entropy(&batch.targets));
        let origin = find_nonfinite(model, again);
        if let Some(recorder) = &mut self.recorder {
            let is_this = |record: &FlowStep| record.step == self.steps + 1 && !record.loss.is_finite();
            let is_seen = recorder.records().last().is_some_and(is_this);
            if !is_seen {
                recorder.look_forward(self.steps + 1, again);
            }
        }
        TrainError::Diverged {
            loss,
            step: self.steps + 1,
            epoch,
            origin: origin.map(Box::new),
            last: self.last,
        }
    }
}
