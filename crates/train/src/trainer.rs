//! [`Trainer`]: training for some epochs, with what everyone wants around it: figures per step and per epoch,
//! a stop when the loss is not a number, a recorder of the flow. Nothing that a user could not write out (see
//! `examples/mnist_mlp.rs`).

use crate::checkpoint::{self, OfLoader, Progress};
use crate::error::TrainError;
use crate::evaluate::Evaluation;
use crate::pause::Pause;
use crate::records::{EpochRecord, StepRecord, Summary};
use crate::step_times::StepTimes;
use crate::steps::{Made, Steps, Watched};
use crate::task::{Task, TaskError, require};
use crate::tasks::Classification;
use backflow_data::{Batch, Loader};
use backflow_nn::Layer;
use backflow_optim::Optimizer;
use backflow_probe::{FlowStep, Recorder, find_nonfinite};
use backflow_store::Checkpoint;
use backflow_tensor::Module;
use std::fmt;
use std::ops::ControlFlow;

/// Is told of a run while it goes on: a progress bar, a log file.
pub trait Listener {
    /// A step was made; `steps` are made in each epoch.
    ///
    /// # Errors
    /// An error ends the run.
    fn step(&mut self, record: &StepRecord, steps: u64) -> Result<(), TrainError> {
        let _ = (record, steps);
        Ok(())
    }

    /// The step that was made was looked at by a [recorder](Trainer::probe), which saw this.
    ///
    /// # Errors
    /// An error ends the run.
    fn looked(&mut self, flow: &FlowStep) -> Result<(), TrainError> {
        let _ = flow;
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

    /// A step was made and all of it was told, the epoch too if it was its last: here a
    /// [checkpoint](Pause::checkpoint) can be made. [`Break`](ControlFlow::Break) ends the run as if its epochs were over.
    ///
    /// # Errors
    /// An error ends the run.
    fn pause(&mut self, pause: &Pause<'_>) -> Result<ControlFlow<()>, TrainError> {
        let _ = pause;
        Ok(ControlFlow::Continue(()))
    }
}

/// Is told nothing.
impl Listener for () {}

/// Trains a model at a [`Task`]: a classifier by cross entropy, unless another is given.
///
/// ```
/// use backflow_data::{Loader, Mnist};
/// use backflow_nn::{Activation, Init, Mlp};
/// use backflow_optim::{Adam, Optimizer};
/// use backflow_tensor::{DType, Rng};
/// use backflow_train::Trainer;
///
/// let digits = Mnist::embedded();
/// let mut rng = Rng::seed_from_u64(0);
/// let mut model = Mlp::new(&[784, 32, 10], Activation::Relu, Init::HeNormal, DType::F32, &mut rng);
/// let mut optimizer = Optimizer::new(Adam::new(1e-3));
/// let train = Loader::new(&digits.train, 32).shuffle(0);
/// let test = Loader::new(&digits.test, 1000);
/// let summary = Trainer::new(&mut model, &mut optimizer).fit(&train, &test, 1, &mut ())?;
/// assert!(summary.epochs[0].metrics["accuracy"] > 0.8);
/// # Ok::<(), backflow_train::TrainError>(())
/// ```
pub struct Trainer<'a, M: ?Sized> {
    model: &'a mut M,
    optimizer: &'a mut Optimizer,
    task: &'a dyn Task<M>,
    accumulate: usize,
    watched: Option<Watched<'a, M>>,
    times: Option<&'a mut StepTimes>,
    validation: Option<&'a Loader>,
    steps: u64,
    last: Option<StepRecord>,
    /// Where the next training goes on.
    resumed: Option<(Progress, OfLoader)>,
}

impl<M: ?Sized> fmt::Debug for Trainer<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { optimizer, accumulate, steps, last, .. } = self;
        let mut show = f.debug_struct("Trainer");
        show.field("optimizer", optimizer).field("accumulate", accumulate);
        show.field("steps", steps).field("last", last).finish_non_exhaustive()
    }
}

impl<'a, M: Layer + ?Sized> Trainer<'a, M> {
    /// A trainer of a classifier, whose outputs are logits of shape `[batch, classes]`, by cross entropy.
    #[must_use]
    pub fn new(model: &'a mut M, optimizer: &'a mut Optimizer) -> Self {
        static CROSS_ENTROPY: Classification = Classification::new();
        Self::with_task(&CROSS_ENTROPY, model, optimizer)
    }

    /// Lets `recorder` look at the steps. It changes no bit of the training. Of a batch in several parts it
    /// sees the first.
    #[must_use]
    pub fn probe(self, recorder: &'a mut Recorder) -> Self {
        Self { watched: Some(Watched { recorder, forward: Some(M::forward) }), ..self }
    }
}

impl<'a, M: Module + ?Sized> Trainer<'a, M> {
    /// A trainer of `model` at `task`.
    #[must_use]
    pub fn with_task(task: &'a dyn Task<M>, model: &'a mut M, optimizer: &'a mut Optimizer) -> Self {
        Self {
            model,
            optimizer,
            task,
            accumulate: 1,
            watched: None,
            times: None,
            validation: None,
            steps: 0,
            last: None,
            resumed: None,
        }
    }

    /// Cuts each batch into so many parts of equal size, up to one example, which run forward and backward
    /// one after another: what a graph holds takes a part of the memory. The update is that of the whole
    /// batch, up to rounding: gradients are means over all terms. A layer that looks at the batch as a whole,
    /// as normalisation does, sees a part.
    ///
    /// # Panics
    /// If `parts` is 0.
    #[must_use]
    #[track_caller]
    pub fn accumulate(self, parts: usize) -> Self {
        if parts == 0 {
            backflow_tensor::misuse(
                "Trainer::accumulate",
                "no part of a batch",
                &[],
                "1 takes batches whole",
            );
        }
        Self { accumulate: parts, ..self }
    }

    /// Evaluates the model after each epoch on examples that were held out, too: for whoever chooses by figures, so that
    /// the test set remains what nothing was chosen by. The training does not listen to them.
    #[must_use]
    pub fn validate(self, validation: &'a Loader) -> Self {
        Self { validation: Some(validation), ..self }
    }

    /// Lets `times` measure where the time of the steps goes, batches included. It changes no bit of the
    /// training.
    #[must_use]
    pub fn time(self, times: &'a mut StepTimes) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Takes up a [checkpoint](Pause::checkpoint) of a trainer that was made as this one is, with a recorder or without:
    /// [`fit`](Self::fit), with the same loaders and the same number of epochs, then does what the first one would have
    /// done after it, to the bit, on any number of threads. Records of a recorder up to then are not in the checkpoint.
    ///
    /// ```
    /// use backflow_data::{Loader, Mnist};
    /// use backflow_nn::{Activation, Init, Mlp};
    /// use backflow_optim::{Adam, Optimizer};
    /// use backflow_store::Checkpoint;
    /// use backflow_tensor::{DType, Module, Rng};
    /// use backflow_train::{Listener, Pause, TrainError, Trainer};
    /// use std::ops::ControlFlow;
    ///
    /// /// Keeps what the training has come to after 40 steps.
    /// struct Keep(Option<Checkpoint>);
    ///
    /// impl Listener for Keep {
    ///     fn pause(&mut self, pause: &Pause<'_>) -> Result<ControlFlow<()>, TrainError> {
    ///         if pause.step() == 40 {
    ///             self.0 = Some(pause.checkpoint()?);
    ///         }
    ///         Ok(ControlFlow::Continue(()))
    ///     }
    /// }
    ///
    /// let digits = Mnist::embedded();
    /// let train = Loader::new(&digits.test, 32).shuffle(0);
    /// let begin = || {
    ///     let mut rng = Rng::seed_from_u64(0);
    ///     let model = Mlp::new(&[784, 16, 10], Activation::Relu, Init::HeNormal, DType::F32, &mut rng);
    ///     (model, Optimizer::new(Adam::new(1e-3)))
    /// };
    /// let (mut model, mut optimizer) = begin();
    /// let mut kept = Keep(None);
    /// let summary = Trainer::new(&mut model, &mut optimizer).fit(&train, &train, 2, &mut kept)?;
    ///
    /// let (mut again, mut optimizer) = begin();
    /// let mut trainer = Trainer::new(&mut again, &mut optimizer);
    /// trainer.resume(&kept.0.unwrap())?;
    /// assert_eq!(trainer.fit(&train, &train, 2, &mut ())?, summary);
    /// assert_eq!(again.state()[0].1.to_vec::<f32>(), model.state()[0].1.to_vec::<f32>());
    /// # Ok::<(), TrainError>(())
    /// ```
    ///
    /// # Errors
    /// If the checkpoint is of another model, optimizer or task, or if this trainer has a recorder and that one had none.
    /// Nothing is changed then. Whether the loaders fit is seen by [`fit`](Self::fit).
    pub fn resume(&mut self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        let resumed = checkpoint::progress(checkpoint, &self.task.metrics())?;
        let mut optimizer = self.optimizer.clone();
        checkpoint.load_optimizer(checkpoint::OPTIMIZER, &mut optimizer, &*self.model)?;
        let recorder = match &self.watched {
            Some(_) if !checkpoint::has_recorder(checkpoint) => {
                return Err(TrainError::OtherRun("no recorder looked on".to_owned()));
            }
            Some(Watched { recorder, .. }) => {
                let mut recorder = (**recorder).clone();
                checkpoint::load_recorder(checkpoint, &mut recorder)?;
                Some(recorder)
            }
            None => None,
        };
        checkpoint.load_model(checkpoint::MODEL, &mut *self.model)?;
        *self.optimizer = optimizer;
        if let (Some(watched), Some(recorder)) = (&mut self.watched, recorder) {
            *watched.recorder = recorder;
        }
        self.resumed = Some(resumed);
        Ok(())
    }

    /// The epochs before a checkpoint that was taken up.
    #[must_use]
    pub fn earlier_epochs(&self) -> &[EpochRecord] {
        self.resumed.as_ref().map_or(&[], |(progress, _)| &progress.epochs)
    }

    /// Trains for `epochs` passes over `train`, with a test after each, of the weights that the optimizer
    /// would have [evaluated](Optimizer::evaluating_recalibrated): averages have running statistics of their
    /// own, measured on `train`. A schedule that [listens](Optimizer::observe) is given the mean training loss
    /// of each epoch: what is chosen by the test set is no longer tested by it. Epochs before a checkpoint that was
    /// [taken up](Self::resume) count.
    ///
    /// # Errors
    /// If one of the loaders has no batch, or data that the task is not for; if batch normalisation would get a
    /// [single example](TaskError::OneExample); if the loss or a
    /// gradient becomes NaN or infinite, or the listener fails. Weights are then what they were before that
    /// step, and the error tells where the first number that is not finite came from: the loss of that batch
    /// is computed once more to [find](find_nonfinite) it.
    pub fn fit(
        &mut self,
        train: &Loader,
        test: &Loader,
        epochs: u64,
        listener: &mut dyn Listener,
    ) -> Result<Summary, TrainError> {
        let Self {
            model,
            optimizer,
            task,
            accumulate,
            watched,
            times,
            validation,
            steps: made,
            last,
            resumed,
        } = self;
        [Some(test), *validation]
            .into_iter()
            .flatten()
            .try_for_each(|set| require(*task, set, "evaluate on"))?;
        let mut steps = Steps::new(&mut **model, optimizer, *task, train, *accumulate)?;
        steps.made = *made;
        let mut records = Vec::new();
        if let Some((progress, loader)) = resumed.take() {
            loader.require(train)?;
            steps.go_on(progress.place);
            (*made, *last, records) = (progress.place.made, progress.last, progress.epochs);
        }
        steps.watched =
            watched.as_mut().map(|Watched { recorder, forward }| Watched { recorder, forward: *forward });
        while (records.len() as u64) < epochs {
            let (batch, step) = timed(times, || {
                let batch = steps.batch();
                let step = steps.step(&batch);
                (batch, step)
            });
            let Made { report, loss, diverged: has_diverged, step, epoch, epoch_loss, .. } = step?;
            if has_diverged {
                return Err(diverged(&mut steps, &batch, loss, epoch, *last));
            }
            *made = step;
            let record = StepRecord {
                step,
                epoch,
                loss,
                learning_rate: report.learning_rate,
                gradient_norm: report.gradient_norm,
            };
            *last = Some(record);
            listener.step(&record, train.len() as u64)?;
            if let Some(Watched { recorder, .. }) = &steps.watched
                && let Some(flow) = recorder.records().last().filter(|flow| flow.step == step)
            {
                listener.looked(flow)?;
            }
            if let Some(train_loss) = epoch_loss {
                let Evaluation { loss: test_loss, metrics } = steps.evaluate(test)?;
                let validation = validation.map(|held_out| steps.evaluate(held_out)).transpose()?;
                let record = EpochRecord { epoch, train_loss, test_loss, metrics, validation };
                listener.epoch(&record)?;
                records.push(record);
            }
            let ends_epoch = epoch_loss.is_some();
            let checkpoint = || steps.checkpoint(records.clone(), *last);
            if listener.pause(&Pause { step, epoch, ends_epoch, checkpoint: &checkpoint })?.is_break() {
                break;
            }
        }
        Ok(Summary { steps: *made, epochs: records })
    }
}

impl<M: Module + ?Sized> Steps<'_, M> {
    /// The training as it is, between two steps.
    fn checkpoint(
        &self,
        epochs: Vec<EpochRecord>,
        last: Option<StepRecord>,
    ) -> Result<Checkpoint, TrainError> {
        let mut checkpoint = Checkpoint::new(self.made);
        checkpoint.put_model(checkpoint::MODEL, &*self.model)?;
        checkpoint.put_optimizer(checkpoint::OPTIMIZER, self.optimizer)?;
        let progress = Progress { place: self.place(), epochs, last };
        checkpoint::put_progress(&mut checkpoint, &progress, self.train);
        if let Some(Watched { recorder, .. }) = &self.watched {
            checkpoint::put_recorder(&mut checkpoint, recorder)?;
        }
        Ok(checkpoint)
    }
}

/// Runs a step, and measures it if somebody wants to know.
fn timed<R>(times: &mut Option<&mut StepTimes>, step: impl FnOnce() -> R) -> R {
    match times {
        Some(times) => times.measure(step),
        None => step(),
    }
}

/// The error of a step whose loss or gradient is not a finite number, which the recorder is shown, too. The
/// step has changed nothing, so that the loss can be computed again.
fn diverged<M: Module + ?Sized>(
    steps: &mut Steps<'_, M>,
    batch: &Batch,
    loss: f64,
    epoch: u64,
    last: Option<StepRecord>,
) -> TrainError {
    let step = steps.made + 1;
    let (model, task, scope) = (&*steps.model, steps.task, &steps.scope);
    let again = || scope.enter(|| task.loss(model, batch).mean);
    let origin = find_nonfinite(model, again).map(|found| found.ask(steps.optimizer, model));
    if let Some(Watched { recorder, .. }) = &mut steps.watched {
        let is_this = |record: &FlowStep| record.step == step && (record.skipped || !record.loss.is_finite());
        let is_seen = recorder.records().last().is_some_and(is_this);
        if !is_seen {
            recorder.look(step, again);
        }
    }
    TrainError::Diverged { loss, step, epoch, origin: origin.map(Box::new), last }
}

impl From<TaskError> for TrainError {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}
