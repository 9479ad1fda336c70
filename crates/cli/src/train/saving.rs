//! When a run saves what it has come to, and when it stops: at intervals, at a signal, at a time limit, and where it no
//! longer learns.

use crate::failure::Failure;
use crate::interrupt;
use crate::options;
use crate::terminal::complain;
use backflow_train::{EpochRecord, Pause, RunFolder, TrainError};
use clap::Args;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

#[derive(Args, Debug)]
pub(crate) struct SavingOptions {
    /// Save a checkpoint every so many steps, or so often: 500, 30s, 10m, 2h. One is saved at the end, too, and
    /// whenever the run is stopped.
    #[arg(long, value_parser = every, allow_hyphen_values = true, value_name = "STEPS|TIME")]
    checkpoint_every: Option<Every>,

    /// How many checkpoints to keep: the newest, and that of the epoch with the lowest loss on what --validation holds out,
    /// or without it on the test set, if there is one.
    #[arg(
        long,
        default_value_t = 3,
        value_parser = options::at_least_one::<usize>,
        allow_hyphen_values = true,
        value_name = "K"
    )]
    keep: usize,

    /// Stop after this time with a checkpoint and exit code 75, to go on with --resume: 90m, 2h.
    #[arg(long, value_parser = duration, allow_hyphen_values = true, value_name = "TIME")]
    time_limit: Option<Duration>,

    /// End the run once the loss on what --validation holds out has not fallen for N epochs. The weights are then those of
    /// the last epoch; those of the best are in its checkpoint. Without --validation it is the test loss, and what is
    /// chosen by the test set is no longer tested by it.
    #[arg(long, value_parser = options::at_least_one::<u64>, allow_hyphen_values = true, value_name = "N")]
    patience: Option<u64>,
}

/// How often something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Every {
    Steps(u64),
    Time(Duration),
}

fn every(text: &str) -> Result<Every, String> {
    match options::at_least_one(text) {
        Ok(steps) => Ok(Every::Steps(steps)),
        Err(_) => duration(text)
            .map(Every::Time)
            .map_err(|_| "expected a number of steps, or a time like 30s, 10m, 2h".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600)];
    let parsed = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(*unit)?.parse().ok().filter(|number| *number > 0)?;
        number.checked_mul(*seconds).filter(|seconds| *seconds <= LONGEST)
    });
    parsed.map(Duration::from_secs).ok_or_else(|| "expected a time like 30s, 10m, 2h".to_owned())
}

/// Ten years: what is longer is a slip.
const LONGEST: u64 = 10 * 366 * 24 * 3600;

/// Saves checkpoints of a run, and ends it.
#[derive(Debug)]
pub(super) struct Saver {
    every: Option<Every>,
    patience: Option<u64>,
    limit: Option<Duration>,
    started: Instant,
    /// What the run was asked for, as the section of a checkpoint.
    configuration: Vec<u8>,
    batches: u64,
    saved_at: Instant,
    best: Option<Best>,
    /// The epoch after which the run ended since it no longer learned.
    pub(super) ended: Option<Ended>,
}

/// The epoch with the lowest loss on what was held out, or else on the test set.
#[derive(Clone, Copy, Debug)]
struct Best {
    epoch: u64,
    loss: f64,
}

/// How a run ended that no longer learned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) epoch: u64,
    pub(super) best: u64,
    pub(super) loss: f64,
}

/// The section of a checkpoint that says what was asked for.
pub(super) const CONFIGURATION: &str = "configuration";

impl Saver {
    /// For a run with so many batches in an epoch, that has begun now or goes on behind these epochs.
    pub(super) fn new(
        options: &SavingOptions,
        folder: &mut RunFolder,
        configuration: Vec<u8>,
        batches: u64,
        earlier: &[EpochRecord],
    ) -> Self {
        folder.keep(options.keep);
        let now = Instant::now();
        let mut saver = Self {
            every: options.checkpoint_every,
            patience: options.patience,
            limit: options.time_limit,
            started: now,
            configuration,
            batches,
            saved_at: now,
            best: None,
            ended: None,
        };
        earlier.iter().for_each(|record| saver.epoch(record));
        saver.ended = earlier.last().and_then(|last| saver.ends_at(last.epoch));
        saver
    }

    /// How the run ends, if it does by the end of this epoch, since it no longer learns.
    fn ends_at(&self, epoch: u64) -> Option<Ended> {
        let (patience, best) = self.patience.zip(self.best)?;
        let is_over = epoch >= best.epoch.saturating_add(patience);
        is_over.then_some(Ended { epoch, best: best.epoch, loss: best.loss })
    }

    /// Takes note of an epoch.
    pub(super) fn epoch(&mut self, record: &EpochRecord) {
        let EpochRecord { epoch, test_loss, validation, .. } = record;
        let (epoch, loss) = (*epoch, validation.as_ref().map_or(*test_loss, |found| found.loss));
        let is_better = |best: Best| loss < best.loss || best.loss.is_nan();
        if self.best.is_none_or(is_better) {
            self.best = Some(Best { epoch, loss });
        }
    }

    /// Between two steps.
    pub(super) fn pause(
        &mut self,
        folder: &mut RunFolder,
        pause: &Pause<'_>,
        epochs: u64,
    ) -> Result<ControlFlow<()>, TrainError> {
        let step = pause.step();
        let is_stopped =
            interrupt::check().is_break() || self.limit.is_some_and(|limit| self.started.elapsed() >= limit);
        let ended = self.ends_at(pause.epoch()).filter(|_| pause.ends_epoch());
        let is_over = ended.is_some() || pause.ends_epoch() && pause.epoch() >= epochs;
        let is_due = match self.every {
            Some(_) if is_over => true,
            Some(Every::Steps(steps)) => step.is_multiple_of(steps),
            Some(Every::Time(time)) => self.saved_at.elapsed() >= time,
            // A run that once was cut and has its checkpoints ends with one, too.
            None => is_over && folder.has_checkpoint(),
        };
        // That of the best epoch is worth most where the run ends by it.
        let is_best = pause.ends_epoch() && self.best.is_some_and(|best| best.epoch == pause.epoch());
        let is_due = is_due || self.patience.is_some() && is_best;
        if is_due || is_stopped {
            let mut checkpoint = pause.checkpoint()?;
            checkpoint.put(CONFIGURATION, self.configuration.clone());
            let best = self.best.map(|best| best.epoch * self.batches);
            for lost in folder.save_checkpoint(checkpoint, best)? {
                complain(&lost.to_string());
            }
            self.saved_at = Instant::now();
        }
        if is_stopped {
            return Err(TrainError::Interrupted { step });
        }
        self.ended = ended;
        Ok(if ended.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// What a stopped run says.
pub(super) fn stopped(error: &TrainError, what: &str, run: &str) -> Failure {
    Failure::Stopped(format!("{error}; {what}; to go on: backflow train --resume {run}"))
}

#[cfg(test)]
mod tests {
    use super::{Every, duration, every};
    use std::time::Duration;

    #[test]
    fn intervals_are_steps_or_times() {
        assert_eq!(every("500"), Ok(Every::Steps(500)));
        assert_eq!(every("10m"), Ok(Every::Time(Duration::from_secs(600))));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        for wrong in
            ["", "0", "0s", "-1", "m", "1d", "1.5h", "2 h", "99999999999999999999h", "18446744073709551615h"]
        {
            assert!(every(wrong).is_err() && duration(wrong).is_err(), "{wrong}");
        }
        assert!(duration("500").is_err());
    }
}
