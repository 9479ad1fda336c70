//! What a person sees of a run: a bar while an epoch goes on, a line when it is done.
//!
//! The bar goes to standard error and appears only on a terminal; lines go to standard output. What comes from
//! outside, as a name in a file, is shown and never obeyed. Answers that cannot be written, to a full disk, end
//! the program with an error when its work is done.

use crate::failure::Failure;
use backflow_probe::Verdict;
use backflow_probe::text::{printable, printable_json, short, wrapped};
use backflow_train::{EpochRecord, Listener, Metric, StepRecord, TrainError};
use console::{Style, Term};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::borrow::Cow;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Prints a line, or several. In a terminal, what does not fit is broken between words, and verdicts have
/// colours. When nobody reads any more (`backflow train | head`), the run goes on and its folder is written.
pub(crate) fn line(text: &str) {
    let width = width().unwrap_or(usize::MAX);
    for text in text.split('\n') {
        let text = printable(text);
        let words = text.trim_start_matches(' ');
        let indent = &text[..text.len() - words.len()];
        match text.chars().count() <= width {
            true => print(&coloured(&text)),
            false => wrapped(words, width.saturating_sub(indent.len()))
                .iter()
                .for_each(|words| print(&coloured(&format!("{indent}{words}")))),
        }
    }
}

/// A path as it is shown, a line break in it included.
pub(crate) fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

/// How many characters fit on a line of standard output; `None` where that is no terminal.
pub(crate) fn width() -> Option<usize> {
    let (_, columns) = Term::stdout().size_checked()?;
    // Some terminals do not know.
    (columns > 0).then(|| usize::from(columns).max(NARROWEST))
}

/// Nothing fits into less.
const NARROWEST: usize = 40;

/// The line with its verdicts in colours, where standard output is a terminal that shows them.
fn coloured(text: &str) -> Cow<'_, str> {
    if !console::colors_enabled() || !Verdict::NAMES.iter().any(|name| text.contains(name)) {
        return Cow::Borrowed(text);
    }
    let mut shown = text.to_owned();
    for name in Verdict::NAMES {
        let style = match name {
            "HEALTHY" => Style::new().green(),
            "NOT JUDGED" => Style::new().yellow(),
            _ => Style::new().red(),
        };
        shown = words_replaced(&shown, name, &style.bold().apply_to(name).to_string());
    }
    Cow::Owned(shown)
}

/// The text with each `word`, where it stands by itself, replaced.
fn words_replaced(text: &str, word: &str, by: &str) -> String {
    let mut parts = text.split(word);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    let goes_on = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
    for part in parts {
        let is_whole = !goes_on(replaced.chars().next_back()) && !goes_on(part.chars().next());
        replaced += if is_whole { by } else { word };
        replaced += part;
    }
    replaced
}

/// Prints an answer of `--json`, whole, on a line.
pub(crate) fn object(object: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(object).map_err(|error| Failure::Run(error.to_string()))?;
    print(&printable_json(&json));
    Ok(())
}

/// Says something on standard error. Where it cannot be said, nothing can be done about it.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "backflow: {}", printable(text));
}

/// Why an answer could not be written, if one could not.
static LOST: Mutex<Option<String>> = Mutex::new(None);

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    note(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Help or the version, in colours where standard output is a terminal that shows them.
pub(crate) fn help(text: &clap::Error) {
    let text = text.render();
    let text = if console::colors_enabled() { text.ansi().to_string() } else { text.to_string() };
    let mut out = std::io::stdout().lock();
    note(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

fn note(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
        lost.get_or_insert_with(|| error.to_string());
    }
}

/// Fails if an answer could not be written.
pub(crate) fn require_written() -> Result<(), Failure> {
    match LOST.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(why) => Err(Failure::Run(format!("standard output: cannot be written: {why}"))),
        None => Ok(()),
    }
}

/// Shows the progress of a run.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    loss_sum: f64,
    /// The names of the figures beside the losses.
    metrics: Vec<&'static str>,
    /// Whose figures these are: `val` of examples that were held out, or `test`.
    set: &'static str,
}

/// A bar on standard error, which is seen only if that is a terminal. What does not fit is cut off: a bar that
/// takes two lines leaves copies of itself behind.
pub(crate) fn bar(total: Option<u64>, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style)
}

impl Progress {
    /// For a task with these metrics, on what was held out or on the test set.
    pub(crate) fn new(metrics: &[Metric], is_held_out: bool) -> Self {
        let metrics: Vec<_> = metrics.iter().map(Metric::name).collect();
        let set = if is_held_out { "val" } else { "test" };
        let column = |name| format!("  {:>7}", format!("{set} {name}"));
        let columns: Vec<_> = metrics.iter().map(column).collect();
        line(&format!("epoch  train loss  {set} loss{}", columns.concat()));
        let bar = bar(Some(0), "epoch {prefix} {bar:20} {wide_msg}");
        Self { bar, loss_sum: 0.0, metrics, set }
    }
}

impl Listener for Progress {
    fn step(&mut self, record: &StepRecord, steps: u64) -> Result<(), TrainError> {
        if self.bar.is_hidden() {
            return Ok(());
        }
        let position = (record.step - 1) % steps + 1;
        // The first step, or that of a run that goes on.
        if position == 1 || self.bar.length() == Some(0) {
            self.loss_sum = 0.0;
            self.bar.reset();
            self.bar.set_length(steps);
            self.bar.set_prefix(record.epoch.to_string());
        }
        self.loss_sum += record.loss;
        if position.is_multiple_of(8) || position == steps {
            self.bar.set_position(position);
            let loss = self.loss_sum / position as f64;
            let (rate, left) = (self.bar.per_sec(), HumanDuration(self.bar.eta()));
            self.bar
                .set_message(format!("{position}/{steps}  loss {loss:.4}  {rate:.0} steps/s  {left:#} left"));
        }
        Ok(())
    }

    fn epoch(&mut self, record: &EpochRecord) -> Result<(), TrainError> {
        let EpochRecord { epoch, train_loss, test_loss, metrics, validation } = record;
        let of_validation = validation.as_ref().map(|found| (found.loss, &found.metrics));
        let (loss, metrics) = of_validation.unwrap_or((*test_loss, metrics));
        let (train, loss) = (short(Some(*train_loss)), short(Some(loss)));
        let set = self.set.len() + 1;
        let column = |name: &&str| {
            // Of what has no figure, as an R² of targets that are all the same.
            let figure = metrics.get(name).filter(|figure| !figure.is_nan());
            let figure = figure.map_or("-".to_owned(), |figure| format!("{figure:.4}"));
            format!("  {figure:>width$}", width = (set + name.len()).max(7))
        };
        let columns: String = self.metrics.iter().map(column).collect();
        let text = format!("{epoch:5}  {train:>10}  {loss:>width$}{columns}", width = set + "loss".len());
        self.bar.suspend(|| line(&text));
        Ok(())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::words_replaced;

    #[test]
    fn words_are_replaced_where_they_stand_by_themselves() {
        let replaced = |text: &str| words_replaced(text, "DEAD", "<DEAD>");
        for (text, right) in [
            ("DEAD: 5 % of the units", "<DEAD>: 5 % of the units"),
            ("relu  DEAD, DEAD", "relu  <DEAD>, <DEAD>"),
            ("(DEAD)", "(<DEAD>)"),
            ("DEADLINE, UNDEAD, DEAD-1, layers.DEAD_2", "DEADLINE, UNDEAD, DEAD-1, layers.DEAD_2"),
            ("", ""),
        ] {
            assert_eq!(replaced(text), right);
        }
    }
}
