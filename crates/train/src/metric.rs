//! [`Metric`]: a figure beside the loss that a model is judged by, and how it is summed over batches.
//!
//! ```text
//! figure = finish(Σ sum / Σ count)    over the batches; finish is the identity unless the metric says otherwise
//! ```
//!
//! A batch gives a sum and a count ([`Tally`]), never a mean: batches of different sizes then weigh what they
//! hold, and the figure of a set does not depend on how it was cut. A root of a mean square has the square
//! root as its `finish`, a perplexity the exponential function. The count may be the [spread](Tally::beside_spread) of
//! numbers about the mean of all of them, of which an R² is made. What is no function of such sums, as a median, is not
//! a metric here.

use crate::evaluate::Evaluation;
use backflow_tensor::misuse;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::ops::Index;

/// A figure by which models are judged.
///
/// ```
/// use backflow_train::Metric;
///
/// const ACCURACY: Metric = Metric::share("accuracy");
/// const RMSE: Metric = Metric::error("rmse").finish(f64::sqrt);
/// assert!(ACCURACY.is_better(0.9, 0.8) && RMSE.is_better(0.1, 0.2));
/// ```
#[derive(Clone, Copy)]
pub struct Metric {
    name: &'static str,
    higher_is_better: bool,
    worst: f64,
    is_share: bool,
    finish: fn(f64) -> f64,
}

impl Metric {
    /// A share from 0 to 1 that is best at 1, such as an accuracy.
    #[must_use]
    pub const fn share(name: &'static str) -> Self {
        Self { is_share: true, worst: 0.0, ..Self::score(name) }
    }

    /// A number of which more is better, without bounds.
    #[must_use]
    pub const fn score(name: &'static str) -> Self {
        Self { name, higher_is_better: true, worst: f64::NEG_INFINITY, is_share: false, finish: same }
    }

    /// A number of which less is better, without an upper bound.
    #[must_use]
    pub const fn error(name: &'static str) -> Self {
        Self { name, higher_is_better: false, worst: f64::INFINITY, is_share: false, finish: same }
    }

    /// What is done to the mean over all batches, once.
    #[must_use]
    pub const fn finish(self, finish: fn(f64) -> f64) -> Self {
        Self { finish, ..self }
    }

    /// The name in records and files: `accuracy` makes `test_accuracy`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether more of it is better.
    #[must_use]
    pub fn higher_is_better(&self) -> bool {
        self.higher_is_better
    }

    /// Whether it lies between 0 and 1, and is shown so.
    #[must_use]
    pub fn is_share(&self) -> bool {
        self.is_share
    }

    /// What a model has that could not be measured, since its training diverged.
    #[must_use]
    pub fn worst(&self) -> f64 {
        self.worst
    }

    /// Whether `a` is better than `b`.
    #[must_use]
    pub fn is_better(&self, a: f64, b: f64) -> bool {
        if self.higher_is_better { a > b } else { a < b }
    }

    /// Whether `figure` is at least as good as `target`.
    #[must_use]
    pub fn reaches(&self, figure: f64, target: f64) -> bool {
        if self.higher_is_better { figure >= target } else { figure <= target }
    }

    pub(crate) fn of(&self, tally: &Tally) -> f64 {
        (self.finish)(tally.sum / tally.count)
    }
}

fn same(x: f64) -> f64 {
    x
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        let key = |metric: &Self| (metric.name, metric.higher_is_better, metric.is_share);
        key(self) == key(other)
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metric({}, {} is better)", self.name, if self.higher_is_better { "more" } else { "less" })
    }
}

/// What a batch gives to a metric: numbers that are added up over batches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// The sum of the figure over the terms, such as the number of examples that are right.
    pub sum: f64,
    /// The number of terms, or the spread of numbers.
    pub count: f64,
    /// The spread of each column, if it is one.
    spreads: Vec<Spread>,
}

impl Tally {
    /// A sum over `count` terms.
    #[must_use]
    pub fn new(sum: f64, count: f64) -> Self {
        Self { sum, count, spreads: Vec::new() }
    }

    /// A sum beside the spread of numbers: the squares of what they are away from the mean of their column, summed over
    /// all `columns`; numbers come row after row. Over several batches, means are those of all rows.
    ///
    /// ```
    /// use backflow_train::Tally;
    ///
    /// // Of 1 and 3, with the mean 2.
    /// assert_eq!(Tally::beside_spread(0.5, &[1.0, 3.0], 1).count, 2.0);
    /// ```
    #[must_use]
    pub fn beside_spread(sum: f64, numbers: &[f64], columns: usize) -> Self {
        let columns = columns.max(1);
        let column = |nth: usize| numbers.iter().skip(nth).step_by(columns).copied();
        Self::new(sum, 0.0).with_spreads((0..columns).map(|nth| Spread::of(column(nth))).collect())
    }

    fn with_spreads(self, spreads: Vec<Spread>) -> Self {
        Self { count: spreads.iter().map(|spread| spread.squares).sum(), spreads, ..self }
    }

    pub(crate) fn add(&mut self, other: Self) {
        let Self { sum, count, spreads } = other;
        self.sum += sum;
        if spreads.is_empty() {
            self.count += count;
            return;
        }
        let mut all = std::mem::take(&mut self.spreads);
        all.resize(spreads.len().max(all.len()), Spread::default());
        all.iter_mut().zip(spreads).for_each(|(all, more)| all.add(more));
        *self = Self::new(self.sum, 0.0).with_spreads(all);
    }
}

/// How far numbers are from their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spread {
    count: f64,
    mean: f64,
    /// The sum of squared distances from the mean.
    squares: f64,
}

impl Spread {
    fn of(numbers: impl Iterator<Item = f64> + Clone) -> Self {
        let count = numbers.clone().count() as f64;
        let mean = if count > 0.0 { numbers.clone().sum::<f64>() / count } else { 0.0 };
        Self { count, mean, squares: numbers.map(|number| (number - mean).powi(2)).sum() }
    }

    /// That of both together, without the difference of large sums that Σ x² − (Σ x)² / n is. Source: T. Chan
    /// and others, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    fn add(&mut self, other: Self) {
        let count = self.count + other.count;
        if other.count == 0.0 || self.count == 0.0 {
            *self = if self.count == 0.0 { other } else { *self };
            return;
        }
        let distance = other.mean - self.mean;
        self.mean += distance * other.count / count;
        self.squares += other.squares + distance.powi(2) * self.count * other.count / count;
        self.count = count;
    }
}

/// Figures by the names of their metrics, in the order of the task.
///
/// ```
/// use backflow_train::Metrics;
///
/// let metrics = Metrics::from_iter([("accuracy", 0.9), ("perplexity", 3.0)]);
/// assert_eq!((metrics["accuracy"], metrics.get("rmse")), (0.9, None));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(Vec<(&'static str, f64)>);

impl Metrics {
    /// The figure of this name, if the task has such a metric.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(own, _)| *own == name).map(|(_, figure)| figure)
    }

    /// All of them with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        self.0.iter().copied()
    }

    /// The same figures as they stand in files beside others: with `test_`, `accuracy` is written as
    /// `test_accuracy`.
    #[must_use]
    pub fn prefixed(&self, prefix: &'static str) -> Prefixed<'_> {
        Prefixed { prefix, metrics: self }
    }
}

impl FromIterator<(&'static str, f64)> for Metrics {
    fn from_iter<I: IntoIterator<Item = (&'static str, f64)>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

impl Index<&str> for Metrics {
    type Output = f64;

    /// # Panics
    /// If there is no metric of this name.
    #[track_caller]
    fn index(&self, name: &str) -> &f64 {
        self.0.iter().find(|(own, _)| *own == name).map_or_else(
            || {
                let known = self.0.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                misuse("Metrics", "no such metric", &[("asked", name.to_owned()), ("known", known)], "")
            },
            |(_, figure)| figure,
        )
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.prefixed("").serialize(serializer)
    }
}

/// [`Metrics`] with something before each name, to be flattened into the object of a file.
#[derive(Clone, Copy, Debug)]
pub struct Prefixed<'a> {
    prefix: &'static str,
    metrics: &'a Metrics,
}

impl Serialize for Prefixed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.metrics.0.len()))?;
        for (name, figure) in self.metrics.iter() {
            map.serialize_entry(&format!("{}{name}", self.prefix), &figure)?;
        }
        map.end()
    }
}

/// Figures on the test set in a record that is derived.
pub(crate) fn of_test<S: Serializer>(metrics: &Metrics, serializer: S) -> Result<S::Ok, S::Error> {
    metrics.prefixed("test_").serialize(serializer)
}

/// Figures on examples that were held out, if there are some.
pub(crate) fn of_validation<S: Serializer>(
    validation: &Option<Evaluation>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    if let Some(Evaluation { loss, metrics }) = validation {
        map.serialize_entry("validation_loss", loss)?;
        for (name, figure) in metrics.iter() {
            map.serialize_entry(&format!("validation_{name}"), &figure)?;
        }
    }
    map.end()
}
