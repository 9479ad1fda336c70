//! [`Listeners`]: who is told of a run while it goes on, and asked between two steps whether it does.

use super::saving::Saver;
use crate::events::Events;
use crate::terminal::Progress;
use backflow_probe::FlowStep;
use backflow_train::{EpochRecord, Listener, Pause, RunFolder, StepRecord, TrainError};
use std::ops::ControlFlow;

/// Everything that is told of the run: its folder, and what else there is.
pub(super) struct Listeners<'a> {
    pub(super) folder: &'a mut RunFolder,
    pub(super) events: Option<&'a mut Events>,
    pub(super) progress: Option<&'a mut Progress>,
    pub(super) saver: &'a mut Saver,
    pub(super) epochs: u64,
}

impl Listeners<'_> {
    fn each(&mut self, tell: impl Fn(&mut dyn Listener) -> Result<(), TrainError>) -> Result<(), TrainError> {
        tell(&mut *self.folder)?;
        self.events.as_deref_mut().map_or(Ok(()), |events| tell(events))?;
        self.progress.as_deref_mut().map_or(Ok(()), |progress| tell(progress))
    }
}

impl Listener for Listeners<'_> {
    fn step(&mut self, record: &StepRecord, steps: u64) -> Result<(), TrainError> {
        self.each(|listener| listener.step(record, steps))
    }

    fn looked(&mut self, flow: &FlowStep) -> Result<(), TrainError> {
        self.each(|listener| listener.looked(flow))
    }

    fn epoch(&mut self, record: &EpochRecord) -> Result<(), TrainError> {
        self.saver.epoch(record);
        self.each(|listener| listener.epoch(record))
    }

    fn pause(&mut self, pause: &Pause<'_>) -> Result<ControlFlow<()>, TrainError> {
        self.saver.pause(self.folder, pause, self.epochs)
    }
}
