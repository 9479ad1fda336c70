//! What a person sees of a run: a bar while an epoch goes on, a line when it is done.
//!
//! The bar goes to standard error and appears only on a terminal; lines go to standard output.

use backflow_probe::text::short;
use backflow_train::{EpochRecord, Listener, Metric, StepRecord, TrainError};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;

/// Prints a line. When nobody reads any more (`backflow train | head`), the run goes on and its folder is
/// written.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Shows the progress of a run.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    loss_sum: f64,
    /// The names of the figures beside the losses.
    metrics: Vec<&'static str>,
}

impl Progress {
    /// For a task with these metrics.
    pub(crate) fn new(metrics: &[Metric]) -> Self {
        let style = ProgressStyle::with_template("epoch {prefix} {bar:40} {pos}/{len}  {msg}  {eta} left");
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        let metrics: Vec<_> = metrics.iter().map(Metric::name).collect();
        let columns: Vec<_> = metrics.iter().map(|name| format!("  test {name}")).collect();
        line(&format!("epoch  train loss  test loss{}", columns.concat()));
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: bar.with_style(style), loss_sum: 0.0, metrics }
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
        let EpochRecord { epoch, train_loss, test_loss, metrics } = record;
        let (train, test) = (short(Some(*train_loss)), short(Some(*test_loss)));
        let column = |name: &&str| {
            let figure = metrics.get(name).map_or("-".to_owned(), |figure| format!("{figure:.4}"));
            format!("  {figure:>width$}", width = "test ".len() + name.len())
        };
        let columns: String = self.metrics.iter().map(column).collect();
        let text = format!("{epoch:5}  {train:>10}  {test:>9}{columns}");
        self.bar.suspend(|| line(&text));
        Ok(())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
