//! What a person sees of a run: a bar while an epoch goes on, a line when it is done.
//!
//! The bar goes to standard error and appears only on a terminal; lines go to standard output.

use backflow_probe::text::short;
use backflow_train::{EpochRecord, Listener, StepRecord, TrainError};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;

/// Prints a line. When nobody reads any more (`backflow train | head`), the run goes on and its folder is written.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Shows the progress of a run.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    loss_sum: f64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let style = ProgressStyle::with_template("epoch {prefix} {bar:40} {pos}/{len}  {msg}  {eta} left");
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        line("epoch  train loss  test loss  test accuracy");
        Self { bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())), loss_sum: 0.0 }
    }
}

impl Listener for Progress {
    fn step(&mut self, record: &StepRecord, steps: u64) -> Result<(), TrainError> {
        if self.bar.is_hidden() {
            return Ok(());
        }
        let position = (record.step - 1) % steps + 1;
        if position == 1 {
            self.loss_sum = 0.0;
            self.bar.reset();
            self.bar.set_length(steps);
            self.bar.set_prefix(record.epoch.to_string());
        }
        self.loss_sum += record.loss;
        if position.is_multiple_of(8) || position == steps {
            self.bar.set_message(format!("loss {:.4}", self.loss_sum / position as f64));
            self.bar.set_position(position);
        }
        Ok(())
    }

    fn epoch(&mut self, record: &EpochRecord) -> Result<(), TrainError> {
        let EpochRecord { epoch, train_loss, test_loss, test_accuracy } = record;
        let (train, test) = (short(Some(*train_loss)), short(Some(*test_loss)));
        let text = format!("{epoch:5}  {train:>10}  {test:>9}  {test_accuracy:13.4}");
        self.bar.suspend(|| line(&text));
        Ok(())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
