//! What a person sees while a study goes on: what it is about, and a bar on a terminal. The results come in one table.

use super::report::Report;
use crate::figures::{counted, grouped, rate};
use crate::terminal::line;
use backflow_train::study::Configuration;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(crate) struct Display {
    bar: ProgressBar,
    speaks: bool,
    /// What one configuration is to the bar.
    parts: u64,
    done: u64,
}

impl Display {
    /// A display that is silent unless it `speaks`.
    pub(crate) fn new(speaks: bool, configurations: u64, parts: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {percent}%  {msg}  {eta} left");
        let target =
            if speaks { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(configurations.saturating_mul(parts)), target);
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, speaks, parts, done: 0 }
    }

    pub(crate) fn introduce(&self, report: &Report) {
        if self.speaks {
            self.bar.suspend(|| introduction(report).iter().for_each(|text| line(text)));
        }
    }

    /// While a configuration is examined: so many of its parts are done.
    pub(crate) fn examining(&self, configuration: &Configuration, parts: u64) {
        if !self.bar.is_hidden() {
            self.bar.set_message(configuration.to_string());
            self.bar.set_position(self.done.saturating_mul(self.parts).saturating_add(parts));
        }
    }

    pub(crate) fn examined(&mut self) {
        self.done += 1;
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Data and conditions in words.
pub(crate) fn introduction(report: &Report) -> Vec<String> {
    let config = &report.config;
    let mut texts = vec![
        report.data.clone(),
        format!(
            "{}, {} of each, {}; flow at initialisation, measured on {}",
            counted(report.planned as u64, "configuration"),
            counted(config.seeds, "network"),
            config.dtype,
            counted(config.examples as u64, "training example")
        ),
    ];
    if let (Some(optimizer), Some(lr), Some(batch_size)) = (&config.optimizer, config.lr, config.batch_size) {
        texts.push(format!(
            "then {} of {optimizer}, learning rate {}, batch size {}",
            counted(config.steps, "training step"),
            rate(lr),
            grouped(batch_size)
        ));
    }
    if let Some(last) = texts.last_mut() {
        last.push_str(&config.task.in_words());
    }
    texts
}
