//! What a person sees while a study goes on: what it is about, and a bar on a terminal. The results come in
//! one table.

use super::results::StudyResults;
use crate::terminal::line;
use backflow_train::study::Configuration;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(crate) struct Display {
    bar: ProgressBar,
    visible: bool,
    /// What one configuration is to the bar.
    parts: u64,
    done: u64,
}

impl Display {
    /// A display that shows nothing unless it is `visible`.
    pub(crate) fn new(visible: bool, configurations: u64, parts: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {percent}%  {msg}  {eta} left");
        let target =
            if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(configurations.saturating_mul(parts)), target);
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, visible, parts, done: 0 }
    }

    pub(crate) fn introduce(&self, results: &StudyResults) {
        if self.visible {
            self.bar.suspend(|| results.introduction().iter().for_each(|text| line(text)));
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
