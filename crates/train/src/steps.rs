//! [`Steps`]: the one loop, a step at a time. The trainer, comparisons and studies pull steps from it and
//! differ in what they do between two of them.
//!
//! ```text
//! batch ← the next of the epoch, or the first of the next epoch
//! loss, gradients ← task, over the parts of the batch     (parts.rs)
//! model ← optimizer                                       one update; none if the loss or a gradient is not finite
//! after the last batch of an epoch, the schedule is told the mean loss of its terms
//! ```

use crate::batches::Batches;
use crate::evaluate::{Evaluation, evaluate, with_evaluated_weights};
use crate::parts::Parts;
use crate::task::{Task, TaskError, require};
use backflow_data::{Batch, Epoch, Loader};
use backflow_optim::{Optimizer, StepReport};
use backflow_probe::Recorder;
use backflow_tensor::training::Scope;
use backflow_tensor::{Module, Tensor};

/// A model in training.
pub(crate) struct Steps<'a, M: ?Sized> {
    pub(crate) model: &'a mut M,
    pub(crate) optimizer: &'a mut Optimizer,
    pub(crate) task: &'a dyn Task<M>,
    /// Into how many parts a batch is cut.
    accumulate: usize,
    pub(crate) watched: Option<Watched<'a, M>>,
    /// Steps made so far.
    pub(crate) made: u64,
    /// Where the loss of the last step was computed: what computes it again enters it, and draws the same.
    pub(crate) scope: Scope,
    pub(crate) train: &'a Loader,
    batches: Epoch<'a>,
    /// The batch that is every one, if there is only one and it is always the same.
    only: Option<Batch>,
    /// The epoch of the last batch, counted from 1; 0 before the first.
    epoch: u64,
    /// How many batches of it were taken.
    taken: usize,
    losses: Losses,
}

/// Who looks at the steps.
pub(crate) struct Watched<'a, M: ?Sized> {
    pub(crate) recorder: &'a mut Recorder,
    /// How the model is called for its Jacobians, for a recorder that may ask for them.
    pub(crate) forward: Option<fn(&M, &Tensor) -> Tensor>,
}

/// A step that was made, or could not be made since its loss or a gradient is not finite.
pub(crate) struct Made {
    pub(crate) report: StepReport,
    pub(crate) loss: f64,
    /// Whether the training ends here: the model is what it was before the step.
    pub(crate) diverged: bool,
    /// How many terms the loss is the mean of.
    pub(crate) terms: f64,
    /// The same of the loss that deltas are of, if anything was gone back through.
    pub(crate) first_terms: Option<f64>,
    /// The step, counted from 1.
    pub(crate) step: u64,
    pub(crate) epoch: u64,
    /// The mean loss of the epoch's terms, if this was its last step.
    pub(crate) epoch_loss: Option<f64>,
}

/// Losses of batches, summed over their terms.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Losses {
    pub(crate) sum: f64,
    pub(crate) terms: f64,
}

/// Where a training is between two steps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) made: u64,
    /// The epoch of the last batch, counted from 1; 0 before the first.
    pub(crate) epoch: u64,
    /// How many batches of it were taken; 0 if all.
    pub(crate) taken: usize,
    /// Of these batches.
    pub(crate) losses: Losses,
}

impl Losses {
    pub(crate) fn add(&mut self, mean: f64, terms: f64) {
        self.sum += mean * terms;
        self.terms += terms;
    }

    pub(crate) fn mean(self) -> Option<f64> {
        (self.terms > 0.0).then(|| self.sum / self.terms)
    }
}

/// Whether one of `points` points, evenly spaced over `steps` steps, stands behind this step, counted from 1.
pub(crate) fn is_point(step: u64, steps: u64, points: u64) -> bool {
    let before = |made: u64| u128::from(made) * u128::from(points) / u128::from(steps.max(1));
    before(step) > before(step - 1)
}

impl<'a, M: Module + ?Sized> Steps<'a, M> {
    /// Steps over batches of `train`, each in so many parts, epoch after epoch without end.
    pub(crate) fn new(
        model: &'a mut M,
        optimizer: &'a mut Optimizer,
        task: &'a dyn Task<M>,
        train: &'a Loader,
        accumulate: usize,
    ) -> Result<Self, TaskError> {
        require(task, train, "train on")?;
        Batches::require_of(train, accumulate, &*model, task)?;
        let scope = optimizer.scope();
        Ok(Self {
            scope,
            model,
            optimizer,
            task,
            accumulate,
            watched: None,
            made: 0,
            train,
            // Drawn when the first batch is asked for.
            batches: train.no_epoch(),
            only: None,
            epoch: 0,
            taken: 0,
            losses: Losses::default(),
        })
    }

    /// Takes the one batch of the first epoch for those of all epochs, if there is only one and its pictures
    /// stay as they are.
    pub(crate) fn keep_the_only_batch(mut self) -> Self {
        let stays = self.train.len() == 1 && self.train.augments().is_none();
        self.only = stays.then(|| self.train.batch(0, 0));
        self
    }

    /// Where the training is.
    pub(crate) fn place(&self) -> Place {
        Place { made: self.made, epoch: self.epoch, taken: self.taken, losses: self.losses }
    }

    /// Goes on from there, as if all before had been done here. The place is one of a loader that is like this one.
    pub(crate) fn go_on(&mut self, place: Place) {
        let Place { made, epoch, taken, losses } = place;
        (self.made, self.epoch, self.taken, self.losses) = (made, epoch, taken, losses);
        if let Some(last) = taken.checked_sub(1) {
            self.batches = self.train.epoch(epoch - 1);
            let _ = self.batches.nth(last);
        }
    }

    /// The batch of the next step.
    pub(crate) fn batch(&mut self) -> Batch {
        if self.taken == 0 {
            self.epoch += 1;
            if let Some(Watched { recorder, .. }) = &mut self.watched {
                recorder.begin_epoch();
            }
            if self.only.is_none() {
                self.batches = self.train.epoch(self.epoch - 1);
            }
        }
        self.taken = (self.taken + 1) % self.train.len();
        match &self.only {
            Some(batch) => batch.clone(),
            None => self.batches.next().expect("an epoch has as many batches as its loader says"),
        }
    }

    /// Loss and update of one batch. A loss that is not a finite number makes no update, nor does such a
    /// gradient: after the update nothing could be found out about it. An optimizer that was told to skip
    /// these goes on.
    pub(crate) fn step(&mut self, batch: &Batch) -> Result<Made, TaskError> {
        self.scope = self.optimizer.scope();
        let Self { model, optimizer, task, accumulate, watched, scope, .. } = self;
        let mut parts = Parts { task: *task, batch, parts: *accumulate, terms: 0.0, first_terms: None };
        let report = if let Some(Watched { recorder, forward }) = watched {
            recorder.measure_curvature(&**model, |model: &M| scope.enter(|| task.loss(model, batch).mean));
            if let Some(forward) = forward {
                recorder.measure_jacobians(&**model, |x| forward(model, x), &batch.inputs);
            }
            recorder.step(|| optimizer.step_if_finite(&mut **model, &mut parts))
        } else {
            optimizer.step_if_finite(&mut **model, &mut parts)
        };
        let Parts { terms, first_terms, .. } = parts;
        if terms == 0.0 {
            return Err(TaskError::NoTerms { step: self.made + 1 });
        }
        let loss = report.loss.unwrap_or(f64::NAN);
        let stops = report.skipped.is_some() && !self.optimizer.skips_nonfinite();
        let diverged = !loss.is_finite() || stops;
        let mut epoch_loss = None;
        if !diverged {
            self.made += 1;
            self.losses.add(loss, terms);
            if self.taken == 0 {
                epoch_loss = std::mem::take(&mut self.losses).mean();
                epoch_loss.into_iter().for_each(|loss| self.optimizer.observe(loss));
            }
        }
        let step = self.made + u64::from(diverged);
        Ok(Made { report, loss, diverged, terms, first_terms, step, epoch: self.epoch, epoch_loss })
    }

    /// How good the model is on `test`, with the weights that the optimizer would have evaluated, and with running
    /// statistics that belong to them: those of averages are measured on an epoch of what is trained on.
    pub(crate) fn evaluate(&mut self, test: &Loader) -> Result<Evaluation, TaskError> {
        let Self { optimizer, model, task, train, .. } = self;
        with_evaluated_weights(*task, &mut **model, optimizer, train, |model| evaluate(*task, model, test))
    }
}
