//! What a person sees while a comparison goes on: a line for each result, and a bar on a terminal.

use super::results::ComparisonResults;
use crate::terminal::line;
use backflow_probe::text::{counted, grouped, rate, short};
use backflow_train::comparison::{Outcome, Run, Trial, Tuning};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The parts that the bar divides a training into.
const PARTS: u64 = 1000;

pub(crate) struct Display {
    bar: ProgressBar,
    visible: bool,
    /// Trainings that are complete.
    done: u64,
}

impl Display {
    /// A display that shows nothing unless it is `visible`.
    pub(crate) fn new(visible: bool, trainings: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {percent}%  {msg}  {eta} left");
        let target =
            if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(trainings.saturating_mul(PARTS)), target);
        Self { bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())), visible, done: 0 }
    }

    fn print(&self, text: &str) {
        if self.visible {
            self.bar.suspend(|| line(text));
        }
    }

    pub(crate) fn introduce(&self, results: &ComparisonResults) {
        let config = &results.config;
        results.setup.iter().for_each(|text| self.print(text));
        self.print(&format!(
            "{}, schedule {}{}; {}, batch size {}; {}",
            counted(config.optimizers.len() as u64, "optimizer"),
            config.schedule,
            config.task.in_words(),
            counted(config.epochs, "epoch"),
            grouped(config.batch_size),
            counted(config.seeds, "seed")
        ));
        let rates = config.rates.as_ref().filter(|_| !results.states_all_rates);
        if let (Some(rates), Some(folds)) = (rates, config.folds) {
            let rates: Vec<String> = rates.iter().map(|&x| rate(x)).collect();
            self.print(&format!("learning rates by {folds}-fold cross-validation from {}", rates.join(", ")));
        }
        self.print("");
    }

    /// While a rate is chosen: so many trainings are done, and this share of the present one.
    pub(crate) fn tuning(&self, name: &str, trainings: u64, share: f64) {
        self.show((self.done + trainings) as f64 + share, || format!("choosing a rate for {name}"));
    }

    pub(crate) fn tuned(&mut self, tuning: &Tuning) {
        self.done += tuning.trials.iter().map(|trial| trial.folds.len() as u64).sum::<u64>();
        let Some(chosen) = tuning.learning_rate else {
            self.print(&format!("{}: every learning rate diverged; its default stays", tuning.optimizer));
            return;
        };
        let best = tuning.trials.iter().find(|trial| trial.learning_rate == chosen);
        let accuracy = short(best.and_then(Trial::figure));
        self.print(&format!(
            "{}: learning rate {}, validation accuracy {accuracy}",
            tuning.optimizer,
            rate(chosen)
        ));
    }

    pub(crate) fn running(&self, name: &str, seed: u64, step: u64, steps: u64) {
        self.show(self.done as f64 + step as f64 / steps as f64, || format!("seed {seed}: {name}"));
    }

    pub(crate) fn ran(&mut self, run: &Run) {
        self.done += 1;
        let result = match run.outcome {
            Outcome::Finished => {
                format!("test accuracy {}", short(run.test_metric()))
            }
            Outcome::Diverged { step } => format!("diverged at step {step}"),
        };
        self.print(&format!("seed {}: {}: {result}", run.seed, run.optimizer));
    }

    fn show(&self, trainings: f64, message: impl FnOnce() -> String) {
        if self.bar.is_hidden() {
            return;
        }
        // Once per part: the bar need not be asked at every step.
        let position = (trainings * PARTS as f64) as u64;
        if position != self.bar.position() {
            self.bar.set_message(message());
            self.bar.set_position(position);
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
