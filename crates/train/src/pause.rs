//! [`Pause`]: the time between two steps, at which a training can be saved.

use crate::error::TrainError;
use backflow_store::Checkpoint;
use std::fmt;

/// The time between two steps of a [`Trainer`](crate::Trainer): nothing is half done.
pub struct Pause<'a> {
    pub(crate) step: u64,
    pub(crate) epoch: u64,
    pub(crate) ends_epoch: bool,
    pub(crate) checkpoint: &'a dyn Fn() -> Result<Checkpoint, TrainError>,
}

impl Pause<'_> {
    /// The step that was made, counted from 1 over all epochs.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Its epoch, counted from 1.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether it was the last of its epoch, which was evaluated.
    #[must_use]
    pub fn ends_epoch(&self) -> bool {
        self.ends_epoch
    }

    /// All that the training needs to [go on](crate::Trainer::resume) from here. It costs a copy of the weights and of what
    /// the optimizer remembers.
    ///
    /// # Errors
    /// If two different tensors of the model have the same path.
    pub fn checkpoint(&self) -> Result<Checkpoint, TrainError> {
        (self.checkpoint)()
    }
}

impl fmt::Debug for Pause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, epoch, ends_epoch, .. } = self;
        let mut show = f.debug_struct("Pause");
        show.field("step", step).field("epoch", epoch).field("ends_epoch", ends_epoch).finish_non_exhaustive()
    }
}
