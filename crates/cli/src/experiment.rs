//! What `compare` and `study` have in common: many trainings, a bar while they go on, results that are saved
//! as they come, and a conclusion that is printed also after Ctrl-C.

use crate::failure::Failure;
use crate::interrupt;
use crate::result_folder::{ResultFolder, page_in};
use crate::terminal::{self, complain, line, object};
use backflow_probe::Table;
use backflow_train::comparison::Stopped;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;
use std::process::ExitCode;

/// Results as far as they are known.
pub(crate) trait Results {
    /// What the command and its files are called.
    const NAME: &'static str;
    /// One of the results.
    const NOUN: &'static str;
    /// What the page shows beside the table.
    const CURVES: &'static str;

    fn done(&self) -> usize;
    fn planned(&self) -> u64;
    fn interrupted(&mut self) -> &mut bool;
    fn out(&self) -> &str;
    /// The conclusion in sentences.
    fn notes(&self) -> Vec<String>;
    fn table(&self) -> Table;
    fn page(&self, notes: &[String]) -> String;
    fn json<'a>(&'a self, notes: &'a [String]) -> impl Serialize + 'a;

    /// Writes what is known so far.
    fn save(&self, folder: &ResultFolder) -> Result<(), Failure> {
        let notes = self.notes();
        folder.save(&self.json(&notes), &self.page(&notes))
    }

    /// Prints the conclusion: table and sentences, or the one JSON object.
    fn conclude(&self, json: bool) -> Result<(), Failure> {
        let notes = self.notes();
        if json {
            return object(&self.json(&notes));
        }
        if self.done() > 0 {
            let table = self.table();
            line("");
            table.lines(terminal::width()).iter().for_each(|row| line(row));
            if !table.legend.is_empty() {
                line("");
            }
            table.legend.iter().for_each(|text| line(text));
        }
        line("");
        notes.iter().for_each(|note| line(note));
        if self.done() > 0 {
            line(&format!("{} and all figures: {}", Self::CURVES, page_in(self.out(), Self::NAME)));
        }
        Ok(())
    }

    /// What is left to do when all trainings are made, or something ended them. Answers how the program ends
    /// if it was Ctrl-C.
    fn end(
        &mut self,
        ended: Result<(), Ended>,
        folder: &ResultFolder,
        json: bool,
    ) -> Result<Option<ExitCode>, Failure> {
        if self.done() == 0 {
            folder.leave();
        }
        match ended {
            Ok(()) => {}
            Err(Ended::Interrupted) => {
                *self.interrupted() = true;
                if self.done() > 0 {
                    self.save(folder)?;
                }
            }
            // What is complete is shown even where it could not be saved.
            Err(Ended::Failed(failure)) => {
                self.conclude(json)?;
                return Err(failure);
            }
        }
        self.conclude(json)?;
        if !*self.interrupted() {
            return Ok(None);
        }
        let (noun, out, planned) = (Self::NOUN, self.out(), self.planned());
        match self.done() {
            0 => complain(&format!("interrupted; no {noun} was finished, and nothing was written")),
            1 => complain(&format!("interrupted; 1 of {planned} {noun}s is complete, and kept in {out}")),
            done => {
                complain(&format!(
                    "interrupted; {done} of {planned} {noun}s are complete, and kept in {out}"
                ));
            }
        }
        Ok(Some(interrupt::exit_code()))
    }
}

/// Why not everything was carried out.
pub(crate) enum Ended {
    Interrupted,
    Failed(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Stopped> for Ended {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Interrupted => Self::Interrupted,
            Stopped::Task(error) => Self::Failed(Failure::Run(error.to_string())),
            other => Self::Failed(Failure::Usage(other.to_string())),
        }
    }
}

/// A bar on standard error, if that is a terminal, and lines above it.
pub(crate) struct Bar {
    bar: ProgressBar,
    visible: bool,
}

/// The parts that the bar divides a training into.
const PARTS: u64 = 1000;

impl Bar {
    /// Shows nothing unless it is `visible`.
    pub(crate) fn new(visible: bool, trainings: u64) -> Self {
        let bar = terminal::bar(
            Some(trainings.saturating_mul(PARTS)),
            "{bar:20} {percent:>3}%  {eta} left  {wide_msg}",
        );
        if !visible {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { bar, visible }
    }

    pub(crate) fn line(&self, text: &str) {
        if self.visible {
            self.bar.suspend(|| line(text));
        }
    }

    /// What goes on.
    pub(crate) fn message(&self, text: String) {
        self.bar.set_message(text);
    }

    /// So many trainings are done, in fractions.
    pub(crate) fn at(&self, trainings: f64) {
        if self.bar.is_hidden() {
            return;
        }
        // Once per part: the bar need not be asked at every step.
        let position = (trainings * PARTS as f64) as u64;
        if position > self.bar.position() {
            self.bar.set_position(position);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
